"""Known sequences: Zadoff-Chu sequences and maximum-length sequences."""

import math

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = ["m_sequence", "zadoff_chu"]

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
