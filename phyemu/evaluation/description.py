"""What a recording holds: our frames, sounding bursts, Wi-Fi frames, or nothing that is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phyemu.errors import SyncError
from phyemu.iq import Recording
from phyemu.listening import frame_line, frame_values, recorded_frames
from phyemu.progress import ProgressCallback, no_progress
from phyemu.receiver import FrameStatus
from phyemu.sounding import sound_recording
from phyemu.sounding.summary import describe, summarise
from phyemu.waveform.sent_frames import sent_frames

__all__ = ["RecordingDescription", "describe_recording"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordingDescription:
    """What was found in a recording.

    Attributes:
        kind: "frames", "sounder", "wifi", or "nothing".
        summary: The numbers for programs.
        lines: The same for people.
    """

    kind: str
    summary: Mapping[str, Any]
    lines: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Return what `phyemu replay --json` prints."""
        return {"kind": self.kind, **self.summary}


def describe_recording(
    recording: Recording, *, channel: int = 0, progress: ProgressCallback = no_progress
) -> RecordingDescription:
    """Return what a recording holds, judged by its metadata and by what is detected.

    A recording whose metadata names a frame format is received; any other is sounded: with the
    sounder that its metadata names, or by the preambles of 802.11.

    Args:
        recording: Open recording.
        channel: Which of its channels.
        progress: Told of each stage.

    Raises:
        RecordingError: The metadata about the waveform cannot be used.
        SignalError: The samples do not suit the waveform.
    """
    if "phyemu:frame_format" in recording.global_fields:
        return _describe_frames(recording, channel, progress)
    return _describe_soundings(recording, progress)


def _describe_frames(
    recording: Recording, channel: int, progress: ProgressCallback
) -> RecordingDescription:
    sent = sent_frames(recording.global_fields, name=recording.path.name)
    frames = recorded_frames(recording, sent, channel=channel, progress=progress)
    if not frames:
        return _nothing(recording, "no frame of the format that its metadata names was detected")
    status = Counter(frame.status for frame in frames)
    good = [frame for frame in frames if frame.status is FrameStatus.OK]
    rate_hz = recording.sample_rate_hz
    details = [frame_values(frame, rate_hz) for frame in frames]
    summary = {
        "recording": recording.path.name,
        "frames": len(frames),
        "ok": status[FrameStatus.OK],
        "partial": status[FrameStatus.PARTIAL],
        "truncated": status[FrameStatus.TRUNCATED],
        "header_errors": status[FrameStatus.HEADER_ERROR],
        "snr_db": _quantiles([frame.snr_db for frame in good]),
        "cfo_hz": _quantiles([frame.cfo_hz for frame in good]),
        "evm_db": _quantiles([frame.evm_db for frame in good]),
        "details": details,
    }
    table = sent.constellation
    lines = [
        f"{recording.path.name}: {len(frames)} frames of {table.order}-{table.name}, "
        f"{summary['ok']} whole, {summary['truncated']} truncated, "
        f"{summary['header_errors']} with a damaged header"
    ]
    lines += [f"  {frame_line(frame, rate_hz)}" for frame in frames]
    return RecordingDescription(kind="frames", summary=summary, lines=lines)


def _describe_soundings(recording: Recording, progress: ProgressCallback) -> RecordingDescription:
    try:
        soundings = sound_recording(recording, progress=progress)
    except SyncError as error:
        return _nothing(recording, str(error))
    if not soundings:
        return _nothing(recording, "nothing was detected")
    return RecordingDescription(
        kind=soundings[0].probe, summary=summarise(soundings), lines=describe(soundings)
    )


def _nothing(recording: Recording, reason: str) -> RecordingDescription:
    return RecordingDescription(
        kind="nothing",
        summary={"recording": recording.path.name, "frames": 0, "reason": reason},
        lines=[f"{recording.path.name}: nothing found that phyemu knows: {reason}"],
    )


def _quantiles(values: list[float]) -> dict[str, float | None]:
    if not values:
        return {"median": None, "p05": None, "p95": None}
    p05, median, p95 = np.percentile(values, [5, 50, 95]).tolist()
    return {"median": median, "p05": p05, "p95": p95}
