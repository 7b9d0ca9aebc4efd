"""The radio link of a transfer: its SNR over time, its rate, its limits."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.fullstack.rates import RATES_MBPS

__all__ = ["BITS_PER_CARRIER", "SnrTrace", "WifiLink"]

BITS_PER_CARRIER: Final = (1, 2, 4, 6)
"""Of BPSK, QPSK, 16-QAM and 64-QAM, in the order of the columns of `SnrTrace.snr_db`."""

# An IP datagram that holds a TCP header with options and something behind it; 802.11's own limit.
_MTU_BYTES: Final = (128, 2304 - 8)
_MAX_RETRY_LIMIT: Final = 127


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SnrTrace:
    """The SNR of an OFDM link over time; behind its end it begins again.

    Attributes:
        snr_db: For each interval the SNR of the flat channel that is as good for each modulation
            (`BITS_PER_CARRIER`), (num_intervals, 4), float64 [dB]; signal over noise power in the
            carriers.
        mean_snr_db: For each interval that of all carriers together, by which a receiver notices a
            frame, (num_intervals,), float64 [dB].
        interval_s: How long each lasts [s].
    """

    snr_db: NDArray[np.float64]
    mean_snr_db: NDArray[np.float64]
    interval_s: float

    def __post_init__(self) -> None:
        """Refuse what no link could have.

        Raises:
            ConfigError: A shape or value contradicts the above.
        """
        shape = self.snr_db.shape
        if len(shape) != 2 or shape[0] < 1 or shape[1] != len(BITS_PER_CARRIER):
            raise ConfigError(f"snr_db must be (num_intervals, 4), got {shape}")
        if self.mean_snr_db.shape != shape[:1]:
            raise ConfigError(
                f"mean_snr_db must be ({shape[0]},) as snr_db, got {self.mean_snr_db.shape}"
            )
        if np.isnan(self.snr_db).any() or np.isnan(self.mean_snr_db).any():
            raise ConfigError("snr_db or mean_snr_db holds NaN")
        if not 0 < self.interval_s < float("inf"):
            raise ConfigError(f"interval_s must be finite and positive, got {self.interval_s}")

    @classmethod
    def constant(cls, snr_db: float) -> "SnrTrace":
        """Return a flat link that stays at `snr_db` [dB]."""
        return cls(
            snr_db=np.full((1, len(BITS_PER_CARRIER)), float(snr_db)),
            mean_snr_db=np.full(1, float(snr_db)),
            interval_s=1.0,
        )

    def index(self, time_s: float) -> int:
        """Return the interval in which a time >= 0 [s] lies."""
        return int(time_s / self.interval_s) % len(self.snr_db)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class WifiLink:
    """IEEE 802.11a between a mobile device and an edge server in reach of each other.

    Attributes:
        snr: Its SNR over time, the same both ways.
        rate_mbps: 6, 9, 12, 18, 24, 36, 48 or 54; None: for each frame the highest rate whose error
            rate was below 1e-6 per bit at the SNR of the last exchange (`rates.chosen_rate`).
        mtu_bytes: Largest IP datagram, 128 to 2296.
        retry_limit: How often the MAC sends a frame at most, 1 to 127.
    """

    snr: SnrTrace
    rate_mbps: int | None = None
    mtu_bytes: int = 1500
    retry_limit: int = 7

    def __post_init__(self) -> None:
        """Refuse what the standard does not know.

        Raises:
            ConfigError: A value is out of range.
        """
        if self.rate_mbps is not None and self.rate_mbps not in RATES_MBPS:
            allowed = ", ".join(map(str, RATES_MBPS))
            raise ConfigError(f"rate_mbps must be one of {allowed}, or None; got {self.rate_mbps}")
        least, most = _MTU_BYTES
        if not least <= self.mtu_bytes <= most:
            raise ConfigError(f"mtu_bytes must be {least} to {most}, got {self.mtu_bytes}")
        if not 1 <= self.retry_limit <= _MAX_RETRY_LIMIT:
            raise ConfigError(
                f"retry_limit must be 1 to {_MAX_RETRY_LIMIT}, got {self.retry_limit}"
            )

    @classmethod
    def at_snr(cls, snr_db: float, rate_mbps: int | None = None) -> "WifiLink":
        """Return a flat link at a constant SNR [dB], with the usual MTU and retry limit."""
        return cls(snr=SnrTrace.constant(snr_db), rate_mbps=rate_mbps)
