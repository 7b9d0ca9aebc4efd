"""The 127-bit sequence that scrambles 802.11 data and turns the pilots.

IEEE Std 802.11-2020, 17.3.5.5: s[n] = s[n - 4] + s[n - 7] (mod 2), added to the data. The pilots of
symbol n are turned by 1 - 2 s[n mod 127] of the sequence from the all-ones state, 17.3.5.10.
"""

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError

__all__ = ["descrambled", "pilot_polarity", "scrambling_sequence"]

_PERIOD = 127
_DEGREE = 7


def scrambling_sequence(first: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return `count` bits of the sequence that begins with the seven bits `first`.

    Args:
        first: Its first bits, (7,), 0 or 1.
        count: Length of the result, >= 0.

    Raises:
        SignalError: `first` has not seven bits.
    """
    if first.shape != (_DEGREE,):
        raise SignalError(f"a scrambling sequence is named by its first 7 bits, got {first.shape}")
    bits = [int(bit) for bit in first]
    while len(bits) < _PERIOD:
        bits.append(bits[-4] ^ bits[-7])
    return np.resize(np.array(bits, np.uint8), count)


def descrambled(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the data behind scrambled bits that begin with the SERVICE field.

    The first seven bits of SERVICE are sent as zeros, so what is received there is the sequence.

    Args:
        bits: Decoded bits, (num_bits,), at least seven.
    """
    return bits ^ scrambling_sequence(bits[:_DEGREE], len(bits))


def pilot_polarity(first: int, count: int) -> NDArray[np.float64]:
    """Return p[first] .. p[first + count - 1] of the pilot polarity, (count,), +-1."""
    return _POLARITY[(first + np.arange(count)) % _PERIOD]


# The all-ones state puts out 0, 0, 0, 0, 1, 1, 1 first.
_FIRST = np.array([0, 0, 0, 0, 1, 1, 1], np.uint8)
_POLARITY: NDArray[np.float64] = np.where(scrambling_sequence(_FIRST, _PERIOD) == 1, -1.0, 1.0)
