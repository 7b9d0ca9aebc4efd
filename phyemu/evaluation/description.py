"""What a recording holds: our frames, sounding bursts, Wi-Fi frames, or nothing that is known."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phyemu.errors import RecordingError, SyncError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.receiver import FrameReceiver, FrameStatus, ReceivedFrame
from phyemu.sounding import sound_recording
from phyemu.sounding.summary import describe, summarise
from phyemu.waveform import FrameFormat, constellation

__all__ = ["RecordingDescription", "describe_recording"]

_BLOCK_SAMPLES = 1 << 20


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
    fields = recording.global_fields
    named: Any = fields.get("phyemu:constellation")
    if not isinstance(named, Mapping) or not {"name", "order"} <= named.keys():
        raise RecordingError(
            f"{recording.path.name}: phyemu:frame_format is there, but phyemu:constellation is "
            f"{named!r}; it must be an object with name and order"
        )
    receiver = FrameReceiver(
        FrameFormat.from_dict(fields["phyemu:frame_format"]),
        constellation(named["name"], named["order"]),
    )
    frames: list[ReceivedFrame] = []
    for start in range(0, recording.num_samples, _BLOCK_SAMPLES):
        count = min(_BLOCK_SAMPLES, recording.num_samples - start)
        frames += receiver.process(recording.read(start, count, channel=channel))
        progress("receive", start + count, recording.num_samples)
    frames += receiver.finish()
    if not frames:
        return _nothing(recording, "no frame of the format that its metadata names was detected")
    status = Counter(frame.status for frame in frames)
    good = [frame for frame in frames if frame.status is FrameStatus.OK]
    details = [
        {
            "sample_start": frame.sample_start,
            "samples": frame.sample_count,
            "status": str(frame.status),
            "frame_index": frame.frame_index,
            "payload_symbols": len(frame.points),
            "snr_db": frame.snr_db,
            "cfo_hz": frame.cfo_hz,
            "evm_db": frame.evm_db,
        }
        for frame in frames
    ]
    summary = {
        "recording": recording.path.name,
        "frames": len(frames),
        "ok": status[FrameStatus.OK],
        "truncated": status[FrameStatus.TRUNCATED],
        "header_errors": status[FrameStatus.HEADER_ERROR],
        "snr_db": _quantiles([frame.snr_db for frame in good]),
        "cfo_hz": _quantiles([frame.cfo_hz for frame in good]),
        "evm_db": _quantiles([frame.evm_db for frame in good]),
        "details": details,
    }
    lines = [
        f"{recording.path.name}: {len(frames)} frames of {named['order']}-{named['name']}, "
        f"{summary['ok']} whole, {summary['truncated']} truncated, "
        f"{summary['header_errors']} with a damaged header"
    ]
    lines += [
        f"  sample {frame.sample_start:>10}  "
        f"{'frame ' + str(frame.frame_index) if frame.frame_index is not None else '-':<11} "
        f"{frame.status:<12} {len(frame.points):>6} symbols  SNR {frame.snr_db:5.1f} dB  "
        f"CFO {frame.cfo_hz / 1e3:7.2f} kHz  EVM {frame.evm_db:6.1f} dB"
        for frame in frames
    ]
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
