"""How listening went: what became of the frames, what was lost, and how fast it was."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from phyemu.receiver import FrameStatus, ReceivedFrame
from phyemu.waveform import NUM_FRAME_INDICES

__all__ = ["FrameCounts", "ListeningEnd", "ListeningSummary"]

_FAR = NUM_FRAME_INDICES // 2


class ListeningEnd(StrEnum):
    """Why listening ended."""

    STREAM_END = "end"
    """No more samples can come."""
    COMPLETE = "complete"
    """All frames or samples that were asked for."""
    IDLE = "idle"
    """No sample came for the time given."""
    INTERRUPTED = "interrupted"
    """Ctrl-C, or the caller's `stop`."""
    DISCONNECTED = "disconnected"
    """The device is gone."""

    @property
    def is_failure(self) -> bool:
        """Return whether it ended although nobody wanted it to."""
        return self is ListeningEnd.DISCONNECTED


@dataclass(frozen=True, kw_only=True, slots=True)
class ListeningSummary:
    """A stream that was listened to.

    Attributes:
        name: Where the samples came from.
        sample_rate_hz: [Hz].
        num_samples: Samples received, without those that are missing.
        elapsed_s: Time from the first sample on [s].
        realtime_factor: Time that the samples last, over the time that it took.
        frames: Frames by status.
        missing_frames: Frames whose indices were left out between two that were received, beyond
            those whose header failed in between.
        symbols: Payload symbols received.
        erased_symbols: Payload symbols of the frames found that were not.
        disturbed_symbols: Payload symbols whose noise stood out.
        gaps: Gaps in the stream.
        lost_samples: Samples missing in them; None: not known for one of them.
        bad_samples: Samples that were no finite numbers; they count as missing.
        events: How often each `StreamEvent` occurred.
        snr_db: Median over whole frames [dB]; None without any.
        evm_db: Likewise [dB].
        cfo_hz: Likewise [Hz].
        sfo_ppm: Likewise [ppm].
        ended_by: Why it ended.
        detail: The driver's own words, where it has any.
    """

    name: str
    sample_rate_hz: float
    num_samples: int
    elapsed_s: float
    realtime_factor: float
    frames: Mapping[str, int]
    missing_frames: int
    symbols: int
    erased_symbols: int
    disturbed_symbols: int
    gaps: int
    lost_samples: int | None
    bad_samples: int
    events: Mapping[str, int]
    snr_db: float | None
    evm_db: float | None
    cfo_hz: float | None
    sfo_ppm: float | None
    ended_by: ListeningEnd
    detail: str

    def line(self) -> str:
        """Return the summary as one line for people."""
        count = sum(self.frames.values())
        parts = [
            f"{self.name}: {count} frames in {self.num_samples} samples "
            f"({self.num_samples / self.sample_rate_hz:.3f} s): {self.frames['ok']} ok, "
            f"{self.frames['partial']} partial, {self.frames['truncated']} truncated, "
            f"{self.frames['header-error']} with a damaged header, {self.missing_frames} missing",
            f"{self.symbols} symbols",
        ]
        if self.erased_symbols or self.disturbed_symbols:
            parts.append(f"{self.erased_symbols} erased, {self.disturbed_symbols} disturbed")
        if self.snr_db is not None and self.evm_db is not None and self.cfo_hz is not None:
            parts.append(
                f"median SNR {self.snr_db:.1f} dB, EVM {self.evm_db:.1f} dB, "
                f"CFO {self.cfo_hz / 1e3:.2f} kHz"
            )
        if self.gaps:
            lost = "an unknown number of" if self.lost_samples is None else self.lost_samples
            parts.append(f"{self.gaps} gaps, {lost} samples lost")
        if self.bad_samples:
            parts.append(f"{self.bad_samples} bad samples")
        parts.append(f"real time x {self.realtime_factor:.2f}")
        parts.append(f"ended: {self.ended_by} {self.detail}".rstrip())
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """Return the summary with JSON types only."""
        return asdict(self) | {"ended_by": str(self.ended_by)}


@dataclass(slots=True)
class FrameCounts:
    """What became of the frames so far; bounded, however many there are."""

    status: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    symbols: int = 0
    erased: int = 0
    disturbed: int = 0
    _last_index: int | None = None
    _errors_since: int = 0
    _levels: list[tuple[float, float, float, float]] = field(default_factory=list)
    _stride: int = 1
    _num_whole: int = 0

    def add(self, frame: ReceivedFrame) -> None:
        """Count a frame."""
        self.status[str(frame.status)] += 1
        self.symbols += frame.received_symbols
        self.erased += frame.erased_symbols
        self.disturbed += frame.disturbed_symbols
        if frame.frame_index is None:
            self._errors_since += 1
            return
        if self._last_index is not None:
            ahead = (frame.frame_index - self._last_index) % NUM_FRAME_INDICES
            # Further than half the circle is a transmission that began anew.
            if 0 < ahead < _FAR:
                self.missing += max(0, ahead - 1 - self._errors_since)
        self._last_index, self._errors_since = frame.frame_index, 0
        if frame.status is FrameStatus.OK:
            if self._num_whole % self._stride == 0:
                level = (frame.snr_db, frame.evm_db, frame.cfo_hz, frame.sfo_ppm)
                self._levels.append(level)
            self._num_whole += 1
            if len(self._levels) >= _MOST_LEVELS:
                # Every other one is enough for a median.
                self._levels, self._stride = self._levels[::2], 2 * self._stride

    def medians(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Return the medians of SNR, EVM, CFO and SFO over whole frames; None without any."""
        if not self._levels:
            return None, None, None, None
        snr_db, evm_db, cfo_hz, sfo_ppm = np.median(np.array(self._levels), axis=0).tolist()
        return snr_db, evm_db, cfo_hz, sfo_ppm


_MOST_LEVELS = 8192
