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
    """Return +-1 of both coded bits, (2, 32), where a zero enters at the states 0, 2, 4, ... 62."""
    parity = [
        [(register & generator).bit_count() & 1 for register in range(0, 64, 2)]
        for generator in _GENERATORS
    ]
    return 2.0 * np.array(parity, np.float32) - 1.0


_SIGNS = _branch_signs()


def _compiled(function: Callable[..., Any]) -> _Kernel:
    return cast(_Kernel, numba.njit(cache=True, nogil=True)(function))


@_compiled
def _decode(
    pairs: NDArray[np.float32], signs: NDArray[np.float32], terminated: bool
) -> NDArray[np.uint8]:
    """Return the best path through the trellis; a state is the last six bits, newest on top.

    States 2 j and 2 j + 1 (oldest bit 0 or 1) lead to j (new bit 0) and to j + 32 (new bit 1). The
    four branches of such a butterfly differ in sign only, as both generators have the first and the
    last tap. Metrics of even and odd states stand apart, so that 32 butterflies are one vector.
    """
    steps = pairs.shape[0]
    oldest = np.empty((steps, 64), np.uint8)
    even = np.full(32, np.float32(-1e30))
    odd = np.full(32, np.float32(-1e30))
    even[0] = np.float32(0.0)
    low = np.empty(32, np.float32)
    high = np.empty(32, np.float32)
    for step in range(steps):
        a, b = pairs[step, 0], pairs[step, 1]
        row = oldest[step]
        for j in range(32):
            branch = a * signs[0, j] + b * signs[1, j]
            straight, crossed = even[j] + branch, odd[j] - branch
            row[j] = crossed > straight
            low[j] = max(straight, crossed)
            straight, crossed = even[j] - branch, odd[j] + branch
            row[j + 32] = crossed > straight
            high[j] = max(straight, crossed)
        # Differences are all that counts: taking the largest off keeps float32 exact enough.
        best = np.float32(0.0)
        if step % 16 == 15:
            best = max(low.max(), high.max())
        for j in range(16):
            even[j], odd[j] = low[2 * j] - best, low[2 * j + 1] - best
            even[j + 16], odd[j + 16] = high[2 * j] - best, high[2 * j + 1] - best
    state = 0
    if not terminated:
        state = int(2 * even.argmax())
        if odd.max() > even.max():
            state = int(2 * odd.argmax() + 1)
    bits = np.empty(steps, np.uint8)
    for step in range(steps - 1, -1, -1):
        bits[step] = state >> 5
        state = ((state << 1) | oldest[step, state]) & 63
    return bits
