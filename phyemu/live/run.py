"""A live stream: source, channel and sink, a thread each, with bounded queues between them.

Nothing is thrown away for want of time: a slow sink fills the queues, then the source waits, and
whoever sends is held up by its transport (or, where that cannot, loses samples there).
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.live.block_queue import BlockQueue, LiveBlock
from phyemu.live.pacer import Pacer
from phyemu.live.schedule import ScheduledChannel
from phyemu.live.statistics import LiveEnd, LiveMeter, LiveStatistics
from phyemu.live.transport import SampleSink, SampleSource

__all__ = ["run_live"]

# Threads look this often whether they should end [s].
_POLL_S = 0.05
# Samples that may wait before the channel, and behind it: 13 ms at 20 Msps.
_QUEUE_SAMPLES = 1 << 18
# Samples that go through the channel at once, at most.
_BLOCK_SAMPLES = 1 << 17
# Paced samples leave in pieces of this length [s].
_PACED_PIECE_S = 2e-3


def run_live(
    source: SampleSource,
    channel: ScheduledChannel,
    sink: SampleSink,
    *,
    sample_rate_hz: float,
    reference_power: float,
    pace: bool = False,
    keep_latency: bool = False,
    duration_s: float | None = None,
    idle_s: float | None = None,
    grace_s: float = 3.0,
    report: Callable[[LiveStatistics], None] | None = None,
    report_interval_s: float = 1.0,
) -> LiveStatistics:
    """Send samples from a source through a channel to a sink until one of them ends.

    However it ends, the channel is flushed and what is under way is passed on, for at most
    `grace_s` after Ctrl-C; a second Ctrl-C leaves it behind. Called from the main thread, which
    only waits, so that Ctrl-C meets no sample half done. Source and sink stay the caller's to
    close.

    Args:
        source: Brings samples.
        channel: Not used before.
        sink: Takes samples.
        sample_rate_hz: Rate of the samples [Hz].
        reference_power: What the channel's SNR refers to, for the statistics.
        pace: Let samples leave in real time, and no faster.
        keep_latency: Put the channel's latency in front, as silence: then as many samples have
            left as have come in, at any time, as peers in lock-step need.
        duration_s: Length of the input to take [s of samples]; None: all.
        idle_s: End when no sample came for so long after the first [s]; None: wait for ever.
        grace_s: Time to pass on what is under way after Ctrl-C [s].
        report: Called with the statistics every `report_interval_s`.
        report_interval_s: See there [s].

    Raises:
        ConfigError: A setting is out of range.
        TransportError: Source or sink failed.
    """
    for name, value in (("duration_s", duration_s), ("idle_s", idle_s)):
        if value is not None and not value > 0:
            raise ConfigError(f"{name} must be positive, got {value}")
    meter = LiveMeter(sample_rate_hz, reference_power)
    stream = _LiveStream(
        source,
        channel,
        sink,
        meter,
        pacer=Pacer(sample_rate_hz) if pace else None,
        piece_samples=max(1, round(_PACED_PIECE_S * sample_rate_hz)) if pace else _BLOCK_SAMPLES,
        lead_samples=channel.latency_samples if keep_latency else 0,
        target=None if duration_s is None else max(1, round(duration_s * sample_rate_hz)),
        idle_s=idle_s,
    )
    return _supervise(stream, grace_s, report, report_interval_s)


def _supervise(
    stream: "_LiveStream",
    grace_s: float,
    report: Callable[[LiveStatistics], None] | None,
    report_interval_s: float,
) -> LiveStatistics:
    next_report = time.monotonic() + report_interval_s
    deadline = math.inf
    with ThreadPoolExecutor(3, thread_name_prefix="phyemu-live") as pool:
        threads = stream.start(pool)
        pending = set(threads)
        while pending:
            try:
                _, pending = wait(pending, timeout=_POLL_S)
                now = time.monotonic()
                if report is not None and now >= next_report:
                    next_report = now + report_interval_s
                    if stream.has_begun:
                        report(stream.snapshot(LiveEnd.RUNNING))
                if now > deadline or any(
                    thread.done() and thread.exception() for thread in threads
                ):
                    stream.stop.set()
                    stream.abort.set()
            except KeyboardInterrupt:
                deadline = time.monotonic() + (0 if stream.stop.is_set() else grace_s)
                if not stream.stop.is_set():
                    stream.ended_by = LiveEnd.INTERRUPTED
                    stream.stop.set()
    for thread in threads:
        thread.result()
    return stream.snapshot(stream.ended_by)


class _LiveStream:
    """The three threads, and what they share."""

    def __init__(
        self,
        source: SampleSource,
        channel: ScheduledChannel,
        sink: SampleSink,
        meter: LiveMeter,
        *,
        pacer: Pacer | None,
        piece_samples: int,
        lead_samples: int,
        target: int | None,
        idle_s: float | None,
    ) -> None:
        self._source = source
        self._channel = channel
        self._sink = sink
        self._meter = meter
        self._pacer = pacer
        self._piece = piece_samples
        self._lead = lead_samples
        self._target = target
        self._idle_s = idle_s
        self._incoming = BlockQueue(_QUEUE_SAMPLES)
        self._outgoing = BlockQueue(_QUEUE_SAMPLES)
        self.stop = threading.Event()
        """No more samples are received; those under way are passed on."""
        self.abort = threading.Event()
        """Those under way are left behind."""
        self.ended_by = LiveEnd.STREAM_END

    def start(self, pool: ThreadPoolExecutor) -> list[Future[None]]:
        """Start the three threads."""
        return [pool.submit(work) for work in (self._receive, self._apply, self._send)]

    @property
    def has_begun(self) -> bool:
        """Whether a sample has come."""
        return self._meter.num_received > 0

    def snapshot(self, ended_by: LiveEnd) -> LiveStatistics:
        """Return how it goes."""
        return self._meter.snapshot(
            self._channel.name, self._source.counts, self._sink, ended_by
        )

    def _receive(self) -> None:
        try:
            self._receive_all()
        finally:
            self._incoming.close()

    def _receive_all(self) -> None:
        last_s = time.monotonic()
        while not self.stop.is_set():
            iq = self._source.receive(_POLL_S)
            if iq is None:
                return
            if not len(iq):
                idle_s = time.monotonic() - last_s
                if self._idle_s is not None and self._meter.num_received and idle_s > self._idle_s:
                    self.ended_by = LiveEnd.IDLE
                    return
                continue
            if self._target is not None:
                iq = iq[: self._target - self._meter.num_received]
            arrival_s = self._meter.received(len(iq))
            self._meter.energy += float(np.vdot(iq, iq).real)
            for begin in range(0, len(iq), _BLOCK_SAMPLES):
                piece = LiveBlock(iq[begin : begin + _BLOCK_SAMPLES], arrival_s)
                if not self._put(self._incoming, piece):
                    return
            if self._meter.num_received == self._target:
                self.ended_by = LiveEnd.COMPLETE
                return
            # A source that had to wait for room was not idle.
            last_s = time.monotonic()

    def _apply(self) -> None:
        # Path gains are small work, for which torch would wake and await all its threads: where
        # the processor has other work, that takes a hundred times as long as the gains.
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            self._apply_all()
        finally:
            torch.set_num_threads(num_threads)
            self._outgoing.close()

    def _apply_all(self) -> None:
        if self._lead:
            silence = np.zeros(self._lead, np.complex64)
            self._put(self._outgoing, LiveBlock(silence, time.monotonic()))
        while (blocks := self._incoming.take(_BLOCK_SAMPLES, _POLL_S)) is not None:
            if self.abort.is_set():
                return
            if blocks:
                out = self._channel.process(_joined(blocks))
                self._put(self._outgoing, LiveBlock(out, blocks[0].arrival_s))
        # The end itself has just arrived, however long ago the last sample did.
        self._put(self._outgoing, LiveBlock(self._channel.flush(), time.monotonic()))

    def _put(self, queue: BlockQueue, block: LiveBlock) -> bool:
        while not queue.put(block, _POLL_S):
            if self.abort.is_set():
                return False
        return True

    def _send(self) -> None:
        try:
            while (blocks := self._outgoing.take(_BLOCK_SAMPLES, _POLL_S)) is not None:
                if blocks and not self._pass_on(_joined(blocks)):
                    return
                for block in blocks:
                    self._meter.departed(block.arrival_s)
            while not self._sink.finish(_POLL_S):
                if self.abort.is_set():
                    return
        except BrokenPipeError:
            self.ended_by = LiveEnd.CLOSED
            self.stop.set()
            self.abort.set()

    def _pass_on(self, iq: NDArray[np.complex64]) -> bool:
        for begin in range(0, len(iq), self._piece):
            piece = iq[begin : begin + self._piece]
            if self._pacer is not None:
                self.abort.wait(self._pacer.wait_s(len(piece)))
                self._meter.num_stalls = self._pacer.num_stalls
            while len(piece):
                if self.abort.is_set():
                    self._meter.unsent_samples = len(piece) + max(0, len(iq) - begin - self._piece)
                    return False
                sent = self._sink.send(piece, _POLL_S)
                self._meter.num_sent += sent
                piece = piece[sent:]
        return True


def _joined(blocks: Sequence[LiveBlock]) -> NDArray[np.complex64]:
    if len(blocks) == 1:
        return blocks[0].iq
    return np.concatenate([block.iq for block in blocks])
