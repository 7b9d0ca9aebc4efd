"""From a recording to a time series of channel responses: detect, estimate, align, extract."""

from phyemu.sounding.config import Probe, SoundingConfig
from phyemu.sounding.front_end import Estimate, FrontEndEstimate
from phyemu.sounding.sounding import Sounding

__all__ = ["Estimate", "FrontEndEstimate", "Probe", "Sounding", "SoundingConfig"]
