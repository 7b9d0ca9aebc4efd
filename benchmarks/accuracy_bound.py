"""Errors of sounding against the SNR, beside the Cramer-Rao bound.

Model of one burst: H_k = sum_p g_p e^(-j 2 pi f_k tau_p) + n_k, n_k ~ CN(0, v). Unknown are the
delays tau_p and the complex gains g_p. With the derivatives of the mean as columns of
D = [d/d tau_p, d/d Re g_p, d/d Im g_p], each K values long, the Fisher information is

    J = (2 / v) Re(D^H D),   cov >= J^-1,

and the level in dB, 20 log10 |g_p|, has the variance w^T J^-1 w with w = 20 / ln 10 / |g_p|^2 times
(Re g_p, Im g_p). For a single path this is var tau = v / (8 pi^2 |g|^2 sum (f_k - mean f)^2) and
var of |g| = v / (2 K).

The estimator gets more unknowns than that bound admits: carrier offset, a phase for each
repetition, the noise. Bursts are made exactly (delays as phases of the periodic sequence, not by an
interpolator), so what is seen is the estimator's error and nothing else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phyemu.sounding import PathModel, extract_paths
from phyemu.sounding.burst_estimate import estimate_bursts
from phyemu.waveform.sounder import SounderFormat, sounder_bins, sounder_spectrum

__all__ = ["Curve", "bound", "bound_table", "curve", "save_figure"]

SOUNDER = SounderFormat(sample_rate_hz=20e6)
SNRS_DB = tuple(range(0, 41, 5))
TRIALS = 400
SEPARATION = 1.5  # of 1 / bandwidth
BANDWIDTH_HZ = 18e6
MODEL = PathModel(max_paths=8, dynamic_range_db=35.0, false_path_rate=1e-3)
FIGURE = Path("docs") / "pictures" / "sounding-accuracy.png"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """RMS errors against the SNR per sample, and their bounds.

    Attributes:
        name: What was sounded.
        delay_rms_s, level_rms_db: Over all paths and trials, (S,).
        delay_bound_s, level_bound_db: Cramer-Rao bounds of the same, (S,).
        wrong_order: Trials with another number of paths than there are, (S,); left out above.
    """

    name: str
    delay_rms_s: NDArray[np.float64]
    level_rms_db: NDArray[np.float64]
    delay_bound_s: NDArray[np.float64]
    level_bound_db: NDArray[np.float64]
    wrong_order: NDArray[np.int64]


def bound(
    delays_s: NDArray[np.float64],
    gains: NDArray[np.complex128],
    frequencies_hz: NDArray[np.float64],
    noise_variance: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the least standard errors of the delays [s] and of the levels [dB], (P,) each."""
    num_paths = len(delays_s)
    steering = np.exp(-2j * np.pi * np.outer(frequencies_hz, delays_s))
    # In units of 1 / bandwidth, so that the matrix is well conditioned.
    unit_s = 1.0 / np.ptp(frequencies_hz)
    moved = (-2j * np.pi * unit_s) * frequencies_hz[:, None] * steering * gains
    derivative = np.concatenate([moved, steering, 1j * steering], axis=1)
    information = 2.0 / noise_variance * (derivative.conj().T @ derivative).real
    covariance = np.linalg.inv(information)
    delay_std_s = unit_s * np.sqrt(np.diag(covariance)[:num_paths])
    level = []
    for path, gain in enumerate(gains):
        slope = np.zeros(3 * num_paths)
        slope[num_paths + path], slope[2 * num_paths + path] = gain.real, gain.imag
        slope *= 20.0 / np.log(10.0) / abs(gain) ** 2
        level.append(np.sqrt(slope @ covariance @ slope))
    return delay_std_s, np.array(level)


def curve(
    name: str,
    separations: tuple[float, ...],
    *,
    trials: int,
    seed: int,
    snrs_db: Sequence[float] = SNRS_DB,
) -> Curve:
    """Return the errors of paths at 0 and at `separations` [1 / bandwidth], of equal power.

    Every trial has its own delay within a sample, its own phases and its own carrier offset.
    """
    rng = np.random.default_rng(seed)
    bins = sounder_bins(SOUNDER).numpy()
    frequencies = bins * SOUNDER.bin_spacing_hz
    inside = np.abs(frequencies) <= BANDWIDTH_HZ / 2
    relative = np.array([0.0, *separations]) / BANDWIDTH_HZ
    repetitions = SOUNDER.repetitions - 1
    rows = []
    for snr_db in snrs_db:
        delays = relative + rng.random((trials, 1)) / SOUNDER.sample_rate_hz
        phases = np.exp(2j * np.pi * rng.random((trials, len(relative))))
        gains = phases / np.sqrt(len(relative))
        cfo_hz = 0.1 * SOUNDER.bin_spacing_hz * (rng.random(trials) - 0.5)
        received = _bursts(delays, gains, cfo_hz, 10 ** (-snr_db / 10), rng)
        estimates = estimate_bursts(received, SOUNDER, cfo_hz=np.zeros(trials))
        # A bin of unit power per sample is scaled to 1; its noise is that of one sample.
        noise = 10 ** (-snr_db / 10) / repetitions
        delay_errors, level_errors, wrong = [], [], 0
        bounds = []
        for trial in range(trials):
            variance = estimates.noise_variance[trial : trial + 1, inside]
            paths = extract_paths(
                estimates.transfer[trial : trial + 1, inside],
                noise_variance=variance,
                frequencies_hz=frequencies[inside],
                period_s=1.0 / SOUNDER.bin_spacing_hz,
                interval_s=1.0,
                model=MODEL,
            )
            if paths.num_paths != len(relative):
                wrong += 1
                continue
            delay_errors.append(paths.delays_s.numpy() - delays[trial])
            level = 10 * np.log10(paths.powers().numpy())
            level_errors.append(level - 20 * np.log10(np.abs(gains[trial])))
            bounds.append(bound(delays[trial], gains[trial], frequencies[inside], noise))
        rows.append(
            (
                *(float(np.sqrt(np.mean(np.square(e)))) for e in (delay_errors, level_errors)),
                *np.sqrt(np.mean(np.square(np.array(bounds)), axis=(0, 2))).tolist(),
                wrong,
            )
        )
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Curve(
        name=name,
        delay_rms_s=columns[0],
        level_rms_db=columns[1],
        delay_bound_s=columns[2],
        level_bound_db=columns[3],
        wrong_order=columns[4],
    )


