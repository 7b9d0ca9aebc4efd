"""The eight rates of 802.11a: how long frames take at each, and how probably they arrive.

Times follow IEEE Std 802.11-2020, Equation (17-29) and Table 17-21. Error rates are those of the
NIST model that ns-3 uses (G. Pei, T. Henderson, "Validation of OFDM error rate model in ns-3",
2010): the union bound over the distance spectrum of the K = 7 code with hard decisions, behind the
raw error rate of Gray-mapped BPSK and QAM,

    p_coded <= 1 / (2 k) sum over d of c_d D^d,   D = sqrt(4 p (1 - p)),   rate k / (k + 1),

with the spectra of Frenger, Orten and Ottosson (1999) and Haccoun and Begin (1989). Bit errors at
the decoder count as independent, so a frame of n bits arrives with (1 - p_coded)^n.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

from phyemu.errors import ConfigError
from phyemu.wifi.modes import LEGACY_MODES, Mode

__all__ = [
    "ACK_BYTES",
    "DIFS_S",
    "PREAMBLE_S",
    "RATES_MBPS",
    "SIFS_S",
    "SIGNAL_S",
    "SLOT_S",
    "PhyRate",
    "basic_rate",
    "chosen_rate",
    "phy_rate",
    "raw_error_rate",
]

SLOT_S: Final = 9e-6
SIFS_S: Final = 16e-6
DIFS_S: Final = SIFS_S + 2 * SLOT_S
PREAMBLE_S: Final = 16e-6
SIGNAL_S: Final = 4e-6
SYMBOL_S: Final = 4e-6
ACK_BYTES: Final = 14
_SERVICE_BITS: Final = 16
_TAIL_BITS: Final = 6
_SIGNAL_BITS: Final = 24
_BASIC_RATES_MBPS: Final = (6, 12, 24)

# c_d from the free distance on, by the code rate's numerator k.
_SPECTRA: Final = {
    1: {
        10: 36,
        12: 211,
        14: 1404,
        16: 11633,
        18: 77433,
        20: 502690,
        22: 3322763,
        24: 21292910,
        26: 134365911,
    },
    2: {
        6: 3,
        7: 70,
        8: 285,
        9: 1276,
        10: 6160,
        11: 27128,
        12: 117019,
        13: 498860,
        14: 2103891,
        15: 8784123,
    },
    3: {
        5: 42,
        6: 201,
        7: 1492,
        8: 10469,
        9: 62935,
        10: 379644,
        11: 2253373,
        12: 13073811,
        13: 75152755,
        14: 428005675,
    },
}
_TARGET_BIT_ERROR_RATE: Final = 1e-6


def raw_error_rate(bits_per_carrier: int, snr: float) -> float:
    """Return the share of wrong bits before decoding.

    The nearest-neighbour term of Gray-mapped square QAM: 2 / b (1 - 1 / sqrt(M)) erfc(sqrt(1.5 snr
    / (M - 1))) with M = 2^b; for BPSK erfc(sqrt(snr)) / 2, exact.

    Args:
        bits_per_carrier: b: 1, 2, 4 or 6.
        snr: Signal over noise power of a carrier, linear, >= 0.
    """
    if bits_per_carrier == 1:
        return math.erfc(math.sqrt(snr)) / 2
    points = 2**bits_per_carrier
    edge = 1 - 1 / math.sqrt(points)
    return 2 / bits_per_carrier * edge * math.erfc(math.sqrt(1.5 * snr / (points - 1)))


@dataclass(frozen=True, kw_only=True)
class PhyRate:
    """One of the eight rates.

    Attributes:
        rate_mbps: 6, 9, 12, 18, 24, 36, 48 or 54.
        mode: Its modulation and code.
    """

    rate_mbps: int
    mode: Mode

    def num_symbols(self, psdu_bytes: int) -> int:
        """Return how many OFDM symbols carry SERVICE, a PSDU, tail and pad bits."""
        bits = _SERVICE_BITS + 8 * psdu_bytes + _TAIL_BITS
        return -(-bits // self.mode.data_bits)

    def duration_s(self, psdu_bytes: int) -> float:
        """Return how long a frame is on the air [s], its preamble and SIGNAL included."""
        return PREAMBLE_S + SIGNAL_S + self.num_symbols(psdu_bytes) * SYMBOL_S

    def phy_bytes(self, psdu_bytes: int) -> float:
        """Return the bytes that SIGNAL, SERVICE, tail and pad bits add; the preamble holds none."""
        bits = _SIGNAL_BITS + self.num_symbols(psdu_bytes) * self.mode.data_bits
        return bits / 8 - psdu_bytes

    def bit_error_rate(self, snr_db: float) -> float:
        """Return the error rate behind the decoder at an SNR of each carrier [dB]."""
        p = raw_error_rate(self.mode.bits_per_carrier, 10 ** (snr_db / 10))
        d = math.sqrt(4 * p * (1 - p))
        k = self.mode.code_rate.numerator
        return min(sum(c * d**n for n, c in _SPECTRA[k].items()) / (2 * k), 1.0)

    def success_rate(self, snr_db: float, psdu_bytes: int) -> float:
        """Return how probably a frame arrives whose preamble and SIGNAL were received."""
        bits = self.num_symbols(psdu_bytes) * self.mode.data_bits
        return float((1 - self.bit_error_rate(snr_db)) ** bits)

    @property
    def least_snr_db(self) -> float:
        """Return the SNR at which one bit in a million is wrong [dB]."""
        return _least_snr_db(self.rate_mbps)


def _rates() -> dict[int, PhyRate]:
    rates = (PhyRate(rate_mbps=round(m.rate_mbps()), mode=m) for m in LEGACY_MODES.values())
    return {rate.rate_mbps: rate for rate in rates}


_RATES: Final = _rates()

RATES_MBPS: Final = tuple(_RATES)
"""The rates, ascending [Mbit/s]."""


@cache
def _least_snr_db(rate_mbps: int) -> float:
    low, high = -10.0, 50.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if _RATES[rate_mbps].bit_error_rate(middle) > _TARGET_BIT_ERROR_RATE:
            low = middle
        else:
            high = middle
    return high


def phy_rate(rate_mbps: int) -> PhyRate:
    """Return the rate of that many Mbit/s.

    Raises:
        ConfigError: 802.11a has no such rate.
    """
    if rate_mbps not in _RATES:
        allowed = ", ".join(map(str, RATES_MBPS))
        raise ConfigError(f"rate_mbps must be one of {allowed}; got {rate_mbps}")
    return _RATES[rate_mbps]


def basic_rate(rate: PhyRate) -> PhyRate:
    """Return the rate of the acknowledgement: the highest of 6, 12, 24 that is not above `rate`."""
    return _RATES[max(basic for basic in _BASIC_RATES_MBPS if basic <= rate.rate_mbps)]


def chosen_rate(snr_db: dict[int, float]) -> PhyRate:
    """Return the highest rate that makes at most one bit error in a million; 6 where none does.

    It is the rule of ns-3's IdealWifiManager.

    Args:
        snr_db: The SNR that the receiver reported, by bits per carrier [dB].
    """
    good = [r for r in _RATES.values() if snr_db[r.mode.bits_per_carrier] >= r.least_snr_db]
    return good[-1] if good else _RATES[6]
