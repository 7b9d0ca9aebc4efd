"""What became of a capture: how much was recorded, what was lost, and why it ended."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

__all__ = ["CaptureEnd", "CaptureSummary"]


class CaptureEnd(StrEnum):
    """Why a capture ended."""

    COMPLETE = "complete"
    """All samples that were asked for."""
    STREAM_END = "end"
    """The radio has no more samples: a recording that was played to its end."""
    INTERRUPTED = "interrupted"
    """Ctrl-C, or the caller's `stop`."""
    DISCONNECTED = "disconnected"
    """The device is gone."""
    STALLED = "stalled"
    """No sample came for too long."""
    FAILED = "failed"
    """The radio or the disk failed."""

    @property
    def is_failure(self) -> bool:
        """Return whether it ended although nobody wanted it to."""
        return self in (CaptureEnd.DISCONNECTED, CaptureEnd.STALLED, CaptureEnd.FAILED)


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptureSummary:
    """What a capture recorded; the recording is valid whatever ended it.

    Attributes:
        path: The recording.
        num_samples: Samples per channel in it.
        sample_rate_hz: As the device reported it [Hz].
        center_frequency_hz: As the device reported it [Hz].
        num_channels: Channels in it.
        num_segments: Stretches without a gap, one capture segment each.
        lost_samples: Samples missing between them; None: not known for one of the gaps.
        events: How often each `StreamEvent` occurred.
        num_clipped: Samples at or beyond full scale.
        ended_by: Why it ended.
        detail: The driver's or the system's own words, where it ended early.
        start_missed: It was to start at a time, and began later.
    """

    path: Path
    num_samples: int
    sample_rate_hz: float
    center_frequency_hz: float | None
    num_channels: int
    num_segments: int
    lost_samples: int | None
    events: Mapping[str, int]
    num_clipped: int
    ended_by: CaptureEnd
    detail: str
    start_missed: bool = False

    @property
    def is_failure(self) -> bool:
        """Return whether it is not what was asked for, although nobody ended it."""
        return self.ended_by.is_failure or self.start_missed

    @property
    def duration_s(self) -> float:
        """Return the length of what was recorded, without the gaps [s]."""
        return self.num_samples / self.sample_rate_hz

    def line(self) -> str:
        """Return the summary as one line for people."""
        parts = [
            f"{self.path}: {self.num_samples} samples ({self.duration_s:.3f} s) at "
            f"{self.sample_rate_hz / 1e6:g} Msps"
        ]
        if self.num_channels > 1:
            parts.append(f"{self.num_channels} channels")
        if self.num_segments > 1:
            lost = "an unknown number of" if self.lost_samples is None else self.lost_samples
            parts.append(f"{self.num_segments - 1} gaps, {lost} samples lost")
        parts += [f"{event} x{count}" for event, count in self.events.items()]
        if self.start_missed:
            parts.append("the time to start at was missed, it began later")
        if self.num_clipped:
            parts.append(f"{self.num_clipped} clipped")
        if self.ended_by is not CaptureEnd.COMPLETE:
            parts.append(f"{self.ended_by} {self.detail}".rstrip())
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary with JSON types only."""
        values = asdict(self) | {"duration_s": self.duration_s}
        return values | {"path": str(self.path), "ended_by": str(self.ended_by)}
