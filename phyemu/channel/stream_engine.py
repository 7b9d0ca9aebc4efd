"""The streaming executor's engine: transmitters, receivers, and threads that share the work.

A job is a stretch of time for some of the receivers. Whoever takes it splits what was sent (with
the history that the filters need) into planes of its own, which stay in its cache, and runs the
receivers over them in one call that needs no interpreter: jobs share nothing but the output. Only
what depends on the order of time, the walks of the phase noise, is followed under a lock.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from phyemu.channel.stream_bank import KNOTS, ReceiverBank, StreamReceiver, Workspace
from phyemu.channel.stream_kernel import SLACK
from phyemu.errors import SignalError

__all__ = ["StreamEngine"]

# Samples split at once; the planes of all transmitters together stay in the second-level cache.
_STRETCH = 1 << 15
_SMALLEST_STRETCH = 1 << 11
# Samples of a job: long enough that threads seldom meet, short enough that they end together.
_LONGEST_JOB = 1 << 18
_SHORTEST_JOB = 1 << 13
# Banks of receivers per thread.
_BANKS_PER_THREAD = 2

Job = tuple[int, int, int]


class StreamEngine:
    """Runs receivers over what transmitters send, block after block.

    The output does not depend on how the input is divided into blocks, nor on the threads.

    Attributes:
        num_threads: Threads that share the work.
        num_samples: Samples processed so far.
        latency_samples: Output sample n belongs to input sample n - latency_samples, the largest
            latency of any link.
        history_samples: Samples of the past that are kept.
    """

    def __init__(
        self,
        receivers: Sequence[StreamReceiver],
        *,
        num_sources: int,
        sample_rate_hz: float,
        interval_samples: int,
        num_threads: int,
    ) -> None:
        """Get ready.

        Args:
            receivers: At least one.
            num_sources: Number of transmitters.
            sample_rate_hz: Rate of the samples [Hz].
            interval_samples: Samples between two updates of the gains.
            num_threads: Threads that share the work, >= 1.
        """
        self.num_threads = num_threads
        self.num_samples = 0
        self.latency_samples = max(
            (link.latency_samples for receiver in receivers for link in receiver.links), default=0
        )
        self._chunk = interval_samples * KNOTS
        wanted = 1 if num_threads == 1 else _BANKS_PER_THREAD * num_threads
        edges = np.linspace(0, len(receivers), min(wanted, len(receivers)) + 1).astype(int)
        self._rows = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        self._banks = [
            ReceiverBank(
                receivers[first:end],
                latency_samples=self.latency_samples,
                interval_samples=interval_samples,
                sample_rate_hz=sample_rate_hz,
            )
            for first, end in self._rows
        ]
        self.history_samples = max(bank.history_samples for bank in self._banks)
        self._history = np.zeros((num_sources, 2 * self.history_samples), np.float32)
        share = max(1, _STRETCH // max(1, num_sources))
        self._stretch = max(_SMALLEST_STRETCH, 1 << (share.bit_length() - 1))
        self._pool = ThreadPoolExecutor(num_threads - 1) if num_threads > 1 else None
        plane = self.history_samples + self._stretch + SLACK
        rows = max(bank.num_scratch_rows for bank in self._banks)
        lead = max(bank.scratch_lead for bank in self._banks)
        self._spaces = [
            Workspace(num_sources, plane, rows, lead + self._stretch + SLACK)
            for _ in range(num_threads)
        ]

    def process(self, sent: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        """Write what the receivers hear of the next samples.

        Args:
            sent: Interleaved samples of the transmitters, (transmitter, 2 num_samples) float32.
            out: (receiver, 2 num_samples) float32, written.

        Raises:
            SignalError: A sample is not finite; nothing has changed then.
        """
        count = sent.shape[1] // 2
        if not count:
            return
        jobs = self._jobs(count)
        states = [bank.state for bank in self._banks]
        block = _Block(jobs)
        helpers = min(self.num_threads, len(jobs)) - 1
        futures = []
        if self._pool is not None:
            for space in self._spaces[1 : 1 + helpers]:
                futures.append(self._pool.submit(self._work, block, sent, out, space))
        self._work(block, sent, out, self._spaces[0])
        for future in futures:
            if not future.cancel():
                future.result()
        if block.broken:
            for bank, state in zip(self._banks, states, strict=True):
                bank.restore(state)
            place = int(np.argmin(np.isfinite(sent).all(axis=0))) // 2
            raise SignalError(
                f"sample {self.num_samples + place} is not finite; clean the recording"
            )
        kept = min(2 * count, self._history.shape[1])
        self._history[:, : self._history.shape[1] - kept] = self._history[:, kept:].copy()
        self._history[:, self._history.shape[1] - kept :] = sent[:, 2 * count - kept :]
        self.num_samples += count

    def pass_over(self, num_samples: int) -> None:
        """Let time go by without any output, all filters being empty."""
        time = self.num_samples - self.latency_samples
        for bank in self._banks:
            bank.pass_over(time, num_samples)
        self.num_samples += num_samples

    def _jobs(self, count: int) -> list[Job]:
        """Return (begin, length, bank) in the order of time."""
        time = self.num_samples - self.latency_samples
        jobs: list[Job] = []
        done = 0
        while done < count:
            # Shorter towards the end, so that the threads end together.
            left = count - done
            length = left
            if self.num_threads > 1:
                share = left * len(self._banks) // (2 * self.num_threads)
                length = max(_SHORTEST_JOB, share)
            # A job stays within one chunk of the gains.
            until = self._chunk - (time + done) % self._chunk
            length = min(length, left, until, _LONGEST_JOB)
            jobs += [(done, length, bank) for bank in range(len(self._banks))]
            done += length
        return jobs

    def _work(
        self,
        block: "_Block",
        sent: NDArray[np.float32],
        out: NDArray[np.float32],
        space: Workspace,
    ) -> None:
        """Do jobs of the block until none is left."""
        start = self.num_samples - self.latency_samples
        while True:
            with block.lock:
                if block.taken == len(block.jobs) or block.broken:
                    return
                begin, length, index = block.jobs[block.taken]
                block.taken += 1
                ahead = block.jobs[min(block.taken + self.num_threads, len(block.jobs)) - 1]
                bank = self._banks[index]
                phases = bank.phases(start + begin, length)
            if self.num_threads > 1:
                self._banks[ahead[2]].gains_ahead((start + ahead[0]) // self._chunk)
            first, end = self._rows[index]
            finite = bank.run(
                sent,
                self._history,
                out[first:end],
                begin,
                length,
                self._stretch,
                start + begin,
                phases,
                space,
            )
            block.broken |= not finite


class _Block:
    """The jobs of one block, and how many of them were taken."""

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.taken = 0
        self.broken = False
        self.lock = threading.Lock()
