"""Receivers of a streaming emulator side by side: links, gains and phases over time, noise."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel.counter_random import stream_keys
from phyemu.channel.fractional_delay import interpolator_table
from phyemu.channel.front_end_kernel import NUM_VALUES, phase_knots, walk_steps
from phyemu.channel.impairments import Impairments
from phyemu.channel.phase_noise import PHASE_KNOT_SAMPLES, PHASE_STREAM
from phyemu.channel.stream_kernel import (
    AHEAD,
    BY_PATH,
    CLOCK,
    FILTER,
    FIRST,
    HELD,
    LAST,
    LEAD,
    NUM_FACTS,
    PHASE,
    SLACK,
    SOURCE,
    TAPS,
    receive,
)
from phyemu.channel.stream_link import StreamLink

__all__ = ["KNOTS", "NOISE_STREAM", "ReceiverBank", "StreamReceiver", "Workspace"]

NOISE_STREAM = 101
# Knots of the gains computed at once; always from a multiple of it, so that they never depend on
# how the samples arrive.
KNOTS = 128
# Knots of the carrier phase that are followed at once while time is skipped.
_SKIPPED_KNOTS = 1 << 18

Phases = tuple[NDArray[np.uint32], NDArray[np.uint32], int]
Gains = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class StreamReceiver:
    """A receiver: what reaches it, its noise, its converter.

    Attributes:
        links: The links that end here; none: it hears noise alone.
        noise_variance: Total variance of each complex noise sample.
        noise_seed: Of the noise.
        impairments: Of these, IQ imbalance, DC offset, clipping and quantiser are the receiver's.
    """

    links: tuple[StreamLink, ...]
    noise_variance: float
    noise_seed: int
    impairments: Impairments

    def values(self) -> list[float]:
        """Return what `front_end_kernel` needs to know, NUM_VALUES numbers."""
        ratio = 10 ** (float(self.impairments.iq_gain_db) / 20)
        phase = float(self.impairments.iq_phase_rad)
        dc_offset = complex(self.impairments.dc_offset)
        level = float(self.impairments.clip_level)
        bits = int(self.impairments.bits)
        full_scale = level if math.isfinite(level) else 1.0
        return [
            ratio * math.cos(phase),
            -ratio * math.sin(phase),
            dc_offset.real,
            dc_offset.imag,
            full_scale if bits else level,
            2 ** (bits - 1) / full_scale if bits else 0.0,
            math.sqrt(self.noise_variance),
        ]


class Workspace:
    """What one thread needs: planes of the transmitters, scratch of the clock offsets."""

    def __init__(self, num_sources: int, plane: int, rows: int, scratch: int) -> None:
        self.planes = np.zeros((num_sources, 2, plane), np.float32)
        self.scratch = np.zeros((rows, 2, scratch), np.float32)
        self.audible = np.zeros(num_sources, np.bool_)


class ReceiverBank:
    """Writes what some receivers hear, stretch by stretch of time.

    Attributes:
        num_receivers: How many they are.
        num_scratch_rows: Rows of scratch planes that `run` needs, `scratch_lead` longer than a
            stretch.
        history_samples: Samples of the past that it needs.
    """

    def __init__(
        self,
        receivers: Sequence[StreamReceiver],
        *,
        latency_samples: int,
        interval_samples: int,
        sample_rate_hz: float,
    ) -> None:
        """Lay the receivers and their links side by side.

        Args:
            receivers: At least one.
            latency_samples: By how much the output lags, at least the latency of every link.
            interval_samples: Samples between two updates of the gains.
            sample_rate_hz: Rate of the samples [Hz].
        """
        self._links = tuple(link for receiver in receivers for link in receiver.links)
        self._latency = latency_samples
        self._interval = interval_samples
        self._interval_s = interval_samples / sample_rate_hz
        self.num_receivers = len(receivers)
        sizes = accumulate((len(receiver.links) for receiver in receivers), initial=0)
        self._ends = np.array(list(sizes), np.int64)
        self._values = np.array([receiver.values() for receiver in receivers], np.float32)
        self._values = self._values.reshape(-1, NUM_VALUES)
        self._noise_keys = np.array(
            [stream_keys(receiver.noise_seed, NOISE_STREAM) for receiver in receivers], np.uint64
        )
        self._sources = np.unique([link.source for link in self._links]).astype(np.int64)
        self._lay_out_links()
        self._lay_out_phases()
        self._chunks: dict[int, Gains] = {}
        self._lock = threading.Lock()

    def _lay_out_links(self) -> None:
        facts = np.zeros((len(self._links), NUM_FACTS), np.int64)
        lags, filters = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        column = taps = num_rotating = 0
        self.num_scratch_rows = self.scratch_lead = self.history_samples = 0
        clock = 0
        for index, (row, link) in enumerate(zip(facts, self._links, strict=True)):
            plan = link.plan
            if index in self._ends:  # receivers take turns with the scratch
                clock = 0
            row[SOURCE], row[BY_PATH], row[HELD] = link.source, plan.by_path, link.held
            row[FIRST], row[LAST] = column, column + len(plan.lags)
            row[CLOCK] = row[PHASE] = -1
            behind = self._latency - link.latency_samples
            self.history_samples = max(self.history_samples, link.history_samples + behind)
            if plan.by_path:
                row[FILTER], row[TAPS] = taps, plan.filters.shape[1]
                filters.append(plan.filters.ravel())
                taps += plan.filters.size
            if link.drifting:
                row[CLOCK], row[LEAD] = clock, plan.history_samples
                row[AHEAD] = plan.latency_samples
                clock += 1
                self.num_scratch_rows = max(self.num_scratch_rows, clock)
                self.scratch_lead = max(self.scratch_lead, plan.history_samples + SLACK)
            if link.rotating:
                row[PHASE] = num_rotating
                num_rotating += 1
            lags.append(plan.lags if link.drifting else plan.lags + behind)
            column += len(plan.lags)
        self._facts = facts
        self._lags, self._filters = np.concatenate(lags), np.concatenate(filters)
        self._clocks = np.array([link.clock_offset for link in self._links], np.float64)
        drifting = bool(self.num_scratch_rows)
        self._table = interpolator_table().numpy() if drifting else np.zeros((1, 1))

    def _lay_out_phases(self) -> None:
        rotating = [link for link in self._links if link.rotating]
        walks: dict[tuple[int, float], int] = {}
        for link in rotating:
            for oscillator, step in link.oscillators:
                walks.setdefault((oscillator.seed, step), len(walks))
        self._weights = np.zeros((len(rotating), len(walks)), np.int64)
        for row, link in zip(self._weights, rotating, strict=True):
            for oscillator, step in link.oscillators:
                row[walks[oscillator.seed, step]] += oscillator.sign
        self._frequencies = np.array([link.cfo_words for link in rotating], np.uint64)
        self._steps_turns = np.array([step for _, step in walks], np.float64)
        self._phase_keys = np.array(
            [stream_keys(seed, PHASE_STREAM) for seed, _ in walks], np.uint64
        ).reshape(-1, 2)
        self._walked = np.zeros(len(walks), np.int64)
        empty = np.zeros((0, 0), np.uint32)
        self._standing: Phases = (empty, empty, 0)

    @property
    def state(self) -> NDArray[np.int64]:
        """Return all that is not a function of the sample's index: the walks of the phases."""
        return self._walked.copy()

    def restore(self, state: NDArray[np.int64]) -> None:
        """Go back to a state."""
        self._walked[:] = state

    def phases(self, time: int, count: int) -> Phases:
        """Return the knots of the carriers for `count` samples from `time`, and move on to after.

        Calls must follow each other in time.
        """
        if not len(self._frequencies):
            return self._standing
        first = time // PHASE_KNOT_SAMPLES
        num_knots = (time + count - 1) // PHASE_KNOT_SAMPLES - first + 1
        begin = np.empty((len(self._frequencies), num_knots), np.uint32)
        slope = np.empty_like(begin)
        phase_knots(
            begin,
            slope,
            first,
            self._frequencies,
            self._weights,
            self._walked,
            (time + count) // PHASE_KNOT_SAMPLES,
            self._steps_turns,
            self._phase_keys,
        )
        return begin, slope, first

    def pass_over(self, time: int, count: int) -> None:
        """Follow the phases over `count` samples from `time` on."""
        first = time // PHASE_KNOT_SAMPLES
        end = (time + count) // PHASE_KNOT_SAMPLES
        while len(self._walked) and first < end:
            steps = np.empty((len(self._walked), min(_SKIPPED_KNOTS, end - first)), np.int64)
            walk_steps(steps, first, self._steps_turns, self._phase_keys)
            self._walked += steps.sum(axis=1)
            first += steps.shape[1]

    def gains(self, chunk: int) -> Gains:
        """Return real and imaginary coefficients of a chunk's knots, (knots + 1, width)."""
        found = self._chunks.get(chunk)
        if found is None:
            with self._lock:
                found = self._compute(chunk)
        return found

    def gains_ahead(self, chunk: int) -> None:
        """Compute the gains of a chunk that is needed soon, unless another thread is at it."""
        if chunk not in self._chunks and self._lock.acquire(blocking=False):
            try:
                self._compute(chunk)
            finally:
                self._lock.release()

    def _compute(self, chunk: int) -> Gains:
        found = self._chunks.get(chunk)
        if found is not None:
            return found
        knots = torch.arange(chunk * KNOTS, (chunk + 1) * KNOTS + 1, dtype=torch.float64)
        times_s = knots * self._interval_s
        re = np.empty((KNOTS + 1, len(self._lags)), np.float32)
        im = np.empty_like(re)
        for facts, link in zip(self._facts, self._links, strict=True):
            gains = link.realisation.gains(times_s).to(torch.complex128).numpy()
            gains = link.plan.coefficients(gains) * link.amplitude
            re[:, facts[FIRST] : facts[LAST]] = gains.real
            im[:, facts[FIRST] : facts[LAST]] = gains.imag
        # The chunk before may still be in use; older ones are not.
        self._chunks = {
            **{old: kept for old, kept in self._chunks.items() if abs(old - chunk) == 1},
            chunk: (re, im),
        }
        return re, im

    def run(
        self,
        sent: NDArray[np.float32],
        history: NDArray[np.float32],
        out: NDArray[np.float32],
        begin: int,
        count: int,
        stretch: int,
        time: int,
        phases: Phases,
        space: Workspace,
    ) -> bool:
        """Write `count` samples of every receiver; return whether all samples sent were finite.

        Args:
            sent: What each transmitter sends in this block, interleaved.
            history: What each sent before it, interleaved.
            out: Output of the receivers for the block, interleaved.
            begin: First sample of the block to write; all `count` share a chunk of gains.
            count: Number of samples.
            stretch: Samples that are split at once.
            time: Index of the first on the channel's time axis.
            phases: From `phases`, for these samples.
            space: Nobody else's.
        """
        chunk = time // (self._interval * KNOTS)
        re, im = self.gains(chunk)
        starts, slopes, phase_knot = phases
        finite = receive(
            out,
            sent,
            history,
            begin,
            count,
            stretch,
            time,
            self._latency,
            self._interval,
            chunk * KNOTS,
            re,
            im,
            self._sources,
            self._facts,
            self._ends,
            self._lags,
            self._filters,
            self._clocks,
            self._table,
            phase_knot,
            starts,
            slopes,
            self._noise_keys,
            self._values,
            space.planes,
            space.scratch,
            space.audible,
        )
        return bool(finite)
