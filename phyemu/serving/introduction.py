"""How a head or a relay introduces itself: a frame that names the dictionary of its embeddings.

Symbols say nothing of whose they are: a tail of another export would call them something, with
confidence. So a head sends, now and then, the first 64 bits of its dictionary's SHA-256 as symbols
of its constellation, several times over in one frame, and the tail compares. How long the frame is
tells the order of the constellation, so that another one is recognised, too.
"""

import math
from enum import StrEnum
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn import ArtefactCard

__all__ = [
    "Partner",
    "introduced_order",
    "introduction_length",
    "introduction_symbols",
    "recognise",
    "senders_line",
]

_BITS: Final = 64
_REPETITIONS: Final = 4
# A digit counts where its repetitions leave no more doubt than this; so many of them must, and so
# many of those must be ours. Of other digits at random, one in `order` is: with two points, more
# than 48 of 64 by chance once in 100 000 introductions of a stranger.
_DOUBT = 0.05
_READABLE = 0.5
_OURS = 0.75
_MAX_BITS = 12


class Partner(StrEnum):
    """What an introduction says of the head."""

    OURS = "ours"
    """It has the dictionary of this tail."""
    OTHER = "other"
    """It has another."""
    UNREADABLE = "unreadable"
    """Noise left too little of it."""


def introduction_symbols(card: ArtefactCard) -> Tensor:
    """Return the payload by which a head introduces itself, (num_symbols,), int64.

    Args:
        card: Of the head.
    """
    return torch.from_numpy(np.tile(_digits(card), _REPETITIONS))


def introduction_length(order: int) -> int:
    """Return the payload symbols of an introduction with a constellation of `order` points."""
    return _num_digits(order) * _REPETITIONS


def introduced_order(payload_symbols: int) -> int:
    """Return the order of the constellation that an introduction of this length has; 0: of none.

    Several orders make introductions of one length; a power of two is likelier than others.

    >>> introduced_order(4 * 32)
    4
    """
    count, rest = divmod(payload_symbols, _REPETITIONS)
    if rest or not count:
        return 0
    orders = [*(1 << bits for bits in range(1, _MAX_BITS + 1)), *range(3, 1 << _MAX_BITS)]
    return next((order for order in orders if _num_digits(order) == count), 0)


def recognise(card: ArtefactCard, posteriors: NDArray[np.float32]) -> Partner:
    """Return whose introduction this is.

    Args:
        card: Of the tail.
        posteriors: Of the introduction's symbols, (num_symbols, order).
    """
    ours = _digits(card)
    if posteriors.shape != (len(ours) * _REPETITIONS, card.order):
        return Partner.OTHER
    evidence = np.log(np.maximum(posteriors.astype(np.float64), 1e-6))
    sums = evidence.reshape(_REPETITIONS, len(ours), card.order).sum(axis=0)
    odds = np.exp(sums - sums.max(axis=1, keepdims=True))
    clear = odds.max(axis=1) / odds.sum(axis=1) >= 1 - _DOUBT
    if clear.mean() < _READABLE:
        return Partner.UNREADABLE
    agreeing = float((sums.argmax(axis=1) == ours)[clear].mean())
    return Partner.OURS if agreeing >= _OURS else Partner.OTHER


def senders_line(partner: str | None, strangers: int, *, listener: str) -> str:
    """Return for people who sends.

    Args:
        partner: Who introduced itself to the listener; None: nobody.
        strangers: Introductions of others.
        listener: What it is: a tail, or a relay.
    """
    said: dict[str | None, str] = {
        None: "has not introduced itself",
        Partner.OURS: f"is that of this {listener}",
        Partner.OTHER: f"is that of another {listener}",
    }
    met = f", {strangers} introductions of strangers" if strangers else ""
    return f"the sender {said.get(partner, 'could not be understood')}{met}"


def _num_digits(order: int) -> int:
    return math.ceil(_BITS / math.log2(order))


def _digits(card: ArtefactCard) -> NDArray[np.int64]:
    """Return the first bits of the dictionary's hash as digits of base `order`."""
    value = int(card.embedding_sha256[: _BITS // 4], 16)
    digits = np.zeros(_num_digits(card.order), np.int64)
    for place in range(len(digits) - 1, -1, -1):
        value, digits[place] = divmod(value, card.order)
    return digits
