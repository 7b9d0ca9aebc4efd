"""The binary convolutional code of 802.11: soft-decision Viterbi decoding, and its puncturing.

Constraint length 7, generators 133 and 171 (octal), IEEE Std 802.11-2020, 17.3.5.6; higher rates
leave out ("steal") some of the coded bits, Figure 17-9 and 19.3.11.6.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, cast

import numba
import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError

__all__ = ["CODE_RATES", "TAIL_BITS", "depunctured", "viterbi"]

TAIL_BITS: Final = 6
"""Zeros behind the data, which bring the encoder back to state 0."""

# Which of the coded bits A1 B1 A2 B2 ... of a period are sent.
_PUNCTURING: Final = {
    Fraction(1, 2): (1, 1),
    Fraction(2, 3): (1, 1, 1, 0),
    Fraction(3, 4): (1, 1, 1, 0, 0, 1),
    Fraction(5, 6): (1, 1, 1, 0, 0, 1, 1, 0, 0, 1),
}

CODE_RATES: Final = tuple(_PUNCTURING)
"""Information bits per sent bit that 802.11 uses."""

_STATES: Final = 64
_GENERATORS: Final = (0o133, 0o171)
_Kernel = Callable[[NDArray[np.float32], NDArray[np.float32], bool], NDArray[np.uint8]]


def depunctured(soft: NDArray[np.float32], rate: Fraction) -> NDArray[np.float32]:
    """Return soft bits with zeros (no knowledge) where bits were left out.

    Args:
        soft: Soft bits in the order sent, (num_bits,); a last incomplete period is dropped.
        rate: Of `CODE_RATES`.

    Returns:
        Soft values of A1 B1 A2 B2 ..., (2 num_information_bits,).

    Raises:
        ConfigError: A rate that 802.11 does not have.
    """
    if rate not in _PUNCTURING:
        raise ConfigError(f"code rate must be one of {', '.join(map(str, CODE_RATES))}, got {rate}")
    pattern = np.array(_PUNCTURING[rate], bool)
    periods = len(soft) // int(pattern.sum())
    full = np.zeros((periods, len(pattern)), np.float32)
    full[:, pattern] = soft[: periods * int(pattern.sum())].reshape(periods, -1)
    return full.reshape(-1)


def viterbi(soft: NDArray[np.float32], *, terminated: bool) -> NDArray[np.uint8]:
    """Return the most likely information bits, (len(soft) // 2,), uint8.

    Args:
        soft: Soft values of A1 B1 A2 B2 ..., float32: log P(1) / P(0) up to one positive factor;
            0 where nothing is known.
        terminated: Whether the last six information bits are zeros; else any end state will do.
    """
    pairs = np.ascontiguousarray(soft[: len(soft) // 2 * 2].reshape(-1, 2), dtype=np.float32)
    return _decode(pairs, _SIGNS, terminated)


def _branch_signs() -> NDArray[np.float32]:
    """Return +-1 of both coded bits for each register content, (128, 2); newest bit on top."""
    register = np.arange(2 * _STATES)
    parity = [
        np.bitwise_count(register & generator).astype(np.int64) & 1 for generator in _GENERATORS
    ]
    return (2.0 * np.stack(parity, axis=1) - 1.0).astype(np.float32)


_SIGNS = _branch_signs()


def _compiled(function: Callable[..., Any]) -> _Kernel:
    return cast(_Kernel, numba.njit(cache=True, nogil=True)(function))


@_compiled
def _decode(
    pairs: NDArray[np.float32], signs: NDArray[np.float32], terminated: bool
) -> NDArray[np.uint8]:
    """Return the best path through the trellis; a state is the last six bits, newest on top."""
    steps = pairs.shape[0]
    decisions = np.zeros(steps, np.uint64)
    metric = np.full(64, np.float32(-1e30))
    metric[0] = np.float32(0.0)
    following = np.empty(64, np.float32)
    lost = np.empty(64, np.uint8)
    for step in range(steps):
        a, b = pairs[step, 0], pairs[step, 1]
        # States 2 j and 2 j + 1 (oldest bit 0 or 1) lead to j (new bit 0) and j + 32 (new bit 1).
        for j in range(32):
            even, odd = metric[2 * j], metric[2 * j + 1]
            # All four branches of a butterfly differ in sign only: both generators have the first
            # and the last tap.
            branch = a * signs[2 * j, 0] + b * signs[2 * j, 1]
            lost[j] = odd - branch > even + branch
            following[j] = max(even + branch, odd - branch)
            lost[j + 32] = odd + branch > even - branch
            following[j + 32] = max(even - branch, odd + branch)
        word = np.uint64(0)
        for state in range(64):
            word |= np.uint64(lost[state]) << np.uint64(state)
        decisions[step] = word
        # Differences are all that counts: the best state is kept at 0 so that float32 is enough.
        best = following.max()
        for state in range(64):
            metric[state] = following[state] - best
    state = 0
    if not terminated:
        state = int(metric.argmax())
    bits = np.empty(steps, np.uint8)
    for step in range(steps - 1, -1, -1):
        bits[step] = state >> 5
        oldest = int((decisions[step] >> np.uint64(state)) & np.uint64(1))
        state = ((state << 1) | oldest) & 63
    return bits
