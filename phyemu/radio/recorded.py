"""A recording played as if it were a radio."""

import bisect
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.iq import CaptureSegment, Recording
from phyemu.radio.radio import Radio, receive_buffer
from phyemu.radio.stream import ReceivedBlock, StreamEvent, Transmission, TransmitSource

__all__ = ["RecordedRadio"]


class RecordedRadio(Radio):
    """Receives what a recording holds, with its gaps where they were.

    A gap between two capture segments (`core:global_index`) is played as a gap: the block after it
    reports the samples that are missing. At the end the stream ends, or starts over.
    """

    def __init__(
        self,
        recording: Recording,
        *,
        sample_start: int = 0,
        loop: bool = False,
        real_time: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Get ready to play; the recording stays the caller's to close.

        Args:
            recording: What to play.
            sample_start: First sample to play, 0 <= sample_start < the number of samples. A loop
                starts over at the recording's first sample.
            loop: Start over at the end, without a gap, instead of ending.
            real_time: Hand samples over no sooner than a radio would; as fast as possible
                otherwise.
            clock: Seconds of a clock that never runs backwards, for real time.
            sleep: Waits for so many seconds.

        Raises:
            ConfigError: `sample_start` lies outside the recording, or it is empty.
        """
        if not 0 <= sample_start < recording.num_samples:
            raise ConfigError(
                f"{recording.path.name}: sample_start must be in 0..{recording.num_samples - 1}, "
                f"got {sample_start}"
            )
        self._recording = recording
        self._starts = [segment.sample_start for segment in recording.captures]
        self._loop = loop
        self._real_time = real_time
        self._clock = clock
        self._sleep = sleep
        self._position = sample_start
        self._next_index = 0
        self._start_time: float | None = None
        self._closed = False

    @property
    def name(self) -> str:
        """Return the file name of the recording."""
        return self._recording.path.name

    @property
    def sample_rate_hz(self) -> float:
        """Return the sample rate of the recording [Hz]."""
        return self._recording.sample_rate_hz

    @property
    def center_frequency_hz(self) -> float | None:
        """Return the center frequency of the recording [Hz]."""
        return self._recording.center_frequency_hz

    @property
    def num_channels(self) -> int:
        """Return the number of channels of the recording."""
        return self._recording.num_channels

    @property
    def live(self) -> bool:
        """Return False: the samples were received before."""
        return False

    def metadata(self) -> Mapping[str, Any]:
        """Return the recording's fields on its hardware and on what was sent."""
        fields = self._recording.global_fields
        return {
            key: value for key, value in fields.items() if key == "core:hw" or key[:7] == "phyemu:"
        }

    def receive(self, num_samples: int, out: NDArray[np.complex64] | None = None) -> ReceivedBlock:
        """Return the next samples, at most up to the next gap.

        Raises:
            SignalError: `num_samples` or `out` does not fit.
            RadioError: The radio is closed.
            RecordingError: The recording can no longer be read.
        """
        if self._closed:
            raise RadioError(f"{self.name}: the radio is closed")
        buffer = receive_buffer(num_samples, self.num_channels, out)
        if self._position == self._recording.num_samples and self._loop:
            self._position = 0
        if self._position == self._recording.num_samples:
            return ReceivedBlock(
                iq=buffer[:, :0], sample_index=self._next_index, event=StreamEvent.END
            )
        lost, end = self._surroundings(self._position)
        count = min(num_samples, end - self._position)
        # A played gap takes its time; one of unknown length takes none.
        index = self._next_index + (lost or 0)
        if self._next_index == 0:
            lost, index = 0, 0
        buffer[:, :count] = self._recording.read_channels(self._position, count)
        if self._real_time:
            self._wait_for(index + count)
        self._position += count
        self._next_index = index + count
        return ReceivedBlock(
            iq=buffer[:, :count],
            sample_index=index,
            lost_samples=lost,
            event=None if lost == 0 else StreamEvent.RECORDED_GAP,
        )

    def _surroundings(self, position: int) -> tuple[int | None, int]:
        """Return the samples missing right before `position`, and where its segment ends."""
        captures = self._recording.captures
        # The first segment that begins behind the position; a recording of bursts has thousands.
        after = bisect.bisect_right(self._starts, position)
        end = self._starts[after] if after < len(captures) else self._recording.num_samples
        if after < 2 or self._starts[after - 1] != position:
            return 0, end
        return _gap(captures[after - 2], captures[after - 1]), end

    def _wait_for(self, sample_index: int) -> None:
        now = self._clock()
        if self._start_time is None:
            self._start_time = now
        due = self._start_time + sample_index / self.sample_rate_hz
        if due > now:
            self._sleep(due - now)

    def transmit(
        self, iq: TransmitSource, *, delay_s: float = 0.0, at_s: float | None = None
    ) -> Transmission:
        """Refuse: a recording hears nothing.

        Raises:
            RadioError: Always.
        """
        raise RadioError(f"{self.name}: a recording cannot transmit; use a USRP or a channel")

    def close(self) -> None:
        """End the stream."""
        self._closed = True


def _gap(before: CaptureSegment, segment: CaptureSegment) -> int | None:
    """Return the samples missing between two segments; None where the recording does not say."""
    if before.global_index is None or segment.global_index is None:
        # Segments without an index are retunings, not gaps, unless the recorder noted one.
        return None if "phyemu:gap" in segment.fields else 0
    length = segment.sample_start - before.sample_start
    return max(0, segment.global_index - before.global_index - length)
