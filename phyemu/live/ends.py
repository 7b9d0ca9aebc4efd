"""The two ends of a live stream, a thread each, with a bounded queue towards the channel."""

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from phyemu.live.block_queue import BlockQueue, LiveBlock
from phyemu.live.pacer import Pacer
from phyemu.live.statistics import LiveEnd, LiveMeter
from phyemu.live.transport import SampleSink, SampleSource

__all__ = ["BLOCK_SAMPLES", "POLL_S", "Gaps", "InputEnd", "OutputEnd", "StreamState", "joined"]

# Threads look this often whether they should end [s].
POLL_S = 0.05
# Samples that go through the channel at once, at most.
BLOCK_SAMPLES = 1 << 17
# Samples that may wait before the channel, and behind it: 13 ms at 20 Msps.
_QUEUE_SAMPLES = 1 << 18


class StreamState:
    """What all threads of a stream share.

    Attributes:
        stop: No more samples are received; those under way are passed on.
        abort: Those under way are left behind.
        ended_by: Why it ended.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.abort = threading.Event()
        self.ended_by = LiveEnd.STREAM_END

    def put(self, queue: BlockQueue, block: LiveBlock) -> bool:
        """Return whether a block found room before the end."""
        while not queue.put(block, POLL_S):
            if self.abort.is_set():
                return False
        return True


Gaps = list[tuple[int, int]]
"""Where messages are missing in an input, by its samples, ascending, and how many."""


class InputEnd:
    """Takes samples from a source.

    Attributes:
        gaps: Where messages were missing.
    """

    def __init__(
        self,
        source: SampleSource,
        meter: LiveMeter,
        state: StreamState,
        *,
        target: int | None,
        idle_s: float | None,
    ) -> None:
        """Get ready.

        Args:
            source: Brings samples.
            meter: Counts them.
            state: Of the stream.
            target: Samples to take; None: all.
            idle_s: End when nothing came for so long after the first sample [s].
        """
        self.source = source
        self.queue = BlockQueue(_QUEUE_SAMPLES)
        self.gaps: Gaps = []
        self._meter = meter
        self._state = state
        self._target = target
        self._idle_s = idle_s

    def run(self) -> None:
        """Receive until the source ends, or the stream does."""
        try:
            self._receive_all()
        finally:
            self.queue.close()

    def _receive_all(self) -> None:
        meter, state = self._meter, self._state
        last_s = time.monotonic()
        num_lost = 0
        while not state.stop.is_set():
            iq = self.source.receive(POLL_S)
            if iq is None:
                return
            if not len(iq):
                idle_s = time.monotonic() - last_s
                if self._idle_s is not None and meter.num_received and idle_s > self._idle_s:
                    state.ended_by = LiveEnd.IDLE
                    return
                continue
            if (now_lost := self.source.counts.lost_messages or 0) > num_lost:
                if meter.num_received:
                    self.gaps.append((meter.num_received, now_lost - num_lost))
                num_lost = now_lost
            if self._target is not None:
                iq = iq[: self._target - meter.num_received]
            arrival_s = meter.received(len(iq))
            meter.energy += float(np.vdot(iq, iq).real)
            for begin in range(0, len(iq), BLOCK_SAMPLES):
                piece = LiveBlock(iq[begin : begin + BLOCK_SAMPLES], arrival_s)
                if not state.put(self.queue, piece):
                    return
            if meter.num_received == self._target:
                state.ended_by = LiveEnd.COMPLETE
                return
            # A source that had to wait for room was not idle.
            last_s = time.monotonic()


class OutputEnd:
    """Passes samples on to a sink.

    Attributes:
        gaps: Those of the inputs that it hears.
    """

    def __init__(
        self,
        sink: SampleSink,
        meter: LiveMeter,
        state: StreamState,
        *,
        pacer: Pacer | None,
        piece_samples: int,
        lead_samples: int = 0,
    ) -> None:
        """Get ready.

        Args:
            sink: Takes samples.
            meter: Counts them.
            state: Of the stream.
            pacer: Says when they may leave; None: at once.
            piece_samples: Samples that leave together.
            lead_samples: Samples that are ahead of the first one of the input.
        """
        self.sink = sink
        self.queue = BlockQueue(_QUEUE_SAMPLES)
        self._meter = meter
        self._state = state
        self._pacer = pacer
        self._piece = piece_samples
        self._lead = lead_samples
        self.gaps: Sequence[Gaps] = ()
        self._num_marked: list[int] = []  # of each of them

    def run(self) -> None:
        """Send until the queue is closed and empty, or the sink is gone."""
        state = self._state
        try:
            while (blocks := self.queue.take(BLOCK_SAMPLES, POLL_S)) is not None:
                if blocks and not self._pass_on(joined(blocks)):
                    return
                for block in blocks:
                    self._meter.departed(block.arrival_s)
            while not self.sink.finish(POLL_S):
                if state.abort.is_set():
                    return
        except BrokenPipeError:
            state.ended_by = LiveEnd.CLOSED
            state.stop.set()
            state.abort.set()

    def _pass_on(self, iq: NDArray[np.complex64]) -> bool:
        meter, abort = self._meter, self._state.abort
        for begin in range(0, len(iq), self._piece):
            piece = iq[begin : begin + self._piece]
            if self._pacer is not None:
                abort.wait(self._pacer.wait_s(len(piece)))
                meter.num_stalls = self._pacer.num_stalls
            while len(piece):
                if abort.is_set():
                    return False
                sent = self.sink.send(piece[: self._until_gap()], POLL_S)
                meter.num_sent += sent
                piece = piece[sent:]
        return True

    def _until_gap(self) -> int | None:
        """Return how many samples are left before the next gap, and mark the one that is here."""
        self._num_marked += [0] * (len(self.gaps) - len(self._num_marked))
        while True:
            ahead = [
                (gaps[marked][0], index)
                for index, (gaps, marked) in enumerate(
                    zip(self.gaps, self._num_marked, strict=True)
                )
                if marked < len(gaps)
            ]
            if not ahead:
                return None
            position, index = min(ahead)
            left = position + self._lead - self._meter.num_sent
            if left > 0:
                return left
            self.sink.mark_gap(self.gaps[index][self._num_marked[index]][1])
            self._num_marked[index] += 1


def joined(blocks: Sequence[LiveBlock]) -> NDArray[np.complex64]:
    """Return the samples of blocks, one after the other."""
    if len(blocks) == 1:
        return blocks[0].iq
    return np.concatenate([block.iq for block in blocks])
