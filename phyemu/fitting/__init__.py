"""From soundings to a channel model: paths, fading, Doppler, noise, front end, and the check."""

from phyemu.fitting.config import FitConfig, FitMethod
from phyemu.fitting.fit import Fit, FitEvidence, PathFit
from phyemu.fitting.fit_channel import fit_channel
from phyemu.fitting.holdout import HoldoutReport
from phyemu.fitting.interval import Interval

__all__ = [
    "Fit",
    "FitConfig",
    "FitEvidence",
    "FitMethod",
    "HoldoutReport",
    "Interval",
    "PathFit",
    "fit_channel",
]
