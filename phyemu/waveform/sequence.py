"""Known sequences: Zadoff-Chu, maximum-length (two forms), Gold and Golay complementary ones."""

import math

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = [
    "ga128",
    "glfsr_sequence",
    "golay_pair",
    "gold_sequence",
    "m_sequence",
    "num_gold_sequences",
    "zadoff_chu",
]

# Exponents of a primitive polynomial of each degree, without the constant term (x^3 + x + 1: 3 1).
_PRIMITIVE = {
    2: (2, 1),
    3: (3, 1),
    4: (4, 1),
    5: (5, 2),
    6: (6, 1),
    7: (7, 1),
    8: (8, 4, 3, 2),
    9: (9, 4),
    10: (10, 3),
    11: (11, 2),
    12: (12, 6, 4, 1),
    13: (13, 4, 3, 1),
    14: (14, 10, 6, 1),
    15: (15, 1),
    16: (16, 12, 3, 1),
}
# Feedback masks of Galois registers, those that GNU Radio's glfsr_source takes for mask 0.
_GALOIS_MASKS = {
    5: 0x12,
    6: 0x21,
    7: 0x41,
    8: 0x8E,
    9: 0x108,
    10: 0x204,
    11: 0x402,
    12: 0x829,
    13: 0x100D,
    14: 0x2015,
    15: 0x4001,
    16: 0x8016,
}
# Delays and weights of Ga128 and Gb128 (IEEE 802.11ad-2012, clause 21.11).
_GA128_DELAYS = (1, 8, 2, 4, 16, 32, 64)
_GA128_WEIGHTS = (-1, -1, -1, -1, 1, -1, -1)


def zadoff_chu(length: int, root: int) -> Tensor:
    """Return a Zadoff-Chu sequence, (length,), complex64.

    x_n = exp(-j pi u n (n + N mod 2) / N)    (Chu, IEEE Trans. Inf. Theory 18(4), 1972)

    Its magnitude is 1 and its periodic autocorrelation is zero at every lag but 0.

    Args:
        length: N >= 2.
        root: u, coprime to N.

    Raises:
        ConfigError: `length` is too small or `root` shares a factor with it.
    """
    if length < 2 or math.gcd(root, length) != 1:
        raise ConfigError(
            f"a Zadoff-Chu sequence needs length >= 2 and a root coprime to it, got {length=}, "
            f"{root=}"
        )
    n = torch.arange(length, dtype=torch.int64)
    # The phase repeats every 2 N; reducing the integer first keeps it exact for long sequences.
    turns = (root * n * (n + length % 2)) % (2 * length)
    phase = -math.pi * turns.to(torch.float64) / length
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64)


def m_sequence(degree: int) -> Tensor:
    """Return one period of a maximum-length sequence of bits, (2^degree - 1,), int64.

    As +-1, its periodic autocorrelation is 2^degree - 1 at lag 0 and -1 elsewhere.

    Args:
        degree: Length of the shift register, 2..16.

    Raises:
        ConfigError: `degree` is out of range.
    """
    if degree not in _PRIMITIVE:
        raise ConfigError(f"degree must be 2..16, got {degree}")
    exponents = _PRIMITIVE[degree]
    # s_n = sum of s_(n - degree + e) over the exponents e below the degree, and s_(n - degree).
    bits = [1] * degree
    for n in range(degree, (1 << degree) - 1):
        bit = bits[n - degree]
        for exponent in exponents[1:]:
            bit ^= bits[n - degree + exponent]
        bits.append(bit)
    return torch.tensor(bits, dtype=torch.int64)


