"""Sounding: impulse responses out of a repeated sequence, ours beside CaST's estimator and others.

The work is the same for all: 1 M samples of the 255-chip GLFSR at two samples per chip (510 samples
a period), sent over and over through 4 paths at 20 dB SNR. A response is one repetition's, and each
tool delivers every one of them, except where the row says that those of a frame (eight repetitions)
are averaged once they are there.

CaST's estimator, re-implemented from what its paper describes and its published program does
(github.com/wineslab/cast, radio_api), works through the repetitions one at a time. For each it cuts
four periods out of the recording and correlates them with one period over all lags
(scipy.signal.correlate, mode "full", which picks direct or FFT itself) three times: the complex
samples, for the peak that gives the path gain, then the real and the imaginary parts apart, whose
squares are added in a Python loop to the magnitude of the impulse response and to the power delay
profile in dB. Nothing is shared between repetitions, and every sample is correlated four times.

The row "a fair tight loop" is one np.correlate per repetition over the 510 lags that a period has,
and nothing else: what CaST's estimator could be without leaving NumPy's loop. It once stood for
CaST here, but does some twentieth of its work.
"""

import time
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal
import torch

from benchmarks.harness import Table, compare
from phyemu.sounding import PathModel, extract_paths
from phyemu.sounding.burst_estimate import estimate_bursts, estimate_repetitions
from phyemu.waveform.sounder import chip_sounder, sounder_bins, sounder_period

SAMPLE_RATE_HZ = 20e6
NUM_SAMPLES = 1_000_000
SNR_DB = 20.0
CFO_HZ = 1e3
PATHS = {0: 1.0, 3: 0.6j, 7: -0.35, 18: 0.2}
FORMAT = chip_sounder(
    SAMPLE_RATE_HZ,
    "glfsr",
    degree=8,
    index=0,
    samples_per_chip=2,
    repetitions=8,
    gap_samples=0,
)
MODEL = PathModel(max_paths=32, dynamic_range_db=35.0, false_path_rate=1e-3)
CAST_RESPONSES = 100
"""CaST's loop is timed over so many repetitions, as a second is long enough."""


def received(rng: np.random.Generator) -> np.ndarray:
    """Return what arrives of the sequence: the paths and noise, whole frames."""
    count = NUM_SAMPLES // FORMAT.burst_samples * FORMAT.repetitions
    sent = np.tile(sounder_period(FORMAT).numpy(), count).astype(np.complex128)
    clean = sum(gain * np.roll(sent, lag) for lag, gain in PATHS.items())
    sigma = np.sqrt(np.mean(np.square(np.abs(clean))) / 2) * 10 ** (-SNR_DB / 20)
    noise = rng.standard_normal(len(sent)) + 1j * rng.standard_normal(len(sent))
    turned = clean * np.exp(2j * np.pi * CFO_HZ / SAMPLE_RATE_HZ * np.arange(len(sent)))
    return (turned + sigma * noise).astype(np.complex64)


def by_paths(frames: np.ndarray) -> int:
    """Return the number of paths that our estimate and extraction find."""
    cfo_hz = np.full(len(frames), CFO_HZ)
    estimates = estimate_bursts(frames, FORMAT, cfo_hz=cfo_hz)
    response = extract_paths(
        estimates.transfer,
        noise_variance=estimates.noise_variance,
        frequencies_hz=sounder_bins(FORMAT).numpy() * FORMAT.bin_spacing_hz,
        period_s=1.0 / FORMAT.bin_spacing_hz,
        interval_s=FORMAT.interval_samples / SAMPLE_RATE_HZ,
        model=MODEL,
    )
    return response.gains.shape[-1]


def by_impulses(frames: np.ndarray) -> np.ndarray:
    """Return the LS impulse response of each repetition, over the sounded band."""
    bins = sounder_bins(FORMAT).numpy()  # -213 ... -1, 1 ... 213
    below = int(np.searchsorted(bins, 0))
    impulses = np.zeros((len(frames), FORMAT.repetitions, FORMAT.length), np.complex64)
    for first in range(0, len(frames), 16):
        own = impulses[first : first + 16]
        part = frames[first : first + 16]
        responses = estimate_repetitions(part, FORMAT, cfo_hz=np.full(len(part), CFO_HZ))
        own[..., 1 : 1 + len(bins) - below] = responses[..., below:]
        own[..., -below:] = responses[..., :below]
        own[:] = scipy.fft.ifft(own, axis=-1, overwrite_x=True)
    return impulses


