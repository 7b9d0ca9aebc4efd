"""Emulation: the work of `benchmarks.work`, ours beside what else is installed.

One core each, in CPU time; what two cores bring is a table of its own, in wall-clock time.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack

import numpy as np
import torch

from benchmarks.by_hand import by_numpy, by_scipy, by_torch, prepare_torch_compiled
from benchmarks.harness import Skipped, Table, best_of, compare
from benchmarks.peer_process import PeerAbsentError, PeerProcess, gnuradio, sionna
from benchmarks.work import (
    DOPPLER_HZ,
    EVERYTHING,
    FRACTION,
    GAINS,
    LAGS,
    SAMPLE_RATE_HZ,
    SIGMA,
    UPDATE_SAMPLES,
    channel,
    drawn_gains,
    noise_samples,
    stream,
)
from phyemu.channel import ChannelStream, TappedDelayLine

NUM_SAMPLES = 4_000_000
# As a stream comes; what is written to a block of 2 MB need not leave the cache at once.
BLOCK = 1 << 18
# Two threads share a block.
THREADED_SAMPLES = 1 << 20
THREADED_ROUNDS = 200
THREADED_BLOCK = 1 << 20
ROUNDS = 7

Candidates = dict[str, Callable[[], object]]


def run() -> list[Table]:
    """Return the tables: beside all peers, everything on, on two cores."""
    torch.set_num_threads(1)
    iq = noise_samples(NUM_SAMPLES)
    loaded = channel(fraction=FRACTION, front_end=EVERYTHING)
    long = noise_samples(THREADED_SAMPLES)
    return [
        work_a(iq),
        everything_on(iq),
        two_cores("Emulate on two cores: 4 taps on the grid, AWGN", channel(), long),
        two_cores("Emulate on two cores: everything on", loaded, long),
    ]


def work_a(iq: np.ndarray) -> Table:
    """Return ours beside everything else on taps on the sample grid."""
    ours = stream(channel())
    settings = {
        "lags": LAGS,
        "gains": drawn_gains(NUM_SAMPLES // UPDATE_SAMPLES),
        "update_samples": UPDATE_SAMPLES,
        "sigma": SIGMA,
    }
    out, tensor = np.empty_like(iq), torch.from_numpy(iq)
    written = torch.from_numpy(out)
    candidates: Candidates = {
        "phyemu ChannelStream": in_blocks(ours, iq, BLOCK),
        "torch, by hand, eager": lambda: by_torch(tensor, written, **settings),
    }
    skipped = []
    try:
        compiled = prepare_torch_compiled(tensor, written, **settings)
        candidates["torch, by hand, compiled with hashed noise"] = compiled
    except RuntimeError as exc:
        skipped.append(Skipped(name="torch, by hand, compiled", reason=str(exc)))
    candidates["NumPy, by hand"] = lambda: by_numpy(iq, out, **settings)
    candidates["SciPy oaconvolve per update"] = lambda: by_scipy(iq, out, **settings)
    units = dict.fromkeys((*candidates, "copying the array (the roof)"), float(NUM_SAMPLES))
    with ExitStack() as stack:
        for start, works in ((gnuradio, GNURADIO_WORKS), (sionna, SIONNA_WORKS)):
            try:
                peer = stack.enter_context(start())
            except PeerAbsentError as exc:
                skipped.append(Skipped(name=start.__name__, reason=str(exc)))
                continue
            add_peer(peer, works, candidates, units, skipped)
        candidates["copying the array (the roof)"] = lambda: np.copyto(out, iq)
        rows = compare(candidates, units=units, rounds=ROUNDS, clock=time.process_time)
    note = f"CPU time of one core, medians of {ROUNDS} interleaved rounds."
    title = "Emulate: 4 fading taps on the grid, AWGN"
    return Table(title=title, unit="samples", rows=rows, skipped=skipped, note=note)


def add_peer(
    peer: PeerProcess,
    works: Mapping[str, tuple[str, dict[str, object], float]],
    candidates: Candidates,
    units: dict[str, float],
    skipped: list[Skipped],
) -> None:
    """Add what the peer can do to the candidates, and what fails to those skipped."""
    for label, (work, settings, num_samples) in works.items():
        name = label.format(version=peer.version)
        candidate = peer.candidate(work, **settings)
        try:
            candidate()
        except PeerAbsentError as exc:
            skipped.append(Skipped(name=name, reason=str(exc)))
            return
        candidates[name], units[name] = candidate, num_samples


_TAPS = {"lags": LAGS, "gains": GAINS, "sigma": SIGMA}
_FADING = {**_TAPS, "doppler_rate": DOPPLER_HZ / SAMPLE_RATE_HZ}
# Label -> work, settings, samples of a call. The slow ones get fewer samples.
GNURADIO_WORKS: dict[str, tuple[str, dict[str, object], float]] = {
    "GNU Radio {version} channel_model (static)": (
        "channel_model",
        {**_TAPS, "num_samples": 3_000_000},
        3e6,
    ),
    "GNU Radio {version} selective_fading_model": (
        "selective_fading",
        {**_FADING, "num_samples": 300_000},
        3e5,
    ),
    "GNU Radio {version} dynamic_channel_model": (
        "dynamic_channel",
        {**_FADING, "num_samples": 300_000},
        3e5,
    ),
    "GNU Radio {version} 4 x fading_model": (
        "flat_fading",
        {**_FADING, "num_samples": 300_000},
        3e5,
    ),
}
SIONNA_WORKS: dict[str, tuple[str, dict[str, object], float]] = {
    "Sionna {version} ApplyTimeChannel (taps given)": (
        "apply",
        {**_TAPS, "update_samples": UPDATE_SAMPLES, "num_samples": 100_000},
        1e5,
    ),
    "Sionna {version} TimeChannel, TDL (blocks of 1000)": (
        "time_channel",
        {
            **_TAPS,
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "doppler_hz": DOPPLER_HZ,
            "num_samples": 1000,
            "batch_size": 100,
        },
        1e5,
    ),
}


def everything_on(iq: np.ndarray) -> Table:
    """Return our rates as the work grows; no peer does the same."""
    streams = {
        "phyemu: fractional delays, moving taps, CFO, phase noise, IQ imbalance": stream(
            channel(fraction=FRACTION, front_end=EVERYTHING)
        ),
        "phyemu: fractional delays": stream(channel(fraction=FRACTION)),
        "phyemu: taps on the grid, CFO, phase noise, IQ imbalance": stream(
            channel(front_end=EVERYTHING)
        ),
    }
    candidates = {name: in_blocks(executor, iq, BLOCK) for name, executor in streams.items()}
    rows = compare(candidates, units=NUM_SAMPLES, rounds=ROUNDS, clock=time.process_time)
    note = f"CPU time of one core, medians of {ROUNDS} interleaved rounds."
    title = "Emulate: everything on, and parts of it"
    return Table(title=title, unit="samples", rows=rows, note=note)


def two_cores(title: str, model: TappedDelayLine, iq: np.ndarray) -> Table:
    """Return what a second thread brings, beside two streams that share nothing."""
    single, double = stream(model), stream(model, num_threads=2)
    apart = [stream(model), stream(model)]
    halves = np.split(iq, 2)

    def both() -> None:
        threads = [
            threading.Thread(target=in_blocks(each, half, THREADED_BLOCK))
            for each, half in zip(apart, halves, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    candidates: Candidates = {
        "phyemu, 2 threads": in_blocks(double, iq, THREADED_BLOCK),
        "phyemu, 1 thread": in_blocks(single, iq, THREADED_BLOCK),
        "phyemu, two streams, a thread each": both,
    }
    rows = best_of(candidates, units=len(iq), rounds=THREADED_ROUNDS)
    note = (
        f"Wall-clock time, the best of {THREADED_ROUNDS} short rounds: the median would tell how "
        "often both cores were free."
    )
    return Table(title=title, unit="samples", rows=rows, note=note)


def in_blocks(executor: ChannelStream, iq: np.ndarray, block: int) -> Callable[[], None]:
    """Return a call that feeds the samples as a stream comes: block by block."""

    def work() -> None:
        for begin in range(0, len(iq), block):
            executor.process(iq[begin : begin + block])

    return work
