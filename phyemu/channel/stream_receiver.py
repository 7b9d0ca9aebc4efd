"""One receiver of a streaming emulator: its links, their gains and phases over time, its noise."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel.counter_random import stream_keys
from phyemu.channel.fractional_delay import TABLE_MARGIN, TABLE_STEPS, interpolator_table
from phyemu.channel.front_end_kernel import phase_knots, walk_steps
from phyemu.channel.impairments import Impairments
from phyemu.channel.kernel_math import F4, U8
from phyemu.channel.phase_noise import PHASE_KNOT_SAMPLES, PHASE_STREAM
from phyemu.channel.stream_kernel import (
    AHEAD,
    BEHIND,
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
from phyemu.channel.stream_link import SLIP_SAMPLES, Oscillator, StreamLink

__all__ = ["NOISE_STREAM", "Converter", "StreamReceiver"]

NOISE_STREAM = 101
# Knots of the gains computed at once; always from a multiple of it, so that they never depend on
# how the samples arrive.
KNOTS = 128
# Knots of the carrier phase that are followed at once while time is skipped.
_SKIPPED_KNOTS = 1 << 18

Phases = tuple[NDArray[np.uint32], NDArray[np.uint32], int]


@dataclass(frozen=True, slots=True)
class Converter:
    """What `finish` needs to know of IQ imbalance, DC, clipping and quantiser.

    Attributes:
        values: (IQ: factor of Q on Q, factor of I on Q; DC: I, Q; clip level), (5,) float32.
        clipping: Whether anything is clipped.
        steps: Quantiser steps per unit, float32; 0: no quantiser.
    """

    values: NDArray[np.float32]
    clipping: bool
    steps: np.float32

    @classmethod
    def of_impairments(cls, impairments: Impairments) -> "Converter":
        """Return the converter in the impairments of one link or node."""
        ratio = 10 ** (float(impairments.iq_gain_db) / 20)
        phase = float(impairments.iq_phase_rad)
        dc_offset = complex(impairments.dc_offset)
        level = float(impairments.clip_level)
        bits = int(impairments.bits)
        full_scale = level if math.isfinite(level) else 1.0
        values = [
            ratio * math.cos(phase),
            -ratio * math.sin(phase),
            dc_offset.real,
            dc_offset.imag,
            full_scale if bits else level,
        ]
        return cls(
            values=np.array(values, np.float32),
            clipping=bool(bits) or math.isfinite(level),
            steps=F4(2 ** (bits - 1) / full_scale) if bits else F4(0),
        )


class StreamReceiver:
    """Writes what one receiver hears, for any stretch of time in order.

    Attributes:
        noise_variance: Total variance of each complex noise sample.
        sources: Indices of the transmitters it hears.
        num_scratch_rows: Rows of scratch planes that `run` needs, of `scratch_lead` samples more
            than the stretch.
    """

    def __init__(
        self,
        links: Sequence[StreamLink],
        *,
        latency_samples: int,
        interval_samples: int,
        sample_rate_hz: float,
        noise_seed: int,
        noise_variance: float,
        converter: Converter,
    ) -> None:
        """Lay the links side by side.

        Args:
            links: Those that end here; none: noise alone is heard.
            latency_samples: By how much the output lags, at least the latency of every link.
            interval_samples: Samples between two updates of the gains.
            sample_rate_hz: Rate of the samples [Hz].
            noise_seed: Of the noise.
            noise_variance: Total variance of each complex noise sample.
            converter: The receiver's.
        """
        self._links = tuple(links)
        self._latency = latency_samples
        self._interval = interval_samples
        self._interval_s = interval_samples / sample_rate_hz
        self.noise_variance = noise_variance
        self.sources = sorted({link.source for link in links})
        self._noise_keys = tuple(U8(key) for key in stream_keys(noise_seed, NOISE_STREAM))
        self._sigma = F4(math.sqrt(noise_variance))
        self._converter = converter
        self._lay_out()
        self._lay_out_phases(sample_rate_hz)
        self._chunks: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def _lay_out(self) -> None:
        facts = np.zeros((len(self._links), NUM_FACTS), np.int64)
        lags, filters = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        column = taps = 0
        self.num_scratch_rows = self.scratch_lead = num_rotating = 0
        for row, link in zip(facts, self._links, strict=True):
            plan = link.plan
            behind = self._latency - plan.latency_samples
            row[SOURCE], row[BY_PATH], row[HELD] = link.source, plan.by_path, link.held
            row[FIRST], row[LAST] = column, column + len(plan.lags)
            row[CLOCK] = row[PHASE] = -1
            lags.append(plan.lags if link.drifting else plan.lags + behind)
            if plan.by_path:
                row[FILTER], row[TAPS] = taps, plan.filters.shape[1]
                filters.append(plan.filters.ravel())
                taps += plan.filters.size
            if link.drifting:
                row[CLOCK], row[LEAD] = self.num_scratch_rows, plan.history_samples
                row[AHEAD], row[BEHIND] = plan.latency_samples, behind
                self.num_scratch_rows += 1
                self.scratch_lead = max(self.scratch_lead, plan.history_samples + SLACK)
            if link.rotating:
                row[PHASE] = num_rotating
                num_rotating += 1
            column += len(plan.lags)
        self._facts = facts
        self._lags, self._filters = np.concatenate(lags), np.concatenate(filters)
        self._clocks = np.array([link.clock_offset for link in self._links], np.float64)
        drifting = bool(self.num_scratch_rows)
        self._table = interpolator_table().numpy() if drifting else np.zeros((1, 1))

    def _lay_out_phases(self, sample_rate_hz: float) -> None:
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

    def history_samples(self) -> int:
        """Return how many samples of the past it needs."""
        return max(
            (
                link.history_samples + self._latency - link.latency_samples
                for link in self._links
            ),
            default=0,
        )

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
        following = (time + count) // PHASE_KNOT_SAMPLES
        phase_knots(
            begin,
            slope,
            first,
            self._frequencies,
            self._weights,
            self._walked,
            following,
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

    def chunk_of(self, time: int) -> int:
        """Return the chunk of gains that belongs to `time`."""
        return time // (self._interval * KNOTS)

    def gains(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
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

    def _compute(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = self._chunks.get(chunk)
        if found is not None:
            return found
        knots = torch.arange(chunk * KNOTS, (chunk + 1) * KNOTS + 1, dtype=torch.float64)
        times_s = knots * self._interval_s
        re = np.empty((KNOTS + 1, len(self._lags)), np.float32)
        im = np.empty_like(re)
        for facts, link in zip(self._facts, self._links, strict=True):
            gains = link.realisation.gains(times_s).to(torch.complex128).numpy()
            if not link.plan.by_path:
                gains = gains @ link.plan.basis
            if link.amplitude != 1:
                gains = gains * link.amplitude
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
        out: NDArray[np.float32],
        position: int,
        planes: NDArray[np.float32],
        audible: NDArray[np.bool_],
        place: int,
        count: int,
        time: int,
        phases: Phases,
        scratch: NDArray[np.float32],
    ) -> None:
        """Write `count` samples from `time` on into `out`, interleaved, from `position` on.

        Args:
            out: Output of the whole block, interleaved float32.
            position: Place of the first sample in it.
            planes: What the transmitters sent, (transmitter, 2, samples).
            audible: Whether each of them sent anything, (transmitter,).
            place: Where in the planes the first sample lies.
            count: Number of samples; they share one chunk of gains.
            time: Index of the first on the channel's time axis.
            phases: From `phases`, for these samples.
            scratch: (num_scratch_rows, 2, scratch_lead + samples) float32.
        """
        chunk = self.chunk_of(time)
        re, im = self.gains(chunk)
        begin, slope, phase_knot = phases
        receive(
            out,
            position,
            planes,
            audible,
            place,
            count,
            time,
            self._interval,
            chunk * KNOTS,
            re,
            im,
            self._facts,
            self._lags,
            self._filters,
            self._clocks,
            self._table,
            TABLE_STEPS,
            TABLE_MARGIN,
            SLIP_SAMPLES,
            scratch,
            phase_knot,
            begin,
            slope,
            self._noise_keys[0],
            self._noise_keys[1],
            self._sigma,
            self._converter.values,
            self._converter.clipping,
            self._converter.steps,
        )
