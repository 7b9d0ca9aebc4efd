"""The result of fitting: a channel model, and what the measurement says about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phyemu.channel import EmpiricalChannel, FadingFamily, MeasuredChannel
from phyemu.fitting.fading_memory import FadingMemory
from phyemu.fitting.holdout import HoldoutReport
from phyemu.fitting.interval import Interval
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import RicianLink
from phyemu.units import power_to_db

__all__ = ["Fit", "FitEvidence", "PathFit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PathFit:
    """One path of the link.

    Attributes:
        delay_s: Delay after the first path [s].
        delay_interval_s: The same with its interval [s].
        power: Mean power as a share of the link's, linear.
        gain_db: Mean power gain, received [full scale] over transmitted [dB].
        k_factor: Rician K, linear.
        family: Fading distribution that the model draws.
        shape: Nakagami m or standard deviation of the log-normal ln |g|; 0 for the others.
        log_likelihoods: Mean log-likelihood of an amplitude under each family [nat].
        doppler_hz: Doppler scale of the diffuse part [Hz]; NaN where the record cannot tell.
    """

    delay_s: float
    delay_interval_s: Interval
    power: Interval
    gain_db: Interval
    k_factor: Interval
    family: FadingFamily
    shape: Interval
    log_likelihoods: Mapping[str, float]
    doppler_hz: Interval


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FitEvidence:
    """The measurement as the fit saw it: what a figure of the fit is drawn from.

    Attributes:
        frames: Frames that the model was fitted to.
        held_out: Frames that were kept back; None where none were.
        paths: Their path gains, with the noise in them.
        link: The fitted link in the scale of the gains.
        memory: Its fading over time.
    """

    frames: LinkFrames
    held_out: LinkFrames | None
    paths: PathGains
    link: RicianLink
    memory: FadingMemory


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Fit:
    """A fitted channel model with its evidence.

    Attributes:
        model: The channel model, path powers normalised to one.
        num_frames: Frames that the model was fitted to.
        effective_frames: How many independent frames they are worth, as fading correlates them.
        paths: The paths, ascending in delay.
        gain_db: Mean power gain of the link, received [full scale] over transmitted [dB].
        cn0_dbhz: Mean received power over noise power per hertz [dB Hz]. That of the model is for
            path powers that sum to one, and differs where paths interfere over the band.
        snr_db: The same over the noise in the measured band [dB].
        drift_db: Standard deviation of the local mean beyond small-scale fading [dB].
        drift_correlation_s: Its correlation time [s]; NaN where there is none or it is not told.
        cfo_hz: Mean carrier frequency offset [Hz]; how it wanders is `model.front_end.cfo_hz`.
        front_end: Means of the radios' impairments by the names of `FrontEnd`; what no sounding
            knows is left out.
        doppler_hz: Doppler scale of the link [Hz]; NaN where the record cannot tell.
        coherence_time_s: Lag at which the fading is correlated by one half [s]; NaN likewise.
        rms_delay_spread_s: Of the mean power delay profile [s], unresolved taps included
            (`band_delay_spread_s`).
        explained: Share of the received power that the paths hold, 0..1.
        correlated: Whether the record supports correlated diffuse parts.
        holdout: The held-out check; None where none was asked for or possible.
        warnings: What the record cannot support, each a sentence.
        evidence: What the figure is drawn from.
    """

    model: EmpiricalChannel | MeasuredChannel
    num_frames: int
    effective_frames: float
    paths: tuple[PathFit, ...]
    gain_db: float
    cn0_dbhz: Interval
    snr_db: Interval
    drift_db: float
    drift_correlation_s: float
    cfo_hz: Interval
    front_end: Mapping[str, Interval]
    doppler_hz: Interval
    coherence_time_s: float
    rms_delay_spread_s: Interval
    explained: float
    correlated: bool
    holdout: HoldoutReport | None
    warnings: tuple[str, ...]
    evidence: FitEvidence

    def summary(self) -> dict[str, Any]:
        """Return what `phyemu fit --json` prints: plain numbers in SI units."""
        return {
            "name": self.model.name,
            "frames": self.num_frames,
            "effective_frames": self.effective_frames,
            "paths": [_path_summary(path) for path in self.paths],
            "gain_db": self.gain_db,
            "doppler_hz": _finite(self.doppler_hz.value),
            "doppler_hz_interval": _ends(self.doppler_hz),
            "coherence_time_s": _finite(self.coherence_time_s),
            "rms_delay_spread_s": self.rms_delay_spread_s.value,
            "rms_delay_spread_s_interval": _ends(self.rms_delay_spread_s),
            "snr_db": self.snr_db.value,
            "snr_db_interval": _ends(self.snr_db),
            "cn0_dbhz": self.cn0_dbhz.value,
            "cn0_dbhz_interval": _ends(self.cn0_dbhz),
            "drift_db": self.drift_db,
            "drift_correlation_s": _finite(self.drift_correlation_s),
            "cfo_hz": self.cfo_hz.value,
            "cfo_hz_interval": _ends(self.cfo_hz),
            "front_end": {
                name: {
                    "mean": interval.value,
                    "interval": _ends(interval),
                    "std": getattr(self.model.front_end, name).std,
                }
                for name, interval in self.front_end.items()
            },
            "explained_power": self.explained,
            "correlated": self.correlated,
            "holdout": None if self.holdout is None else self.holdout.summary(),
            "warnings": list(self.warnings),
        }


def _path_summary(path: PathFit) -> dict[str, Any]:
    return {
        "delay_s": path.delay_s,
        "delay_s_interval": _ends(path.delay_interval_s),
        "gain_db": path.gain_db.value,
        "gain_db_interval": _ends(path.gain_db),
        "power": path.power.value,
        "power_interval": _ends(path.power),
        "k_factor_db": _decibel(path.k_factor.value),
        "k_factor_db_interval": [_decibel(path.k_factor.low), _decibel(path.k_factor.high)],
        "family": str(path.family),
        "shape": path.shape.value,
        "shape_interval": _ends(path.shape),
        "log_likelihoods": dict(path.log_likelihoods),
        "doppler_hz": _finite(path.doppler_hz.value),
        "doppler_hz_interval": _ends(path.doppler_hz),
    }


def _decibel(value: float) -> float | None:
    """Return the value in dB; None for 0 and NaN, which JSON cannot hold."""
    return _finite(power_to_db(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _ends(interval: Interval) -> list[float | None]:
    return [_finite(interval.low), _finite(interval.high)]
