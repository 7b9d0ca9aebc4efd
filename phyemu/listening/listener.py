"""Listening: a feed on one thread, the receiver on another, a bounded queue between them.

Where decoding is slower than the stream, the queue fills and the feed waits: a recording then just
takes longer, a pipe or a socket holds its sender up, and a radio overflows, which it reports as a
gap.
"""

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.listening.sample_feed import SampleFeed
from phyemu.listening.summary import FrameCounts, ListeningEnd, ListeningSummary
from phyemu.live.sample_bytes import MAX_MAGNITUDE
from phyemu.radio import ReceivedBlock, StreamEvent
from phyemu.receiver import FrameReceiver, ReceivedFrame, ReceiverConfig
from phyemu.waveform import transmit_waveform
from phyemu.waveform.sent_frames import SentFrames

__all__ = ["FrameListener", "listen", "rehearse_receiver"]

_POLL_S = 0.05
# Blocks that may wait for the receiver: 0.1 s at 20 Msps.
_QUEUE_BLOCKS = 64
_REHEARSED_SYMBOLS = 2048


class FrameListener:
    """The frames of a stream that comes in blocks, with its gaps where they belong.

    Positions stay on the timeline of whatever brings the blocks. Samples that are not finite are
    taken for missing ones.

    Attributes:
        num_samples: Good samples received.
        gaps: Gaps met, stretches of bad samples not counted.
        lost_samples: Samples missing in them; None: not known for one of them.
        bad_samples: Samples that were not finite, or beyond all reason.
        events: How often each `StreamEvent` occurred.
    """

    def __init__(self, sent: SentFrames, config: ReceiverConfig | None = None) -> None:
        """Start with an empty stream.

        Args:
            sent: What the frames are.
            config: Settings of the receiver; None for the defaults.
        """
        self._receiver = FrameReceiver(sent.frame_format, sent.constellation, config)
        self.num_samples = 0
        self.gaps = 0
        self.lost_samples: int | None = 0
        self.bad_samples = 0
        self.events: Counter[str] = Counter()

    def hear(self, block: ReceivedBlock) -> list[ReceivedFrame]:
        """Return the frames that a block completes, in order.

        Args:
            block: The next one, of one channel.
        """
        if block.event is not None:
            self.events[str(block.event)] += 1
        frames: list[ReceivedFrame] = []
        if not block.num_samples and block.lost_samples == 0:
            return frames
        if block.lost_samples is None:
            self.lost_samples = None
        elif self.lost_samples is not None:
            self.lost_samples += block.lost_samples
        missing, exact = block.sample_index - self._receiver.num_samples, True
        if block.lost_samples is None:
            exact = False
        if missing > 0 or not exact:
            self.gaps += 1
            frames += self._receiver.skip(max(missing, 0), exact=exact)
        for good, part in _stretches(block.iq[0]):
            if good:
                self.num_samples += len(part)
                frames += self._receiver.process(part)
            else:
                self.bad_samples += len(part)
                frames += self._receiver.skip(len(part))
        return frames

    def finish(self) -> list[ReceivedFrame]:
        """Return the frames in what is left at the end of the stream."""
        return self._receiver.finish()


def _stretches(iq: NDArray[np.complex64]) -> Iterator[tuple[bool, NDArray[np.complex64]]]:
    """Yield the stretches of samples that are finite, and of those that are not."""
    parts = np.ascontiguousarray(iq).view(np.float32)
    # The largest and the smallest pass NaN on, which is not within anything.
    if parts.max(initial=0.0) <= MAX_MAGNITUDE and parts.min(initial=0.0) >= -MAX_MAGNITUDE:
        yield True, iq
        return
    good = np.asarray((np.abs(parts.reshape(-1, 2)) <= MAX_MAGNITUDE).all(axis=1))
    edges = np.flatnonzero(np.diff(good)) + 1
    for begin, end in zip([0, *edges], [*edges, len(iq)], strict=True):
        if end > begin:
            yield bool(good[begin]), iq[begin:end]


