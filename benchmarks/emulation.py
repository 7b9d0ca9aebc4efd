"""Emulation: 4 fading taps at 20 Msps with AWGN, ours beside what else is installed.

The work: taps at 0, 120, 340, 900 ns (0, -3, -8, -15 dB, Rayleigh, 10 Hz Doppler), updated every
1 ms, complex64 in and out, AWGN at 12 dB. Peers get their gains for nothing: they are drawn before.
"""

import math
import os

import numpy as np
import scipy.signal
import torch

from benchmarks.harness import compare, markdown_table
from phyemu.channel import (
    ChannelStream,
    DelayProfile,
    Distribution,
    FrontEnd,
    NoiseLevel,
    TappedDelayLine,
)

SAMPLE_RATE_HZ = 20e6
NUM_SAMPLES = 4_000_000
UPDATE_SAMPLES = 20_000
LAGS = np.rint(np.array([0, 120e-9, 340e-9, 900e-9]) * SAMPLE_RATE_HZ).astype(int)
POWERS = 10 ** (np.array([0.0, -3.0, -8.0, -15.0]) / 10)


def model(front_end: FrontEnd, *, on_grid: bool) -> TappedDelayLine:
    """Return the channel of the work, its delays on the sample grid or between samples."""
    grid = LAGS / SAMPLE_RATE_HZ
    powers = POWERS / POWERS.sum()
    profile = DelayProfile(
        name="bench",
        delays_s=tuple(float(delay) for delay in (grid if on_grid else grid + 13.7e-9)),
        powers=tuple(float(power) for power in powers),
        k_factor=(0.0,) * 4,
    )
    return TappedDelayLine(
        profile=profile, noise=NoiseLevel.of_snr_db(12.0), doppler_hz=10.0, front_end=front_end
    )


def stream(front_end: FrontEnd, *, on_grid: bool, num_threads: int) -> ChannelStream:
    """Return our executor of the work."""
    return ChannelStream(
        model(front_end, on_grid=on_grid),
        sample_rate_hz=SAMPLE_RATE_HZ,
        symbol_rate_hz=SAMPLE_RATE_HZ,
        reference_power=1.0,
        seed=1,
        interval_s=UPDATE_SAMPLES / SAMPLE_RATE_HZ,
        num_threads=num_threads,
    )


def run() -> str:
    """Return the tables of both works."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    iq = (rng.normal(size=NUM_SAMPLES) + 1j * rng.normal(size=NUM_SAMPLES)).astype(np.complex64)
    gains = (
        np.sqrt(POWERS / POWERS.sum() / 2)
        * (rng.normal(size=(NUM_SAMPLES // UPDATE_SAMPLES, 4, 2)) @ np.array([1, 1j]))
    ).astype(np.complex64)
    sigma = 10 ** (-12 / 20)
    copied = np.empty_like(iq)
    ours = stream(FrontEnd(), on_grid=True, num_threads=1)
    both = stream(FrontEnd(), on_grid=True, num_threads=2)
    candidates = {
        "phyemu ChannelStream, 1 thread": lambda: ours.process(iq),
        "phyemu ChannelStream, 2 threads": lambda: both.process(iq),
        "torch, sum of shifted copies": lambda: by_torch(torch.from_numpy(iq), gains, sigma),
        "numpy, sum of shifted copies": lambda: by_numpy(iq, gains, sigma, rng),
        "SciPy oaconvolve per update": lambda: by_scipy(iq, gains, sigma, rng),
        "copying the array (the roof)": lambda: np.copyto(copied, iq),
    }
    rows = compare(candidates, units=NUM_SAMPLES)
    tables = [markdown_table("Emulate: 4 taps on the grid, AWGN", "samples", rows)]
    full = FrontEnd(
        cfo_hz=Distribution.constant(3e3),
        linewidth_hz=Distribution.constant(50.0),
        iq_gain_db=Distribution.constant(0.3),
        iq_phase_rad=Distribution.constant(0.02),
    )
    loaded = stream(full, on_grid=False, num_threads=1)
    loaded_both = stream(full, on_grid=False, num_threads=2)
    candidates = {
        "phyemu ChannelStream, 1 thread": lambda: loaded.process(iq),
        "phyemu ChannelStream, 2 threads": lambda: loaded_both.process(iq),
    }
    rows = compare(candidates, units=NUM_SAMPLES)
    title = "Emulate: fractional delays, CFO, phase noise, IQ imbalance, AWGN"
    tables.append(markdown_table(title, "samples", rows))
    tables.append(f"Medians of 7 interleaved rounds on {os.cpu_count()} cores.\n")
    return "\n".join(tables)


def by_torch(iq: torch.Tensor, gains: np.ndarray, sigma: float) -> torch.Tensor:
    """Return the work done by a careful torch user: in place, chunk by chunk."""
    out = torch.empty_like(iq)
    rates = torch.from_numpy(gains)
    last = int(LAGS[-1])
    for step in range(gains.shape[0]):
        begin = step * UPDATE_SAMPLES
        chunk = out[begin : begin + UPDATE_SAMPLES]
        chunk.normal_().mul_(sigma)
        for path, lag in enumerate(LAGS):
            start = begin - int(lag)
            if start >= 0:
                chunk.addcmul_(iq[start : start + UPDATE_SAMPLES], rates[step, path])
            else:
                chunk[last:].addcmul_(iq[last - lag : UPDATE_SAMPLES - lag], rates[step, path])
    return out


def by_numpy(
    iq: np.ndarray, gains: np.ndarray, sigma: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the work done by a careful NumPy user, with the fast SFC64 generator."""
    fast = np.random.Generator(np.random.SFC64(int(rng.integers(2**31))))
    out = np.empty_like(iq)
    last = int(LAGS[-1])
    for step in range(gains.shape[0]):
        begin = step * UPDATE_SAMPLES
        chunk = out[begin : begin + UPDATE_SAMPLES]
        fast.standard_normal(out=chunk.view(np.float32), dtype=np.float32)
        chunk *= np.float32(sigma / math.sqrt(2))
        for path, lag in enumerate(LAGS):
            start = begin - int(lag)
            if start >= 0:
                chunk += gains[step, path] * iq[start : start + UPDATE_SAMPLES]
            else:
                chunk[last:] += gains[step, path] * iq[last - lag : UPDATE_SAMPLES - lag]
    return out


def by_scipy(
    iq: np.ndarray, gains: np.ndarray, sigma: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the work done with an overlap-add convolution per update."""
    fast = np.random.Generator(np.random.SFC64(int(rng.integers(2**31))))
    noise = fast.standard_normal(2 * iq.size, dtype=np.float32).view(np.complex64)
    out = noise * np.float32(sigma / math.sqrt(2))
    for step in range(gains.shape[0]):
        begin = step * UPDATE_SAMPLES
        response = np.zeros(int(LAGS[-1]) + 1, np.complex64)
        response[LAGS] = gains[step]
        part = scipy.signal.oaconvolve(iq[begin : begin + UPDATE_SAMPLES], response)
        end = min(begin + part.size, iq.size)
        out[begin:end] += part[: end - begin]
    return out
