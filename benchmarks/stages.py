"""Where the time of the streaming executor goes: every stage alone, beside the roof of memory.

A stage is timed as the stream runs it, chunks of 1024 samples of planes that lie in the cache,
without the interpreter. Its roof is the time that a copy in the same cache takes for the bytes
which the stage has to read and write; what it takes beyond that is arithmetic.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np

from benchmarks.work import EVERYTHING, FRACTION, channel, stream
from phyemu.channel.counter_random import stream_keys
from phyemu.channel.fractional_delay import interpolator_table
from phyemu.channel.front_end_kernel import NUM_VALUES, fill_noise, finish, phase_knots, rotate
from phyemu.channel.kernel_math import F4, U8
from phyemu.channel.multipath_kernel import multipath_by_lag, multipath_by_path, multipath_held
from phyemu.channel.resample_kernel import resample
from phyemu.channel.stream_kernel import split

NUM_SAMPLES = 4_000_000
_STRETCH = 1 << 15
_CHUNK = 1024
_ROUNDS = 15

_compiled = numba.njit(nogil=True, error_model="numpy")


@_compiled
def _split(x, p, reps):
    for _ in range(reps):
        split(x, p[0], p[1], 200)


@_compiled
def _held(y, p, lags, c, reps):
    for _ in range(reps):
        for begin in range(0, _STRETCH, _CHUNK):
            multipath_held(y[0], y[1], p[0], p[1], 200 + begin, _CHUNK, lags, c[0], c[1])


@_compiled
def _by_lag(y, p, lags, c, reps):
    scale = F4(1e-5)
    for _ in range(reps):
        for begin in range(0, _STRETCH, _CHUNK):
            multipath_by_lag(
                y[0], y[1], p[0], p[1], 200 + begin, _CHUNK, lags,
                c[0], c[1], c[1], c[0], begin, scale,
            )  # fmt: skip


@_compiled
def _by_path(y, p, lags, filters, c, reps):
    scale = F4(1e-5)
    for _ in range(reps):
        for begin in range(0, _STRETCH, _CHUNK):
            multipath_by_path(
                y[0], y[1], p[0], p[1], 200 + begin, _CHUNK, lags, filters,
                c[0], c[1], c[1], c[0], begin, scale,
            )  # fmt: skip


@_compiled
def _resample(y, p, table, reps):
    for _ in range(reps):
        resample(y[0], y[1], 0, p[0], p[1], 200, _STRETCH, 0, 4e-6, table)


@_compiled
def _rotate(y, turns, begin, slope, reps):
    for _ in range(reps):
        for place in range(0, _STRETCH, _CHUNK):
            rotate(y[0], y[1], turns, _CHUNK, place, 0, begin, slope)


@_compiled
def _noise(y, key0, key1, reps):
    sigma = F4(0.2)
    for _ in range(reps):
        for place in range(0, _STRETCH, _CHUNK):
            fill_noise(y[0], y[1], _CHUNK, place, key0, key1, sigma)


@_compiled
def _finish(out, y, noise, values, reps):
    for _ in range(reps):
        for place in range(0, _STRETCH, _CHUNK):
            finish(out, place, y[0], y[1], noise[0], noise[1], _CHUNK, True, values)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage, what it moves, and the time it takes."""

    name: str
    num_bytes: int
    work: Callable[[int], object]