def _bursts(
    delays_s: NDArray[np.float64],
    gains: NDArray[np.complex128],
    cfo_hz: NDArray[np.float64],
    noise: float,
    rng: np.random.Generator,
) -> NDArray[np.complex64]:
    """Return bursts as they arrive, (trials, burst_samples)."""
    length = SOUNDER.length
    bins = sounder_bins(SOUNDER).numpy()
    frequencies = bins * SOUNDER.bin_spacing_hz
    steering = np.exp(-2j * np.pi * frequencies * delays_s[:, :, None])
    response = (gains[:, :, None] * steering).sum(axis=1)
    spectrum = np.zeros((len(delays_s), length), complex)
    spectrum[:, bins % length] = response * sounder_spectrum(SOUNDER).numpy()
    bursts = np.tile(np.fft.ifft(spectrum, axis=1), SOUNDER.repetitions)
    n = np.arange(bursts.shape[1]) / SOUNDER.sample_rate_hz
    bursts *= np.exp(2j * np.pi * cfo_hz[:, None] * n)
    white = rng.standard_normal(bursts.shape) + 1j * rng.standard_normal(bursts.shape)
    return (bursts + np.sqrt(noise / 2) * white).astype(np.complex64)


def save_figure(curves: list[Curve], path: Path) -> Path:
    """Draw delay and level errors against the SNR, beside their bounds, and return the path."""
    figure = Figure(figsize=(11.0, 4.2), layout="constrained")
    delay, level = figure.subplots(1, 2)
    for index, item in enumerate(curves):
        color = f"C{index}"
        delay.semilogy(SNRS_DB, 1e9 * item.delay_rms_s, "o", color=color, label=item.name)
        delay.semilogy(
            SNRS_DB, 1e9 * item.delay_bound_s, "-", color=color, label="Cramér-Rao bound of it"
        )
        level.semilogy(SNRS_DB, item.level_rms_db, "o", color=color, label=item.name)
        level.semilogy(
            SNRS_DB, item.level_bound_db, "-", color=color, label="Cramér-Rao bound of it"
        )
    delay.set(ylabel="RMS delay error [ns]", title="delay")
    level.set(ylabel="RMS gain error [dB]", title="gain")
    for axes in (delay, level):
        axes.set(xlabel="SNR per sample [dB]")
        axes.grid(which="major", alpha=0.4)
        axes.legend(frameon=False)
    figure.suptitle("One burst: 8 x 1024 samples at 20 Msps, 18 MHz measured", fontsize=10)
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path


def bound_table() -> str:
    """Run the study, save its figure, and return the table."""
    curves = [
        curve("one path", (), trials=TRIALS, seed=1),
        curve(f"two paths, {SEPARATION:g} / bandwidth apart", (SEPARATION,), trials=TRIALS, seed=2),
    ]
    path = save_figure(curves, FIGURE)
    lines = [
        "## Sounding: one burst at 20 Msps against the Cramer-Rao bound",
        "",
        "| SNR | paths | delay RMS | bound | ratio | gain RMS | bound | ratio | wrong number |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for item in curves:
        lines += [
            f"| {snr} dB | {item.name} | {1e9 * item.delay_rms_s[k]:.4f} ns | "
            f"{1e9 * item.delay_bound_s[k]:.4f} ns | "
            f"{item.delay_rms_s[k] / item.delay_bound_s[k]:.2f} | {item.level_rms_db[k]:.4f} dB | "
            f"{item.level_bound_db[k]:.4f} dB | "
            f"{item.level_rms_db[k] / item.level_bound_db[k]:.2f} | {item.wrong_order[k]} |"
            for k, snr in enumerate(SNRS_DB)
        ]
    lines += ["", f"{TRIALS} bursts each; a ratio is known to about 4 %. Figure: {path.as_posix()}"]
    return "\n".join(lines) + "\n"