def glfsr_sequence(degree: int) -> Tensor:
    """Return the chips of a Galois shift register, (2^degree - 1,), int64, +-1.

    A maximum-length sequence as GNU Radio's `glfsr_source` makes it from mask 0 and seed 1: the
    bit that leaves the register at its low end is sent, 1 as +1, and the mask is added to what
    remains. Degree 8 is the sequence that CaST sends. One more +1 than -1; the periodic
    autocorrelation is 2^degree - 1 at lag 0 and -1 elsewhere.

    Args:
        degree: Length of the register, 5..16.

    Raises:
        ConfigError: `degree` is out of range.
    """
    if degree not in _GALOIS_MASKS:
        raise ConfigError(f"degree must be 5..16, got {degree}")
    mask, register = _GALOIS_MASKS[degree], 1
    chips = []
    for _ in range((1 << degree) - 1):
        bit = register & 1
        register = (register >> 1) ^ (mask if bit else 0)
        chips.append(2 * bit - 1)
    return torch.tensor(chips, dtype=torch.int64)


def num_gold_sequences(degree: int) -> int:
    """Return the size of the Gold family of a degree, 2^degree + 1."""
    return (1 << degree) + 1


def gold_sequence(degree: int, index: int) -> Tensor:
    """Return the chips of a Gold sequence, (2^degree - 1,), int64, +-1.

    u times v shifted by `index` for index < N = 2^degree - 1; u itself for N, v for N + 1. u is the
    GLFSR sequence with its sign turned (one more -1 than +1, as Gold has it), v is u decimated by
    2^k + 1, k = 1 for odd degrees and 2 for degrees of 2 modulo 4 (Gold, IEEE Trans. Inf. Theory
    13(4), 1967), so periodic cross-correlations within the family take the values -1, -t and t - 2
    only, t = 1 + 2^floor((degree + 2) / 2).

    Args:
        degree: 5..16, not a multiple of 4 (for which there is no such pair).
        index: Which of the family, 0..2^degree.

    Raises:
        ConfigError: A number is out of range.
    """
    if degree not in _GALOIS_MASKS or degree % 4 == 0:
        raise ConfigError(f"degree of a Gold sequence must be 5..15, not 8 or 12; got {degree}")
    length = (1 << degree) - 1
    if not 0 <= index < num_gold_sequences(degree):
        raise ConfigError(f"index of a Gold sequence must be 0..{length + 1}, got {index}")
    first = -glfsr_sequence(degree)
    step = 3 if degree % 2 else 5
    second = first[torch.arange(length) * step % length]
    if index == length:
        return first
    if index == length + 1:
        return second
    return first * torch.roll(second, -index)


def golay_pair(degree: int) -> tuple[Tensor, Tensor]:
    """Return two complementary sequences of chips, each (2^degree,), int64, +-1.

    Their aperiodic autocorrelations, and so the periodic ones, sum to 2^(degree + 1) at lag 0 and
    to 0 elsewhere (Golay, IRE Trans. Inf. Theory 7(2), 1961). Built by Budisin's recursion

        a_k[n] = w_k a_(k-1)[n] + b_(k-1)[n - D_k],  b_k[n] = w_k a_(k-1)[n] - b_(k-1)[n - D_k]

    from two unit pulses, reversed in time; delays and weights of degree 7 are those of Ga128 and
    Gb128 of IEEE 802.11ad, those of other degrees are ascending powers of two and ones.

    Args:
        degree: 5..16.

    Raises:
        ConfigError: `degree` is out of range.
    """
    if not 5 <= degree <= 16:
        raise ConfigError(f"degree of a Golay pair must be 5..16, got {degree}")
    delays = _GA128_DELAYS if degree == 7 else tuple(1 << k for k in range(degree))
    weights = _GA128_WEIGHTS if degree == 7 else (1,) * degree
    a = torch.zeros(1 << degree, dtype=torch.int64)
    a[0] = 1
    b = a.clone()
    for delay, weight in zip(delays, weights, strict=True):
        late = torch.roll(b, delay)  # what is rolled around is still zero
        a, b = weight * a + late, weight * a - late
    return a.flip(0), b.flip(0)


def ga128() -> Tensor:
    """Return the chips of Ga128 of IEEE 802.11ad, which CaST sends alone, (128,), int64, +-1."""
    return golay_pair(7)[0]
