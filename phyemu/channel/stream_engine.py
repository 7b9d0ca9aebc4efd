"""The streaming executor's engine: transmitters, receivers, and threads that share the time.

A job is a stretch of time for some receivers. Whoever takes it splits what was sent (with the
history that the filters need) into planes of its own, which stay in its cache, and runs the
receivers over them: jobs share nothing but the output, and no thread ever waits for another's.
Only what depends on the order of time, the walks of the phase noise, is followed under a lock.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from phyemu.channel.stream_kernel import SLACK
from phyemu.channel.stream_kernel import split as split_planes
from phyemu.channel.stream_receiver import KNOTS, StreamReceiver
from phyemu.errors import SignalError

__all__ = ["StreamEngine"]

# Samples handled at once; the planes of all transmitters together stay in the second-level cache.
_STRETCH = 1 << 15
_SMALLEST_STRETCH = 1 << 11
# A thread is woken for no less than this.
_WORTH_A_THREAD = 1 << 13
_NOT_FINITE = 0x7F800000


class _Workspace:
    """What one thread needs: planes of the transmitters, scratch of the clock offsets."""

    def __init__(self, num_sources: int, plane: int, rows: int, scratch: int) -> None:
        self.planes = np.zeros((num_sources, 2, plane), np.float32)
        self.scratch = np.zeros((rows, 2, scratch), np.float32)
        self.audible = np.zeros(num_sources, np.bool_)


class StreamEngine:
    """Runs receivers over what transmitters send, block after block.

    The output does not depend on how the input is divided into blocks, nor on the threads.

    Attributes:
        receivers: What it was given.
        num_threads: What it was given.
        num_samples: Samples processed so far.
        latency_samples: Output sample n belongs to input sample n - latency_samples.
        history_samples: Samples of the past that are kept.
        lock: Held by the thread that takes a job.
    """

    def __init__(
        self,
        receivers: Sequence[StreamReceiver],
        *,
        num_sources: int,
        latency_samples: int,
        interval_samples: int,
        num_threads: int,
    ) -> None:
        """Get ready.

        Args:
            receivers: All with this latency and interval.
            num_sources: Number of transmitters.
            latency_samples: By how much the outputs lag.
            interval_samples: Samples between two updates of the gains.
            num_threads: Threads that share the work, >= 1.
        """
        self.receivers = tuple(receivers)
        self._interval = interval_samples
        self.num_samples = 0
        self.latency_samples = latency_samples
        self.history_samples = max(
            (receiver.history_samples() for receiver in receivers), default=0
        )
        self._history = np.zeros((num_sources, 2 * self.history_samples), np.float32)
        self._heard = sorted({source for receiver in receivers for source in receiver.sources})
        share = _STRETCH // max(1, num_sources)
        self._stretch = max(_SMALLEST_STRETCH, 1 << max(0, share.bit_length() - 1))
        self.num_threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads - 1) if num_threads > 1 else None
        self.lock = threading.Lock()
        rows = max((receiver.num_scratch_rows for receiver in receivers), default=0)
        lead = max((receiver.scratch_lead for receiver in receivers), default=0)
        plane = self.history_samples + self._stretch + SLACK
        self._workspaces = [
            _Workspace(num_sources, plane, rows, (lead + self._stretch + SLACK) if rows else 0)
            for _ in range(num_threads)
        ]

    def process(self, sent: Sequence[NDArray[np.float32]], out: NDArray[np.float32]) -> None:
        """Write what the receivers hear of the next samples.

        Args:
            sent: Interleaved float32 samples of each transmitter, all of one length.
            out: (receiver, 2 num_samples) float32, written.

        Raises:
            SignalError: A sample is not finite; nothing has changed then.
        """
        count = out.shape[1] // 2
        if not count:
            return
        jobs = self._jobs(count)
        states = [receiver.state for receiver in self.receivers]
        run = _Run(self, sent, out, jobs)
        helpers = min(self.num_threads, len(jobs)) - 1
        if helpers and self._pool is not None:
            futures = [
                self._pool.submit(run.work, self._workspaces[helper + 1])
                for helper in range(helpers)
            ]
            run.work(self._workspaces[0])
            for future in futures:
                if not future.cancel():
                    future.result()
        else:
            run.work(self._workspaces[0])
        if run.broken:
            for receiver, state in zip(self.receivers, states, strict=True):
                receiver.restore(state)
            self._refuse(sent)
        self._keep(sent, count)
        self.num_samples += count

    def pass_over(self, num_samples: int) -> None:
        """Let time go by without any output, all filters being empty."""
        time = self.num_samples - self.latency_samples
        for receiver in self.receivers:
            receiver.pass_over(time, num_samples)
        self.num_samples += num_samples

    def _jobs(self, count: int) -> list[tuple[int, int, int, int]]:
        """Return (begin, length, first receiver, last receiver + 1), in the order of time."""
        num_receivers = len(self.receivers)
        stretch = self._stretch
        if self.num_threads > 1:
            even = -(-count * num_receivers // self.num_threads)
            stretch = min(stretch, max(_WORTH_A_THREAD, even))
        num_groups = 1
        if self.num_threads > 1 and num_receivers > 1:
            wanted = 4 * self.num_threads * stretch // count + 1
            num_groups = min(num_receivers, wanted)
        edges = [num_receivers * group // num_groups for group in range(num_groups + 1)]
        time = self.num_samples - self.latency_samples
        chunk = self._interval * KNOTS
        jobs = []
        done = 0
        while done < count:
            # A stretch stays within one chunk of the gains.
            until = chunk - (time + done) % chunk
            length = min(stretch, count - done, until)
            jobs += [
                (done, length, edges[group], edges[group + 1]) for group in range(num_groups)
            ]
            done += length
        return jobs

    def split(
        self, sent: Sequence[NDArray[np.float32]], begin: int, length: int, space: _Workspace
    ) -> bool:
        """Lay history and stretch of each transmitter into planes; return whether all is finite."""
        history = self.history_samples
        fresh = max(0, begin - history)
        kept = fresh + history - begin
        largest = 0
        for source in self._heard:
            real, imaginary = space.planes[source]
            loudest = 0
            if kept:
                old = self._history[source, 2 * (history - kept) :]
                loudest = int(split_planes(old, real, imaginary, 0))
            new = sent[source][2 * fresh : 2 * (begin + length)]
            loudest = max(loudest, int(split_planes(new, real, imaginary, kept)))
            space.audible[source] = loudest > 0
            largest = max(largest, loudest)
        return largest < _NOT_FINITE

    def _refuse(self, sent: Sequence[NDArray[np.float32]]) -> None:
        for source in self._heard:
            finite = np.isfinite(sent[source])
            if not finite.all():
                place = self.num_samples + int(np.argmin(finite)) // 2
                raise SignalError(f"sample {place} is not finite; clean the recording")

    def _keep(self, sent: Sequence[NDArray[np.float32]], count: int) -> None:
        """Keep the last samples as history."""
        size = self._history.shape[1]
        for source in self._heard:
            row, new = self._history[source], sent[source]
            if 2 * count >= size:
                row[:] = new[2 * count - size :]
            else:
                row[: size - 2 * count] = row[2 * count :].copy()
                row[size - 2 * count :] = new


class _Run:
    """The work on one block, shared by threads."""

    def __init__(
        self,
        engine: StreamEngine,
        sent: Sequence[NDArray[np.float32]],
        out: NDArray[np.float32],
        jobs: list[tuple[int, int, int, int]],
    ) -> None:
        self._engine = engine
        self._sent = sent
        self._out = out
        self._jobs = jobs
        self._next = 0
        self.broken = False

    def work(self, space: _Workspace) -> None:
        """Do jobs until none is left."""
        engine, jobs = self._engine, self._jobs
        start = engine.num_samples - engine.latency_samples
        history = engine.history_samples
        split_at = -1
        while True:
            with engine.lock:
                if self._next == len(jobs) or self.broken:
                    return
                begin, length, first, end = jobs[self._next]
                self._next += 1
                ahead = jobs[min(self._next + engine.num_threads, len(jobs) - 1)]
                receivers = engine.receivers[first:end]
                phases = [receiver.phases(start + begin, length) for receiver in receivers]
            if engine.num_threads > 1:
                for receiver in engine.receivers[ahead[2] : ahead[3]]:
                    receiver.gains_ahead(receiver.chunk_of(start + ahead[0]))
            if split_at != begin:
                split_at = begin
                if not engine.split(self._sent, begin, length, space):
                    self.broken = True
                    return
            for row, receiver, phase in zip(range(first, end), receivers, phases, strict=True):
                receiver.run(
                    self._out[row],
                    begin,
                    space.planes,
                    space.audible,
                    history,
                    length,
                    start + begin,
                    phase,
                    space.scratch,
                )
