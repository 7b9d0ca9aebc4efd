"""Which frames a link damages: preamble, SIGNAL and PSDU, at the SNR of their first moment."""

import random
from functools import lru_cache
from typing import Final

from phyemu.fullstack.link import BITS_PER_CARRIER, WifiLink
from phyemu.fullstack.rates import PhyRate, chosen_rate, phy_rate

__all__ = ["FrameErrors", "Reception"]

_DETECTION_SNR_DB: Final = 4.0  # as ns-3's ThresholdPreambleDetectionModel
_SIGNAL_BITS: Final = 24

Reception = tuple[bool, bool]
"""Whether the frame was noticed at all, and whether it arrived."""


class FrameErrors:
    """Draws what happens to frames, and remembers what each end knows of the SNR."""

    def __init__(self, link: WifiLink, generator: random.Random) -> None:
        """Draw from `generator`, which advances."""
        self._link = link
        self._generator = generator
        self._reported: list[dict[int, float] | None] = [None, None]

    def receive(self, rate: PhyRate, psdu_bytes: int, time_ns: int) -> Reception:
        """Return whether a frame sent at `time_ns` is noticed, and whether it arrives."""
        trace = self._link.snr
        interval = trace.index(time_ns * 1e-9)
        if trace.mean_snr_db[interval] < _DETECTION_SNR_DB:
            return False, False
        snr_db = trace.snr_db[interval]
        own_db = float(snr_db[BITS_PER_CARRIER.index(rate.mode.bits_per_carrier)])
        arrives = _success_rate(rate.rate_mbps, own_db, psdu_bytes)
        return True, self._generator.random() < _signal_rate(float(snr_db[0])) * arrives

    def rate(self, station: int) -> PhyRate:
        """Return the rate that a station sends at now."""
        if self._link.rate_mbps is not None:
            return phy_rate(self._link.rate_mbps)
        reported = self._reported[station]
        return phy_rate(6) if reported is None else chosen_rate(reported)

    def report(self, station: int, time_ns: int) -> None:
        """Let a station learn the SNR at which its frame of `time_ns` arrived."""
        if self._link.rate_mbps is None:
            trace = self._link.snr
            snr_db = trace.snr_db[trace.index(time_ns * 1e-9)]
            pairs = zip(BITS_PER_CARRIER, snr_db, strict=True)
            self._reported[station] = {bits: float(value) for bits, value in pairs}


@lru_cache(maxsize=16384)
def _success_rate(rate_mbps: int, snr_db: float, psdu_bytes: int) -> float:
    return phy_rate(rate_mbps).success_rate(snr_db, psdu_bytes)


@lru_cache(maxsize=16384)
def _signal_rate(snr_db: float) -> float:
    return float((1 - phy_rate(6).bit_error_rate(snr_db)) ** _SIGNAL_BITS)