def run() -> str:
    """Return the tables: stages, and the two works as the sum of theirs."""
    rng = np.random.default_rng(0)
    planes = rng.standard_normal((2, _STRETCH + 2000)).astype(np.float32)
    interleaved = rng.standard_normal(2 * _STRETCH).astype(np.float32)
    y = np.zeros((2, _STRETCH + 128), np.float32)
    chunk, noise = np.zeros((2, _CHUNK + 64), np.float32), np.zeros((2, _CHUNK + 64), np.float32)
    out = np.zeros(2 * _STRETCH, np.float32)
    coefficients = 1e-3 * rng.standard_normal((2, 4)).astype(np.float32)
    lags = np.array([0, 2, 7, 18])
    filters = rng.standard_normal((4, 32)).astype(np.float32)
    table = interpolator_table().numpy()
    keys = tuple(U8(key) for key in stream_keys(1))
    turns = np.zeros(_CHUNK + 32, np.uint32)
    knots = np.zeros((2, 1, _STRETCH // 16 + 1), np.uint32)
    walk = np.zeros(1, np.int64)
    ideal, imbalanced = np.zeros(NUM_VALUES, np.float32), np.zeros(NUM_VALUES, np.float32)
    ideal[:] = 1, 0, 0, 0, np.inf, 0, 0.2
    imbalanced[:] = 1.01, 0.02, 0.001, 0.001, np.inf, 0, 0.2
    phases = (
        np.array([12345678901], np.uint64),
        np.ones((1, 1), np.int64),
        walk,
        2048,
        np.array([1e-3]),
        np.array([stream_keys(2)], np.uint64),
    )

    def follow(reps: int) -> None:
        for _ in range(reps):
            phase_knots(knots[0], knots[1], 0, *phases)

    stages = [
        Stage(
            name="split into planes, finite?",
            num_bytes=16,
            work=lambda reps: _split(interleaved, planes, reps),
        ),
        Stage(
            name="4 taps on the grid, held",
            num_bytes=16,
            work=lambda reps: _held(chunk, planes, lags, coefficients, reps),
        ),
        Stage(
            name="4 taps on the grid, moving",
            num_bytes=16,
            work=lambda reps: _by_lag(chunk, planes, lags, coefficients, reps),
        ),
        Stage(
            name="4 fractional paths, moving",
            num_bytes=16,
            work=lambda reps: _by_path(chunk, planes, lags, filters, coefficients, reps),
        ),
        Stage(
            name="sampling clock offset",
            num_bytes=16,
            work=lambda reps: _resample(y, planes, table, reps),
        ),
        Stage(name="phase noise and CFO, their knots", num_bytes=1, work=follow),
        Stage(
            name="carrier rotation",
            num_bytes=16,
            work=lambda reps: _rotate(chunk, turns, knots[0, 0], knots[1, 0], reps),
        ),
        Stage(
            name="noise",
            num_bytes=8,
            work=lambda reps: _noise(chunk, keys[0], keys[1], reps),
        ),
        Stage(
            name="add noise, merge",
            num_bytes=24,
            work=lambda reps: _finish(out, chunk, noise, ideal, reps),
        ),
        Stage(
            name="add noise, IQ and DC, merge",
            num_bytes=24,
            work=lambda reps: _finish(out, chunk, noise, imbalanced, reps),
        ),
    ]
    cached = np.zeros(2 * _STRETCH, np.float32)

    def copy(reps: int) -> None:
        for _ in range(reps):
            np.copyto(cached, interleaved)

    copy_ns = _nanoseconds(copy)
    taken = {stage.name: _nanoseconds(stage.work) for stage in stages}
    lines = [
        "## Where the time goes: stages alone",
        "",
        "| stage | ns/sample | Msamples/s | bytes moved | of its roof in the cache |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for stage in stages:
        nanoseconds = taken[stage.name]
        roof = copy_ns * stage.num_bytes / 16
        lines.append(
            f"| {stage.name} | {nanoseconds:.2f} | {1e3 / nanoseconds:.0f} | {stage.num_bytes} | "
            f"{100 * roof / nanoseconds:.0f} % |"
        )
    lines.append(f"| copy in the cache (the roof) | {copy_ns:.3f} | {1e3 / copy_ns:.0f} | 16 | |")
    return "\n".join(lines) + "\n\n" + _works(taken)


def _works(taken: dict[str, float]) -> str:
    """Return the table of the two works: what their stages add up to, and what they take."""
    rng = np.random.default_rng(1)
    iq = rng.standard_normal(2 * NUM_SAMPLES).astype(np.float32).view(np.complex64)
    copied = np.empty_like(iq)
    memory_ns = _each_ns(lambda: np.copyto(copied, iq))
    first = ["split into planes, finite?", "noise"]
    works = {
        "taps on the grid, AWGN": (
            stream(channel()),
            [*first, "4 taps on the grid, moving", "add noise, merge"],
        ),
        "fractional delays, CFO, phase noise, IQ, AWGN": (
            stream(channel(fraction=FRACTION, front_end=EVERYTHING)),
            [
                *first,
                "4 fractional paths, moving",
                "phase noise and CFO, their knots",
                "carrier rotation",
                "add noise, IQ and DC, merge",
            ],
        ),
    }
    lines = [
        "## Where the time goes: whole works",
        "",
        "| work, one thread | ns/sample | its stages | copy in memory | the rest | Msamples/s | "
        "of the memory roof |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, (emulator, stages) in works.items():
        whole = _each_ns(lambda emulator=emulator: emulator.process(iq))
        parts = sum(taken[stage] for stage in stages)
        lines.append(
            f"| {name} | {whole:.2f} | {parts:.2f} | {memory_ns:.2f} | "
            f"{whole - parts - memory_ns:.2f} | {1e3 / whole:.0f} | "
            f"{100 * memory_ns / whole:.0f} % |"
        )
    return "\n".join(lines) + "\n"


def _nanoseconds(work: Callable[[int], object], reps: int = 40) -> float:
    """Return the median time of a stage per sample, over rounds of `reps` stretches."""
    work(1)
    times = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        work(reps)
        times.append(time.process_time() - start)
    return statistics.median(times) / reps / _STRETCH * 1e9


def _each_ns(work: Callable[[], object]) -> float:
    """Return the median time of a call on NUM_SAMPLES samples, per sample."""
    work()
    times = []
    for _ in range(_ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times) / NUM_SAMPLES * 1e9
