"""How 802.11 frames of one stream in 20 MHz carry their bits: rates, carriers, interleaving."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HT_CARRIERS",
    "HT_DATA_CARRIERS",
    "HT_MODES",
    "LEGACY_DATA_CARRIERS",
    "LEGACY_MODES",
    "PILOT_CARRIERS",
    "SIGNAL_MODE",
    "Mode",
]

PILOT_CARRIERS: Final = (-21, -7, 7, 21)
"""Carriers that hold pilots, in legacy and HT frames alike."""

HT_CARRIERS: Final = (*range(-28, 0), *range(1, 29))
"""The 56 carriers of an HT frame in 20 MHz, ascending."""

HT_DATA_CARRIERS: Final = tuple(k for k in HT_CARRIERS if k not in PILOT_CARRIERS)
"""Those that hold data, 52."""

LEGACY_DATA_CARRIERS: Final = tuple(k for k in HT_DATA_CARRIERS if abs(k) <= 26)
"""Those that hold data in a legacy frame, 48."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """A modulation with its code rate.

    Attributes:
        bits_per_carrier: 1, 2, 4 or 6: BPSK, QPSK, 16-QAM, 64-QAM.
        code_rate: Information bits per coded bit.
        data_carriers: Indices of the carriers that hold data, ascending.
        interleaver_columns: 16 (legacy) or 13 (HT).
        mcs: Index of the HT modulation and coding scheme; None for a legacy rate.
    """

    bits_per_carrier: int
    code_rate: Fraction
    data_carriers: tuple[int, ...]
    interleaver_columns: int
    mcs: int | None

    @property
    def coded_bits(self) -> int:
        """Coded bits per symbol, N_CBPS."""
        return self.bits_per_carrier * len(self.data_carriers)

    @property
    def data_bits(self) -> int:
        """Information bits per symbol, N_DBPS."""
        return int(self.coded_bits * self.code_rate)

    def rate_mbps(self, *, short_guard: bool = False) -> float:
        """Return the data rate [Mb/s] with a guard interval of 0.8 us, or of 0.4 us."""
        return self.data_bits / (3.6 if short_guard else 4.0)

    @cached_property
    def deinterleaving(self) -> NDArray[np.int64]:
        """Where each coded bit of a symbol lies among the bits of its carriers, (N_CBPS,).

        IEEE Std 802.11-2020, Equations (17-17), (17-18); (19-44), (19-45) for HT.
        """
        size, columns = self.coded_bits, self.interleaver_columns
        k = np.arange(size)
        i = (size // columns) * (k % columns) + k // columns
        s = max(self.bits_per_carrier // 2, 1)
        j: NDArray[np.int64] = s * (i // s) + (i + size - columns * i // size) % s
        return j


def _mode(bits_per_carrier: int, code_rate: str, mcs: int | None = None) -> Mode:
    legacy = mcs is None
    return Mode(
        bits_per_carrier=bits_per_carrier,
        code_rate=Fraction(code_rate),
        data_carriers=LEGACY_DATA_CARRIERS if legacy else HT_DATA_CARRIERS,
        interleaver_columns=16 if legacy else 13,
        mcs=mcs,
    )


# Table 17-6; the key is RATE, its bit R1 (sent first) on the left.
LEGACY_MODES: Final = {
    "1101": _mode(1, "1/2"),
    "1111": _mode(1, "3/4"),
    "0101": _mode(2, "1/2"),
    "0111": _mode(2, "3/4"),
    "1001": _mode(4, "1/2"),
    "1011": _mode(4, "3/4"),
    "0001": _mode(6, "2/3"),
    "0011": _mode(6, "3/4"),
}
"""Legacy modes by the RATE bits of L-SIG: 6, 9, 12, 18, 24, 36, 48, 54 Mb/s."""

SIGNAL_MODE: Final = LEGACY_MODES["1101"]
"""How L-SIG and HT-SIG are sent."""

HT_MODES: Final = (
    _mode(1, "1/2", 0),
    _mode(2, "1/2", 1),
    _mode(2, "3/4", 2),
    _mode(4, "1/2", 3),
    _mode(4, "3/4", 4),
    _mode(6, "2/3", 5),
    _mode(6, "3/4", 6),
    _mode(6, "5/6", 7),
)
"""HT modes of one stream by their MCS index, Table 19-27."""
