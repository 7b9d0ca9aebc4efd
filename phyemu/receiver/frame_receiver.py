"""The receiver: a stream of samples in, frames out."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.receiver.config import ReceiverConfig
from phyemu.receiver.decoding import FrameDecoder, PendingFrame
from phyemu.receiver.erasures import MissingSamples
from phyemu.receiver.received_frame import FrameStatus, ReceivedFrame
from phyemu.receiver.sample_buffer import SampleBuffer
from phyemu.waveform import Constellation, FrameFormat
from phyemu.waveform.detection import Detection, PreambleDetector

__all__ = ["FrameReceiver", "receive_frames"]

_SEARCH_SAMPLES = 1 << 15
_FIRST_SEARCH_SAMPLES = 1 << 9  # behind a frame, where the next one often follows at once


class FrameReceiver:
    """Finds and decodes every frame of a stream; give it the samples in blocks of any size.

    What comes out depends on the stream alone, not on the blocks. It holds at most one frame and
    one search window of samples.
    """

    def __init__(
        self,
        frame_format: FrameFormat,
        constellation: Constellation,
        config: ReceiverConfig | None = None,
    ) -> None:
        """Start with an empty stream.

        Args:
            frame_format: The settings of the transmitter.
            constellation: Of the payload.
            config: Settings of the receiver; None for the defaults.

        Raises:
            ConfigError: The settings contradict one another.
        """
        config = config or ReceiverConfig()
        max_cfo_hz = config.max_cfo_hz
        if max_cfo_hz is None:
            max_cfo_hz = 0.01 * frame_format.symbol_rate_hz
        self._format = frame_format
        self._decoder = FrameDecoder(frame_format, constellation.to("cpu"), config)
        self._detector = PreambleDetector(
            frame_format, max_cfo_hz=max_cfo_hz, false_alarm_rate=config.false_alarm_rate
        )
        self._buffer = SampleBuffer()
        self._missing = MissingSamples()
        self._longest = frame_format.frame_samples(frame_format.max_payload_symbols)
        self._position = 0  # next start to search
        self._starts = _FIRST_SEARCH_SAMPLES
        self._detection: Detection | None = None  # its sample_start counts from the stream's start
        self._pending: PendingFrame | None = None

    @property
    def num_samples(self) -> int:
        """Number of samples of the stream so far, those that are missing included."""
        return self._buffer.stop

    def process(self, iq: NDArray[np.complex64]) -> list[ReceivedFrame]:
        """Return the frames that the next samples complete, in order.

        Args:
            iq: The next samples, (num_samples,), complex64.

        Raises:
            SignalError: Wrong shape or type, NaN or infinite samples.
        """
        if iq.ndim != 1 or not np.iscomplexobj(iq):
            raise SignalError(
                f"need complex samples of shape (num_samples,), got {iq.dtype} {iq.shape}"
            )
        # A sum is finite only if all of its terms are.
        if len(iq) and not np.isfinite(iq.sum()) and not np.isfinite(iq).all():
            bad = self._buffer.stop + int(np.argmin(np.isfinite(iq)))
            raise SignalError(f"sample {bad} is NaN or infinite; cut it out of the recording first")
        self._buffer.append(iq.astype(np.complex64, copy=False))
        return self._advance(last=False)

    def skip(self, num_samples: int, *, exact: bool = True) -> list[ReceivedFrame]:
        """Return the frames that end because the next samples of the stream are missing.

        What is missing in the middle of a frame costs the symbols there (`FrameStatus.PARTIAL`). A
        gap that reaches behind the frame's end, is longer than any frame, or of unknown length ends
        it (`FrameStatus.TRUNCATED`).

        Args:
            num_samples: How many are missing, >= 0: the sample after them is that much later.
            exact: Whether that is known; otherwise at least so many are missing.

        Raises:
            SignalError: `num_samples` is negative.
        """
        if num_samples < 0:
            raise SignalError(f"num_samples missing must be >= 0, got {num_samples}")
        begin = self._buffer.stop
        if exact and num_samples <= self._longest:
            if num_samples:
                self._missing.add(begin, begin + num_samples)
                self._buffer.append(np.zeros(num_samples, np.complex64))
            return self._advance(last=False)
        frames = self._advance(last=True)
        end = begin + num_samples
        # A frame of which only the first pulse begins in the gap is found all the same.
        resumed = max(begin, end - 2 * self._format.pulse_delay_samples)
        self._buffer.restart(resumed)
        self._missing.drop_before(resumed)
        self._resume(resumed)
        if end > resumed:
            self._missing.add(resumed, end)
            self._buffer.append(np.zeros(end - resumed, np.complex64))
        return frames

    def finish(self) -> list[ReceivedFrame]:
        """Return the frames in what is left at the end of the stream."""
        return self._advance(last=True)

    def _advance(self, *, last: bool) -> list[ReceivedFrame]:
        frames: list[ReceivedFrame] = []
        while True:
            if self._detection is None:
                moved = self._search(last=last)
            elif self._pending is None:
                moved = self._head(frames, last=last)
            else:
                moved = self._body(frames, last=last)
            if not moved:
                return frames
            self._buffer.drop_before(self._keep_from())
            self._missing.drop_before(self._buffer.start)

    def _keep_from(self) -> int:
        """Return the first sample that may still be needed."""
        first = self._detection.sample_start if self._detection else self._position
        return max(first - self._decoder.lead_samples, 0)

    def _search(self, *, last: bool) -> bool:
        """Search the next window; return False where more samples are needed."""
        begin, available = self._position, self._buffer.stop
        if begin >= available:
            return False
        starts = self._starts
        if available < begin + starts + self._detector.overlap:
            if not last:
                return False
            starts = min(starts, available - begin)
        window = self._buffer.read(begin, begin + starts + self._detector.overlap)
        missing = starts + self._detector.overlap - len(window)
        if missing:
            window = np.pad(window, (0, missing))
        found = self._detector.search(window, starts)
        if found is None:
            self._position = begin + starts
            self._starts = min(2 * starts, _SEARCH_SAMPLES)
        else:
            self._detection = Detection(
                sample_start=begin + found.sample_start,
                cfo_hz=found.cfo_hz,
                confidence=found.confidence,
            )
        return True

    def _head(self, frames: list[ReceivedFrame], *, last: bool) -> bool:
        """Read the header of the frame detected."""
        detection = self._detection
        if detection is None:
            return False
        start = detection.sample_start
        stop = start + self._decoder.head_samples
        if self._buffer.stop < stop and not last:
            return False
        origin = max(start - self._decoder.lead_samples, self._buffer.start)
        samples = self._buffer.read(origin, stop)
        pending = self._decoder.read_header(
            samples, sample_start=start - origin, cfo_hz=detection.cfo_hz
        )
        if pending.header is not None:
            self._pending = pending
            return True
        # Up to the header's last pulse: a frame without payload, but for one symbol and its pilot.
        end = start + self._format.frame_samples(1) - 2 * self._format.samples_per_symbol
        cut = end > self._buffer.stop or bool(self._missing.within(start, end))
        frames.append(
            self._decoder.failed(
                pending,
                stream_start=start,
                sample_count=min(end, self._buffer.stop) - start,
                status=FrameStatus.TRUNCATED if cut else FrameStatus.HEADER_ERROR,
            )
        )
        # The next frame cannot begin within this preamble, but anywhere behind it.
        self._resume(start + self._format.preamble_symbols * self._format.samples_per_symbol)
        return True

    def _body(self, frames: list[ReceivedFrame], *, last: bool) -> bool:
        """Read the payload of the frame whose header has been read."""
        detection, pending = self._detection, self._pending
        if detection is None or pending is None or pending.header is None:
            return False
        start = detection.sample_start
        count = self._format.frame_samples(pending.header.payload_symbols)
        stop = start + count + self._decoder.tail_samples
        if self._buffer.stop < stop and not last:
            return False
        origin = max(start - self._decoder.lead_samples, self._buffer.start)
        missing = self._missing.within(origin, stop)
        if missing and missing[-1][0] < start + count <= missing[-1][1]:
            # What is left of the frame is missing, too: for this frame the stream ends here.
            stop = missing.pop()[0]
        samples = self._buffer.read(origin, stop)
        frames.append(
            self._decoder.read_payload(
                samples,
                pending,
                pending.header,
                sample_start=start - origin,
                stream_start=start,
                truncated=origin + len(samples) < start + count,
                missing=[(begin - origin, end - origin) for begin, end in missing],
            )
        )
        # Pulses of frames back to back overlap by their tails.
        overlap = 2 * self._format.pulse_delay_samples
        self._resume(start + count - overlap)
        return True

    def _resume(self, position: int) -> None:
        self._detection = None
        self._pending = None
        self._position = position
        self._starts = _FIRST_SEARCH_SAMPLES


def receive_frames(
    blocks: Iterable[NDArray[np.complex64]],
    *,
    frame_format: FrameFormat,
    constellation: Constellation,
    config: ReceiverConfig | None = None,
) -> list[ReceivedFrame]:
    """Return every frame of a stream, in order.

    Args:
        blocks: The samples, in blocks (num_samples,), complex64, of any size.
        frame_format: The settings of the transmitter.
        constellation: Of the payload.
        config: Settings of the receiver; None for the defaults.

    Raises:
        SignalError: A block of the wrong shape or type, NaN or infinite samples.
    """
    receiver = FrameReceiver(frame_format, constellation, config)
    frames = [frame for block in blocks for frame in receiver.process(block)]
    return frames + receiver.finish()
