"""The 802.11 preambles: the legacy one of every OFDM frame in 20 MHz, the HT-LTF of 802.11n.

L-STF (8 us, ten periods of 0.8 us), then L-LTF (8 us: a guard of 1.6 us and two equal symbols of
3.2 us), IEEE Std 802.11-2020, 17.3.3. Both are given at 20 Msps, with unit mean power, and without
the standard's half-weight sample at their joint.
"""

import math
from typing import Final

import torch
from torch import Tensor

__all__ = [
    "L_LTF_CARRIERS",
    "WIFI_CARRIER_SPACING_HZ",
    "WIFI_SAMPLE_RATE_HZ",
    "ht_ltf_values",
    "l_ltf",
    "l_ltf_values",
    "l_stf",
    "legacy_preamble",
]

WIFI_SAMPLE_RATE_HZ: Final = 20e6
"""The rate at which the preamble is defined here [Hz]."""

WIFI_CARRIER_SPACING_HZ: Final = WIFI_SAMPLE_RATE_HZ / 64
"""Distance of two carriers, 312.5 kHz."""

L_LTF_CARRIERS: Final = (*range(-26, 0), *range(1, 27))
"""Indices of the 52 carriers that the L-LTF occupies, ascending; 0 is the carrier frequency."""

# Equation (17-8): the signs of carriers -26..-1 and 1..26.
_L_LTF_SIGNS: Final = (
    "++--++-+-++++++--++-+-++++"  # -26..-1
    "+--++-+-+-----++--+-+-++++"  # 1..26
)
# Equation (17-6): carriers of the L-STF that hold (1 + j) times these signs, the rest are empty.
_L_STF_SIGNS: Final = {
    -24: 1,
    -20: -1,
    -16: 1,
    -12: -1,
    -8: -1,
    -4: 1,
    4: -1,
    8: -1,
    12: 1,
    16: 1,
    20: 1,
    24: 1,
}


def _symbol(values: Tensor, carriers: tuple[int, ...]) -> Tensor:
    """Return 64 samples of unit mean power that hold `values` on `carriers`."""
    spectrum = torch.zeros(64, dtype=torch.complex128)
    spectrum[torch.tensor(carriers) % 64] = values
    # ifft divides by 64; |values| = 1 on n carriers then gives a mean power of n / 64^2.
    samples: Tensor = torch.fft.ifft(spectrum)
    return samples * (64.0 / math.sqrt(len(carriers)))


def l_ltf_values() -> Tensor:
    """Return the +-1 that the L-LTF holds on `L_LTF_CARRIERS`, (52,), complex64."""
    return torch.tensor([1.0 if sign == "+" else -1.0 for sign in _L_LTF_SIGNS]).to(torch.complex64)


def l_stf() -> Tensor:
    """Return the L-STF, (160,), complex64: ten periods of 16 samples, unit mean power."""
    carriers = tuple(_L_STF_SIGNS)
    signs = torch.tensor([float(sign) for sign in _L_STF_SIGNS.values()], dtype=torch.float64)
    values = signs * complex(math.sqrt(0.5), math.sqrt(0.5))
    return _symbol(values, carriers).repeat(3)[:160].to(torch.complex64)


def l_ltf() -> Tensor:
    """Return the L-LTF, (160,), complex64: a guard of 32 samples, two symbols of 64."""
    symbol = _symbol(l_ltf_values().to(torch.complex128), L_LTF_CARRIERS)
    return torch.cat([symbol[-32:], symbol, symbol]).to(torch.complex64)


def legacy_preamble() -> Tensor:
    """Return L-STF and L-LTF, (320,), complex64, 16 us at 20 Msps."""
    return torch.cat([l_stf(), l_ltf()])


def ht_ltf_values() -> Tensor:
    """Return the +-1 that an HT-LTF holds on carriers -28..-1, 1..28, (56,), complex64.

    Equation (19-23), 20 MHz: two carriers more at either end of the L-LTF.
    """
    outer = torch.tensor([1.0, 1.0]).to(torch.complex64)
    return torch.cat([outer, l_ltf_values(), -outer])