def by_cast(iq: np.ndarray, known: np.ndarray, count: int) -> list[tuple]:
    """Return path gain, magnitude response and power delay profile of each repetition."""
    size, energy = len(known), float(known @ known)
    results = []
    for index in range(2, count + 2):
        stretch = iq[(index - 2) * size + 1 : (index + 2) * size]
        match = scipy.signal.correlate(known, stretch, mode="full")
        scipy.signal.correlation_lags(len(known), len(stretch), mode="full")
        peak = match[np.abs(match).argmax()]
        gain_db = 20 * np.log10(np.abs(peak / energy))
        squares = []
        for part in (stretch.real, stretch.imag):
            lagged = scipy.signal.correlate(known, part, mode="full") / size
            scipy.signal.correlation_lags(len(known), len(part), mode="full")
            squares.append(lagged**2)
        magnitude = np.sqrt(np.array([re + im for re, im in zip(*squares, strict=True)]))
        profile_db = 20 * np.log10(magnitude, where=magnitude > 0, out=np.zeros_like(magnitude))
        results.append((gain_db, magnitude, profile_db))
    return results


def by_tight_loop(iq: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the correlation of each repetition over the lags of one period, one call each."""
    size = len(known)
    count = len(iq) // size - 1
    responses = np.empty((count, size), np.complex64)
    for index in range(count):
        stretch = iq[index * size : (index + 2) * size - 1]
        responses[index] = np.correlate(stretch, known, mode="valid") / size
    return responses


def by_fft(iq: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the same correlations as one batch of SciPy FFTs, cyclic over each period."""
    size = len(known)
    count = len(iq) // size
    spectra = scipy.fft.fft(iq[: count * size].reshape(count, size), axis=1)
    spectra *= (scipy.fft.fft(known).conj() / size).astype(np.complex64)
    return scipy.fft.ifft(spectra, axis=1, overwrite_x=True)


def run() -> list[Table]:
    """Return the table of responses per second, and the two ratios that the project promises."""
    torch.set_num_threads(1)
    iq = received(np.random.default_rng(0))
    frames = iq.reshape(-1, FORMAT.burst_samples)
    known = sounder_period(FORMAT).numpy().real.copy()
    cfo_hz = np.full(len(frames), CFO_HZ)
    count = len(frames) * FORMAT.repetitions
    copied = np.empty_like(iq)
    found = by_paths(frames)
    each = "phyemu estimate_repetitions (LS, each repetition)"
    refined = f"phyemu frames with path extraction ({found} of {len(PATHS)} paths)"
    cast = "CaST's estimator, re-implemented"
    work: dict[str, tuple[int, Callable[[], object]]] = {
        each: (count, lambda: estimate_repetitions(frames, FORMAT, cfo_hz=cfo_hz)),
        "phyemu the same, as impulse responses": (count, lambda: by_impulses(frames)),
        "phyemu estimate_bursts (LS per frame; CFO, phases, noise)": (
            count,
            lambda: estimate_bursts(frames, FORMAT, cfo_hz=cfo_hz),
        ),
        refined: (count, lambda: by_paths(frames)),
        cast: (CAST_RESPONSES, lambda: by_cast(iq, known.astype(float), CAST_RESPONSES)),
        "a fair tight loop, np.correlate": (
            count,
            lambda: by_tight_loop(iq, known.astype(np.complex64)),
        ),
        "SciPy FFT batch (correlation only)": (count, lambda: by_fft(iq, known)),
        "copying the array (the roof)": (count, lambda: np.copyto(copied, iq)),
    }
    counts = {name: number for name, (number, _) in work.items()}
    rows = compare(
        {name: call for name, (_, call) in work.items()},
        units=counts,
        rounds=7,
        clock=time.process_time,
    )
    rate = {row.name: row.rate for row in rows}
    note = (
        f"Against CaST's estimator: LS response {rate[each] / rate[cast]:.0f}x, "
        f"with sub-sample refinement {rate[refined] / rate[cast]:.0f}x. "
        "Medians of 7 interleaved rounds in CPU time, one thread."
    )
    return [Table(title="Sound: responses of 1 M samples", unit="responses", rows=rows, note=note)]
