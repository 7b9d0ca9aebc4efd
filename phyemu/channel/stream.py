"""The streaming executor: unbounded samples through one realisation, in bounded memory."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel.counter_random import stream_keys
from phyemu.channel.fractional_delay import (
    NUM_TAPS,
    TABLE_MARGIN,
    TABLE_STEPS,
    interpolator_table,
)
from phyemu.channel.front_end_kernel import phase_knots
from phyemu.channel.impairments import Impairments
from phyemu.channel.kernel_math import F4, U8
from phyemu.channel.model import ChannelModel, ChannelRealisation, Interpolation
from phyemu.channel.multipath_plan import plan_multipath
from phyemu.channel.noise_level import noise_variance
from phyemu.channel.phase_noise import PHASE_KNOT_SAMPLES, PHASE_STREAM, phase_step_turns
from phyemu.channel.resample_kernel import resample
from phyemu.channel.stream_kernel import run, split
from phyemu.errors import ConfigError, SignalError

__all__ = ["ChannelStream"]

NOISE_STREAM = 101
# Samples handled at once per thread; planes of this size stay in the second-level cache.
_PIECE = 1 << 15
# Samples whose carrier phase is followed at once while time is skipped.
_SKIPPED_PIECE = 1 << 22
# The kernels read whole vectors, up to this many samples beyond the last.
_SLACK = 64
# Knots of the gains computed at once; always from a multiple of it, so that they never depend on
# how the samples arrive.
_KNOTS = 64
# The drift of the sampling clock is kept within this many samples.
SLIP_SAMPLES = 4096
MAX_SFO_PPM = 500.0


class ChannelStream:
    """Applies one endless realisation of a channel to a stream of samples.

    The output is the same, bit for bit, for any division of the input into blocks and for any
    number of threads: gains, carrier phase and noise are functions of the sample's index. It
    equals `apply_draw` on the same draw within 1e-5 of full scale, `latency_samples` later.

    Attributes:
        realisation: The channel that is played.
        latency_samples: Output sample n belongs to input sample n - latency_samples: what the
            interpolation filters (and, with a sampling offset, the room for its drift) need.
        num_samples: Samples processed so far.
        interval_samples: Samples between two updates of the gains.
        noise_variance: Total variance of each complex noise sample.
    """

    def __init__(
        self,
        model: ChannelModel,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float = 1e-3,
        num_threads: int = 1,
    ) -> None:
        """Draw a realisation of `model` and get ready to play it.

        Args:
            model: The channel.
            sample_rate_hz: Rate of the samples [Hz].
            symbol_rate_hz: Rate of the symbols that the SNR refers to [Hz].
            reference_power: Mean sample power while the transmitter is active with all symbols
                at peak, linear, full scale 1; it sets the noise with the SNR.
            seed: Everything random comes from it.
            interval_s: Time between two updates of the gains [s], rounded to samples.
            num_threads: Threads that share the work, >= 1.

        Raises:
            ConfigError: A setting is out of range.
        """
        generator = torch.Generator().manual_seed(seed)
        if not (math.isfinite(symbol_rate_hz) and symbol_rate_hz > 0):
            raise ConfigError(f"symbol_rate_hz must be positive, got {symbol_rate_hz}")
        realisation = model.realise(symbol_rate_hz=symbol_rate_hz, generator=generator)
        self._prepare(
            realisation,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            interval_s=interval_s,
            num_threads=num_threads,
        )

    @classmethod
    def of_realisation(
        cls,
        realisation: ChannelRealisation,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float = 1e-3,
        num_threads: int = 1,
    ) -> "ChannelStream":
        """Return the stream that plays `realisation`; `seed` is then only the noise's."""
        stream = cls.__new__(cls)
        stream._prepare(
            realisation,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            interval_s=interval_s,
            num_threads=num_threads,
        )
        return stream

    def _prepare(
        self,
        realisation: ChannelRealisation,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        seed: int,
        interval_s: float,
        num_threads: int,
    ) -> None:
        if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
            raise ConfigError(f"sample_rate_hz must be positive, got {sample_rate_hz}")
        if not interval_s > 0 or num_threads < 1:
            raise ConfigError(
                f"need interval_s > 0 and num_threads >= 1; got {interval_s=}, {num_threads=}"
            )
        self.realisation = realisation
        self.sample_rate_hz = sample_rate_hz
        self.interval_samples = max(1, round(interval_s * sample_rate_hz))
        self.num_samples = 0
        self.noise_variance = float(
            noise_variance(
                torch.tensor(realisation.snr_db, dtype=torch.float64),
                reference_power=reference_power,
                sample_rate_hz=sample_rate_hz,
                symbol_rate_hz=symbol_rate_hz,
            )
        )
        self._noise_keys = tuple(U8(key) for key in stream_keys(seed, NOISE_STREAM))
        self._held = realisation.interpolation is Interpolation.HOLD
        self._threads = num_threads
        self._pool = ThreadPoolExecutor(num_threads) if num_threads > 1 else None
        # Threads want longer pieces: starting them takes some 50 us.
        self._piece = _PIECE if num_threads == 1 else 4 * _PIECE * num_threads
        self._prepare_front_end(realisation.impairments)
        self._plan = plan_multipath(realisation.delays_s * sample_rate_hz, held=self._held)
        self._history = self._plan.history_samples
        self.latency_samples = self._clock_latency + self._plan.latency_samples
        history = self._history + 2 * SLIP_SAMPLES + 128 if self._drifting else self._history
        self._input = np.zeros((2, history + self._piece + _SLACK), np.float32)
        self._input_history = history
        self._planes = [self._input]
        if self._drifting:
            self._resampled = np.zeros((2, self._history + self._piece + _SLACK), np.float32)
            self._planes.append(self._resampled)
            self._table = interpolator_table().numpy()
        self._chunk = (-(2**62), np.zeros(0, np.float32), np.zeros(0, np.float32))
        self._walk_knot, self._walk = -(2**62), 0.0

    def _prepare_front_end(self, impairments: Impairments) -> None:
        ppm = float(impairments.sfo_ppm)
        if not abs(ppm) <= MAX_SFO_PPM:
            raise ConfigError(f"sfo_ppm must lie within +-{MAX_SFO_PPM:g} ppm, got {ppm}")
        self._clock_offset = ppm * 1e-6
        self._drifting = ppm != 0
        self._clock_latency = SLIP_SAMPLES + NUM_TAPS if self._drifting else 0
        self._turns_per_sample = float(impairments.cfo_hz) / self.sample_rate_hz
        if not abs(self._turns_per_sample) < 0.5:
            raise ConfigError(
                f"cfo_hz {float(impairments.cfo_hz):g} is beyond half the sample rate"
            )
        linewidth_hz = float(impairments.linewidth_hz)
        self._sigma_turns = phase_step_turns(linewidth_hz, self.sample_rate_hz)
        self._rotating = self._turns_per_sample != 0 or linewidth_hz > 0
        self._phase_keys = tuple(
            U8(key) for key in stream_keys(int(impairments.seed), PHASE_STREAM)
        )
        ratio = 10 ** (float(impairments.iq_gain_db) / 20)
        phase = float(impairments.iq_phase_rad)
        dc_offset = complex(impairments.dc_offset)
        level = float(impairments.clip_level)
        self._values = np.array(
            [
                ratio * math.cos(phase),
                -ratio * math.sin(phase),
                dc_offset.real,
                dc_offset.imag,
                level,
            ],
            np.float32,
        )
        bits = int(impairments.bits)
        full_scale = level if math.isfinite(level) else 1.0
        self._steps = F4(2 ** (bits - 1) / full_scale) if bits else F4(0)
        self._values[4] = np.float32(full_scale) if bits else self._values[4]
        self._clipping = bool(bits) or math.isfinite(level)

    def process(self, iq: NDArray[np.complex64]) -> NDArray[np.complex64]:
        """Return as many output samples as input samples, `latency_samples` late.

        Args:
            iq: The next samples, (num_samples,), complex64; any number of them.

        Raises:
            SignalError: `iq` is not one-dimensional complex, or not finite.
        """
        iq = np.asarray(iq)
        if iq.ndim != 1 or not np.iscomplexobj(iq):
            raise SignalError(
                f"iq must be complex (num_samples,), got {iq.dtype} {iq.shape}; process one "
                "channel at a time"
            )
        flat = np.ascontiguousarray(iq, np.complex64).view(np.float32)
        out = np.empty_like(flat)
        for begin in range(0, len(iq), self._piece):
            end = min(begin + self._piece, len(iq))
            self._process_piece(flat[2 * begin : 2 * end], out[2 * begin : 2 * end])
        return out.view(np.complex64)

    def flush(self) -> NDArray[np.complex64]:
        """Return the `latency_samples` output samples that are still due, by feeding silence."""
        return self.process(np.zeros(self.latency_samples, np.complex64))

    @property
    def clock_lead_samples(self) -> int:
        """How much earlier than `latency_samples` the input arrives by now, as the clocks drift."""
        drift = self._clock_offset * self.num_samples
        return round(drift - 2 * SLIP_SAMPLES * math.floor(drift / (2 * SLIP_SAMPLES) + 0.5))

    def skip(self, num_samples: int) -> None:
        """Let `num_samples` samples of silence pass without computing most of the output."""
        if num_samples < 0:
            raise ConfigError(f"num_samples must not be negative, got {num_samples}")
        # Until the samples before have left the filters, silence is processed like any sample.
        settling = min(num_samples, self._input_history + self.latency_samples)
        self.process(np.zeros(settling, np.complex64))
        num_samples -= settling
        # The phase noise is a walk: it has to be followed, piece by piece.
        end = self.num_samples + num_samples
        while self._rotating and self.num_samples < end:
            count = min(_SKIPPED_PIECE, end - self.num_samples)
            self._phases(self.num_samples - self.latency_samples, count)
            self.num_samples += count
        self.num_samples = end

    def _process_piece(self, flat: NDArray[np.float32], out: NDArray[np.float32]) -> None:
        count = len(flat) // 2
        history = self._input_history
        if not split(flat, self._input[0], self._input[1], history):
            bad = int(np.argmin(np.isfinite(flat))) // 2
            raise SignalError(f"sample {self.num_samples + bad} is not finite; clean the recording")
        planes, place = self._input, history
        if self._drifting:
            self._resample(count)
            planes, place = self._resampled, self._history
        first = self.num_samples - self.latency_samples
        jobs: list[Callable[[], None]] = []
        begin, slope, phase_knot = self._phases(first, count)
        done = 0
        while done < count:
            knot = (first + done) // self.interval_samples
            chunk = knot // _KNOTS
            until = (chunk + 1) * _KNOTS * self.interval_samples - first
            length = min(count, until) - done
            re, im = self._gains(chunk)
            share = -(-length // self._threads)
            for offset in range(done, done + length, share):
                jobs.append(
                    partial(
                        run,
                        out,
                        offset,
                        planes[0],
                        planes[1],
                        place + offset,
                        min(share, done + length - offset),
                        self.num_samples + offset,
                        self.latency_samples,
                        self.interval_samples,
                        chunk * _KNOTS,
                        re,
                        im,
                        self._plan.lags,
                        self._plan.filters,
                        self._plan.by_path,
                        self._held,
                        self._noise_keys[0],
                        self._noise_keys[1],
                        F4(math.sqrt(self.noise_variance)),
                        self._rotating,
                        phase_knot,
                        begin,
                        slope,
                        self._values,
                        self._clipping,
                        self._steps,
                    )
                )
            done += length
        self._run(jobs)
        for plane in self._planes:
            kept = plane.shape[1] - self._piece - _SLACK
            plane[:, :kept] = plane[:, count : count + kept].copy()
        self.num_samples += count

    def _resample(self, count: int) -> None:
        first = self.num_samples - self._clock_latency
        # The kernel writes whole vectors; threads meet where its groups of 64 samples begin.
        share = -(-count // self._threads)
        edges = [0]
        for thread in range(1, self._threads):
            edges.append(min(count, thread * share + -(first + thread * share) % 64))
        edges.append(count)
        self._run(
            [
                partial(
                    resample,
                    self._resampled[0],
                    self._resampled[1],
                    self._history + begin,
                    self._input[0],
                    self._input[1],
                    self._input_history - self._clock_latency + begin,
                    end - begin,
                    first + begin,
                    self._clock_offset,
                    SLIP_SAMPLES,
                    self._table,
                    TABLE_STEPS,
                    TABLE_MARGIN,
                )
                for begin, end in pairwise(edges)
            ]
        )

    def _run(self, jobs: list[Callable[[], None]]) -> None:
        if self._pool is None:
            for job in jobs:
                job()
        else:
            for future in [self._pool.submit(job) for job in jobs]:
                future.result()

    def _phases(self, first: int, count: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32], int]:
        """Return the knots of the carrier phase that `count` samples from `first` on need."""
        if not self._rotating:
            empty = np.zeros(0, np.uint32)
            return empty, empty, 0
        knot = first // PHASE_KNOT_SAMPLES
        end = (first + count - 1) // PHASE_KNOT_SAMPLES
        if self._walk_knot == -(2**62):
            self._walk_knot = knot
        begin = np.empty(end - knot + 1, np.uint32)
        slope = np.empty_like(begin)
        arguments: tuple[Any, ...] = (self._turns_per_sample, self._sigma_turns, *self._phase_keys)
        # The walk is summed knot by knot, so that its rounding does not depend on the blocks. The
        # last knot of this piece may be the first of the next: the walk is kept there.
        walk = phase_knots(begin[:-1], slope[:-1], knot, self._walk, *arguments)
        phase_knots(begin[-1:], slope[-1:], end, walk, *arguments)
        following = (first + count) // PHASE_KNOT_SAMPLES
        if following > end:
            walk = phase_knots(begin[-1:], slope[-1:], end, walk, *arguments)
        self._walk_knot, self._walk = following, walk
        return begin, slope, knot

    def _gains(self, chunk: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return real and imaginary coefficients of the chunk's knots, (knots + 1, width)."""
        if self._chunk[0] != chunk:
            knots = torch.arange(chunk * _KNOTS, (chunk + 1) * _KNOTS + 1, dtype=torch.float64)
            times_s = knots * (self.interval_samples / self.sample_rate_hz)
            gains = self.realisation.gains(times_s).to(torch.complex128).numpy()
            if not self._plan.by_path:
                gains = gains @ self._plan.basis
            self._chunk = (
                chunk,
                np.ascontiguousarray(gains.real, np.float32),
                np.ascontiguousarray(gains.imag, np.float32),
            )
        return self._chunk[1], self._chunk[2]
