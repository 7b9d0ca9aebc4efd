"""From a recording to a time series of channel responses: detect, estimate, align, extract."""

from phyemu.sounding.calibration import Calibration, calibration_of
from phyemu.sounding.collection import (
    SoundedFile,
    SoundingJob,
    choose_scheduler,
    load_calibration,
    output_names,
    sound_all,
    sound_file,
    sources_in,
)
from phyemu.sounding.config import Probe, SoundingConfig
from phyemu.sounding.front_end import Estimate, FrontEndEstimate
from phyemu.sounding.joining import join_soundings
from phyemu.sounding.paths import PathModel, extract_paths, fit_gains
from phyemu.sounding.sound import sound_recording
from phyemu.sounding.sounding import Sounding, on_common_frequencies
from phyemu.sounding.store import load_soundings, save_soundings

__all__ = [
    "Calibration",
    "Estimate",
    "FrontEndEstimate",
    "PathModel",
    "Probe",
    "SoundedFile",
    "Sounding",
    "SoundingConfig",
    "SoundingJob",
    "calibration_of",
    "choose_scheduler",
    "extract_paths",
    "fit_gains",
    "join_soundings",
    "load_calibration",
    "load_soundings",
    "on_common_frequencies",
    "output_names",
    "save_soundings",
    "sound_all",
    "sound_file",
    "sound_recording",
    "sources_in",
]
