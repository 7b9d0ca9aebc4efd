"""The result of fitting: a channel model, and what the measurement says about it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phyemu.channel import EmpiricalChannel, MeasuredChannel

__all__ = ["Fit", "Interval", "PathFit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate and the ends of its 95 % confidence interval, in the unit of its field."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def contains(self, truth: float) -> bool:
        """Return whether `truth` lies within the ends."""
        return self.low <= truth <= self.high


@dataclass(frozen=True, kw_only=True, slots=True)
class PathFit:
    """One path of the link.

    Attributes:
        delay_s: Delay after the first path [s].
        power: Mean power as a share of the link's, linear.
        gain_db: Mean power gain, received [full scale] over transmitted [dB].
        k_factor: Rician K, linear.
        family: Fading distribution that the amplitudes prefer: "rician", "rayleigh", "nakagami"
            or "lognormal".
        log_likelihoods: Mean log-likelihood of an amplitude under each family [nat].
        doppler_hz: Doppler scale of the diffuse part [Hz]; NaN where the record cannot tell.
    """

    delay_s: float
    power: Interval
    gain_db: Interval
    k_factor: Interval
    family: str
    log_likelihoods: Mapping[str, float]
    doppler_hz: Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """A fitted channel model with its evidence.

    Attributes:
        model: The channel model, path powers normalised to one.
        num_frames: Frames that the model was fitted to.
        effective_frames: How many independent frames they are worth, as fading correlates them.
        paths: The paths, ascending in delay.
        warnings: What the record cannot support, each a sentence.
    """

    model: EmpiricalChannel | MeasuredChannel
    num_frames: int
    effective_frames: float
    paths: tuple[PathFit, ...]
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Return what `phyemu fit --json` prints: plain numbers in SI units."""
        return {"frames": self.num_frames, "warnings": list(self.warnings)}
