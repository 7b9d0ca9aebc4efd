"""The frames that a recording says it holds: what a receiver must be told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phyemu.errors import ConfigError, RecordingError
from phyemu.waveform.constellation import Constellation, described_constellation
from phyemu.waveform.frame_format import FrameFormat

__all__ = ["SentFrames", "sent_frames", "sounder_refusal"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SentFrames:
    """What a transmitter of frames and its receiver must share.

    Attributes:
        frame_format: Its settings.
        constellation: Of the payload, on the CPU.
    """

    frame_format: FrameFormat
    constellation: Constellation


def sent_frames(fields: Mapping[str, Any], *, name: str) -> SentFrames:
    """Return what the metadata of a recording say of the frames in it.

    Args:
        fields: SigMF global fields.
        name: Of the recording, for messages.

    Raises:
        RecordingError: They name no frames, the sounder, or something that cannot be used.
    """
    refusal = sounder_refusal(fields, name=name)
    if refusal:
        raise RecordingError(refusal)
    if "phyemu:frame_format" not in fields:
        raise RecordingError(
            f"{name}: its metadata name no frames (phyemu:frame_format); say what was sent, as "
            f"with --like TX.sigmf, or see what it holds: phyemu replay {name}"
        )
    values, named = fields["phyemu:frame_format"], fields.get("phyemu:constellation")
    if not isinstance(values, Mapping):
        raise RecordingError(f"{name}: phyemu:frame_format must be an object, got {values!r}")
    if not isinstance(named, Mapping) or not {"name", "order"} <= named.keys():
        raise RecordingError(
            f"{name}: phyemu:frame_format is there, but phyemu:constellation is {named!r}; it must "
            f"be an object with name and order"
        )
    try:
        return SentFrames(
            frame_format=FrameFormat.from_dict(values),
            constellation=described_constellation(named),
        )
    except (ConfigError, TypeError) as exc:
        raise RecordingError(f"{name}: {exc}") from exc


def sounder_refusal(fields: Mapping[str, Any], *, name: str) -> str:
    """Return why a recording of the sounder holds no frames; empty where it is none.

    Args:
        fields: SigMF global fields.
        name: Of the recording.
    """
    if "phyemu:sounder" not in fields or "phyemu:frame_format" in fields:
        return ""
    return f"{name}: holds sounding bursts, no frames; sound it: phyemu sound {name}"