def listen(
    feed: SampleFeed,
    sent: SentFrames,
    on_frame: Callable[[ReceivedFrame], None],
    *,
    config: ReceiverConfig | None = None,
    num_frames: int | None = None,
    duration_s: float | None = None,
    idle_s: float | None = None,
    stop: threading.Event | None = None,
    listener: FrameListener | None = None,
) -> ListeningSummary:
    """Tell of every frame in a stream until it ends, and return how it went.

    Ctrl-C ends it, too; what came until then is received to its end. Called from the main thread,
    which only waits, so that Ctrl-C meets no frame half done. Memory is bounded however long the
    stream is.

    Args:
        feed: Brings the samples.
        sent: What the frames are.
        on_frame: Called with each frame, in the order of their samples, on a thread of its own.
        config: Settings of the receiver; None for the defaults.
        num_frames: End after so many frames, whatever their status, >= 1; None: all.
        duration_s: Length of the stream to take, gaps included [s]; None: all.
        idle_s: End when no sample came for so long after the first [s]; None: wait for ever.
        stop: Ends it when set, as Ctrl-C does.
        listener: Hears the blocks, for whoever wants its counts meanwhile; with one that is new
            and has `sent` and `config`. None: one of its own.

    Raises:
        ConfigError: A setting is out of range, or the feed has another sample rate.
        RadioError: The radio failed.
        TransportError: The transport failed.
    """
    for name, value in (
        ("num_frames", num_frames),
        ("duration_s", duration_s),
        ("idle_s", idle_s),
    ):
        if value is not None and not 0 < value < math.inf:
            raise ConfigError(f"{name} must be positive and finite, got {value}")
    rate_hz = sent.frame_format.sample_rate_hz
    if abs(feed.sample_rate_hz - rate_hz) > 1e-3 * rate_hz:
        raise ConfigError(
            f"{feed.name}: samples come at {feed.sample_rate_hz / 1e6:g} MHz, but the frames have "
            f"{rate_hz / 1e6:g} MHz; receive at that rate"
        )
    rehearse_receiver(sent, config)
    listener = listener or FrameListener(sent, config)
    run = _Listening(feed, listener, on_frame, stop or threading.Event())
    run.limit(num_frames, duration_s, idle_s)
    return run.run()


def rehearse_receiver(sent: SentFrames, config: ReceiverConfig | None = None) -> None:
    """Receive a frame of our own: loading compiled code takes longer than a radio can wait.

    Args:
        sent: What the frames are.
        config: Settings of the receiver; None for the defaults.
    """
    points = sent.constellation.points[torch.arange(_REHEARSED_SYMBOLS) % sent.constellation.order]
    iq, _ = transmit_waveform(
        points[: sent.frame_format.max_payload_symbols],
        frame_format=sent.frame_format,
        amplitude=1.0,
        gap_samples=1024,
    )
    receiver = FrameReceiver(sent.frame_format, sent.constellation, config)
    receiver.process(iq.numpy())
    receiver.finish()


