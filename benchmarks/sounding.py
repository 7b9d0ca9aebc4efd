"""Sounding: impulse responses out of repeated sequences, ours beside CaST's loop and FFT batches.

The work: 1 M samples of a known sequence sent over and over through 4 paths at 20 dB SNR; one
response per repetition. CaST and the FFT batch get the 255-chip GLFSR at two samples per chip
(510 samples a period); ours gets its own sounder, 512 samples a period, with its guard periods and
silence counted, and estimates carrier, phase and noise on the way. A response of ours is one
measuring period: `estimate_bursts` averages the eight of a burst only once it has them all.
"""

import os

import numpy as np
import scipy.fft
import torch

from benchmarks.harness import compare, markdown_table
from phyemu.sounding import PathModel, extract_paths
from phyemu.sounding.burst_estimate import estimate_bursts
from phyemu.waveform import m_sequence
from phyemu.waveform.sounder import SounderFormat, sounder_bins, sounder_waveform

SAMPLE_RATE_HZ = 20e6
NUM_SAMPLES = 1_000_000
SNR_DB = 20.0
CFO_HZ = 1e3
PATHS = {0: 1.0, 3: 0.6j, 7: -0.35, 18: 0.2}
FORMAT = SounderFormat(
    sample_rate_hz=SAMPLE_RATE_HZ, length=512, repetitions=9, gap_samples=2 * 512
)
MODEL = PathModel(max_paths=32, dynamic_range_db=35.0, false_path_rate=1e-3)


def received(sent: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what arrives of a waveform: the paths and noise."""
    clean = np.zeros(len(sent), np.complex128)
    for lag, gain in PATHS.items():
        clean[lag:] += gain * sent[: len(sent) - lag]
    sigma = np.sqrt(np.mean(np.square(np.abs(clean))) / 2) * 10 ** (-SNR_DB / 20)
    noise = rng.standard_normal(len(sent)) + 1j * rng.standard_normal(len(sent))
    return (clean + sigma * noise).astype(np.complex64)


def our_bursts(rng: np.random.Generator) -> np.ndarray:
    """Return 1 M samples' worth of our bursts, cut out, (bursts, burst_samples)."""
    count = NUM_SAMPLES // FORMAT.interval_samples
    burst = np.concatenate(
        [sounder_waveform(FORMAT).numpy(), np.zeros(FORMAT.gap_samples, np.complex64)]
    )
    stream = received(np.tile(burst, count), rng)
    turned = stream * np.exp(2j * np.pi * CFO_HZ / SAMPLE_RATE_HZ * np.arange(len(stream)))
    bursts = turned.reshape(count, -1)[:, : FORMAT.burst_samples]
    return np.ascontiguousarray(bursts.astype(np.complex64))


def by_paths(bursts: np.ndarray) -> int:
    """Return the number of paths that our estimate and extraction find."""
    cfo_hz = np.full(len(bursts), CFO_HZ)
    estimates = estimate_bursts(bursts, FORMAT, cfo_hz=cfo_hz)
    shape = estimates.transfer.shape
    response = extract_paths(
        estimates.transfer,
        noise_variance=np.broadcast_to(estimates.noise_variance[:, None], shape),
        frequencies_hz=sounder_bins(FORMAT).numpy() * FORMAT.bin_spacing_hz,
        period_s=1.0 / FORMAT.bin_spacing_hz,
        interval_s=FORMAT.interval_samples / SAMPLE_RATE_HZ,
        model=MODEL,
    )
    return response.gains.shape[-1]


def by_cast(iq: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return a response per repetition as CaST's description has it: one correlation each.

    Every period is correlated, sample by sample, with the known sequence; nothing is shared.
    """
    size = len(period)
    count = len(iq) // size - 1
    responses = np.empty((count, size), np.complex64)
    for index in range(count):
        stretch = iq[index * size : (index + 2) * size - 1]
        responses[index] = np.correlate(stretch, period, mode="valid") / size
    return responses


def by_fft(iq: np.ndarray, period: np.ndarray) -> np.ndarray:
    """Return the same correlations as one batch of SciPy FFTs, cyclic over each period."""
    size = len(period)
    count = len(iq) // size
    spectra = scipy.fft.fft(iq[: count * size].reshape(count, size), axis=1)
    spectra *= (scipy.fft.fft(period).conj() / size).astype(np.complex64)
    return scipy.fft.ifft(spectra, axis=1, overwrite_x=True)


def run() -> str:
    """Return the table of responses per second."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    bursts = our_bursts(rng)
    period = np.repeat(1.0 - 2.0 * m_sequence(8).numpy(), 2).astype(np.complex64)
    iq = received(np.tile(period, NUM_SAMPLES // len(period)), rng)
    cfo_hz = np.full(len(bursts), CFO_HZ)
    ours = len(bursts) * (FORMAT.repetitions - 1)
    theirs = NUM_SAMPLES // len(period)
    copied = np.empty_like(iq)
    found = by_paths(bursts)
    # Equal work is 1 M samples; the rates are in responses of the sequence that each one uses.
    work = {
        "phyemu estimate_bursts (CFO, phase, noise)": (
            ours,
            lambda: estimate_bursts(bursts, FORMAT, cfo_hz=cfo_hz),
        ),
        f"phyemu with path extraction ({found} of {len(PATHS)} paths)": (
            ours,
            lambda: by_paths(bursts),
        ),
        "SciPy FFT batch (correlation only)": (theirs, lambda: by_fft(iq, period)),
        "CaST's loop, np.correlate per repetition": (theirs, lambda: by_cast(iq, period)),
        "copying the array (the roof)": (theirs, lambda: np.copyto(copied, iq)),
    }
    counts = {name: count for name, (count, _) in work.items()}
    rows = compare({name: call for name, (_, call) in work.items()}, units=counts, rounds=5)
    table = markdown_table("Sound: responses of 1 M samples", "responses", rows)
    return table + f"\nMedians of 5 interleaved rounds on {os.cpu_count()} cores, one thread.\n"
