"""The band that a signal takes, held against the band that is emulated."""

from collections.abc import Mapping
from typing import Any

from phyemu.iq import Recording
from phyemu.waveform.sent_frames import sent_frames

__all__ = ["band_problem", "occupied_hz"]

# Rates are stated to some digits only.
_TOLERANCE = 1e-6


def occupied_hz(recording: Recording) -> float:
    """Return the band of what a recording holds: that of its frames, else its sample rate [Hz].

    The sounder's chips come at the sample rate; of a foreign waveform nobody says more.
    """
    fields: Mapping[str, Any] = recording.global_fields
    if "phyemu:frame_format" in fields:
        return sent_frames(fields, name=recording.path.name).frame_format.bandwidth_hz
    return recording.sample_rate_hz


def band_problem(signal_hz: float, emulated_hz: float | None) -> str:
    """Return one line where a signal is wider than the emulated band; empty where it is not.

    Args:
        signal_hz: Band that the signal takes [Hz].
        emulated_hz: Band that the environment gives [Hz]; None: it does not say.
    """
    if emulated_hz is None or signal_hz <= emulated_hz * (1 + _TOLERANCE):
        return ""
    return (
        f"the signal takes {signal_hz / 1e6:g} MHz, but the emulated band has "
        f"{emulated_hz / 1e6:g} MHz"
    )