class _Listening:
    """One run of `listen`."""

    def __init__(
        self,
        feed: SampleFeed,
        listener: FrameListener,
        on_frame: Callable[[ReceivedFrame], None],
        stop: threading.Event,
    ) -> None:
        self._feed = feed
        self._listener = listener
        self._on_frame = on_frame
        self._stop = stop
        self._leave = threading.Event()  # tells the feed to end, with what it holds
        self._closed = threading.Event()  # nothing is taken any more
        self._blocks: queue.Queue[ReceivedBlock | None] = queue.Queue(_QUEUE_BLOCKS)
        self._counts = FrameCounts()
        self._told = 0
        self._end = ListeningEnd.STREAM_END
        self._detail = ""
        self._started_s: float | None = None
        self._num_frames: int | None = None
        self._last_index: int | None = None
        self._idle_s: float | None = None

    def limit(self, num_frames: int | None, duration_s: float | None, idle_s: float | None) -> None:
        self._num_frames, self._idle_s = num_frames, idle_s
        if duration_s is not None:
            self._last_index = max(1, round(duration_s * self._feed.sample_rate_hz))

    def run(self) -> ListeningSummary:
        with ThreadPoolExecutor(2, thread_name_prefix="phyemu-listen") as pool:
            threads = [pool.submit(self._bring), pool.submit(self._hear_all)]
            while True:
                try:
                    _, pending = wait(threads, timeout=_POLL_S)
                except KeyboardInterrupt:
                    self._stop.set()
                    continue
                if not pending:
                    break
        for thread in threads:
            thread.result()
        return self._summary(time.monotonic())

    def _bring(self) -> None:
        try:
            for block in self._feed.blocks(self._leave):
                if not self._put(block):
                    return
        finally:
            self._put(None)

    def _put(self, block: ReceivedBlock | None) -> bool:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._blocks.put(block, timeout=_POLL_S)
                return True
        return False

    def _hear_all(self) -> None:
        try:
            self._hear_until_the_end()
            if self._end is ListeningEnd.INTERRUPTED:
                # What the feed had received until then comes, and then its end.
                self._leave.set()
                while (block := self._blocks.get()) is not None and not self._hear(block):
                    pass
                self._end = ListeningEnd.INTERRUPTED
            if not self._is_complete():
                self._tell(self._listener.finish())
        finally:
            self._leave.set()
            self._closed.set()

    def _hear_until_the_end(self) -> None:
        last_s = time.monotonic()
        while not self._stop.is_set():
            try:
                block = self._blocks.get(timeout=_POLL_S)
            except queue.Empty:
                block = _NOTHING
            if block is None:
                return
            now = time.monotonic()
            if block.num_samples:
                self._started_s = self._started_s or now
                last_s = now
            elif self._idle_s is not None and self._started_s and now - last_s > self._idle_s:
                self._end = ListeningEnd.IDLE
                return
            if self._hear(block):
                return
        self._end = ListeningEnd.INTERRUPTED

    def _hear(self, block: ReceivedBlock) -> bool:
        """Take a block; return whether it was the last one."""
        if block.event is StreamEvent.DISCONNECTED:
            self._end, self._detail = ListeningEnd.DISCONNECTED, block.detail
        last = self._last_index
        if last is not None and block.sample_index + block.num_samples >= last:
            if block.sample_index < last:
                part = replace(block, iq=block.iq[:, : last - block.sample_index])
                self._tell(self._listener.hear(part))
            self._end = ListeningEnd.COMPLETE
            return True
        self._tell(self._listener.hear(block))
        return self._is_complete()

    def _is_complete(self) -> bool:
        if self._num_frames is None or self._told < self._num_frames:
            return False
        self._end = ListeningEnd.COMPLETE
        return True

    def _tell(self, frames: list[ReceivedFrame]) -> None:
        for frame in frames:
            if self._is_complete():
                return
            self._counts.add(frame)
            self._told += 1
            self._on_frame(frame)

    def _summary(self, now: float) -> ListeningSummary:
        listener, counts = self._listener, self._counts
        elapsed_s = now - self._started_s if self._started_s else 0.0
        rate_hz = self._feed.sample_rate_hz
        snr_db, evm_db, cfo_hz, sfo_ppm = counts.medians()
        names = ("ok", "partial", "truncated", "header-error")
        return ListeningSummary(
            name=self._feed.name,
            sample_rate_hz=rate_hz,
            num_samples=listener.num_samples,
            elapsed_s=elapsed_s,
            realtime_factor=listener.num_samples / rate_hz / elapsed_s if elapsed_s > 0 else 0.0,
            frames={name: counts.status[name] for name in names},
            missing_frames=counts.missing,
            symbols=counts.symbols,
            erased_symbols=counts.erased,
            disturbed_symbols=counts.disturbed,
            gaps=listener.gaps,
            lost_samples=listener.lost_samples,
            bad_samples=listener.bad_samples + self._feed.bad_samples,
            events=dict(sorted(listener.events.items())),
            snr_db=snr_db,
            evm_db=evm_db,
            cfo_hz=cfo_hz,
            sfo_ppm=sfo_ppm,
            ended_by=self._end,
            detail=self._detail,
        )


_NOTHING = ReceivedBlock(iq=np.zeros((1, 0), np.complex64), sample_index=0)
