"""From soundings to a channel model: paths, fading, Doppler, noise, front end, and the check."""

from phyemu.fitting.config import FitConfig, FitMethod
from phyemu.fitting.fit import Fit, Interval, PathFit
from phyemu.fitting.fit_channel import fit_channel

__all__ = ["Fit", "FitConfig", "FitMethod", "Interval", "PathFit", "fit_channel"]
