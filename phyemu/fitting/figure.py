"""The page of a fit: what was measured, and what the model draws instead."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phyemu.channel import EmpiricalChannel, doppler_autocorrelation
from phyemu.errors import ConfigError
from phyemu.fitting.amplitude_family import rician_amplitude_cdf
from phyemu.fitting.fit import Fit
from phyemu.fitting.holdout import drawn_frames
from phyemu.fitting.path_gains import steering

__all__ = ["fit_figure", "save_fit_figure"]

_SUFFIXES = (".png", ".pdf", ".svg")
_OVERSAMPLING = 8
_MAX_PATHS = 5
_FLOOR_DB = 50.0
_DRAWS = 2000


def fit_figure(fit: Fit) -> Figure:
    """Return a figure of four: delay profile, amplitudes, C/N0, correlations."""
    figure = Figure(figsize=(12.0, 8.0), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(
        f"{fit.model.name}: {fit.num_frames} frames worth {fit.effective_frames:.0f}, "
        f"C/N0 {fit.cn0_dbhz.value:.1f} dB Hz"
    )
    _draw_profile(axes[0, 0], fit)
    _draw_amplitudes(axes[0, 1], fit)
    _draw_cn0(axes[1, 0], fit)
    _draw_correlation(axes[1, 1], fit)
    return figure


def save_fit_figure(fit: Fit, path: Path) -> Path:
    """Write the figure in the format of the path's suffix, and return the path.

    Raises:
        ConfigError: Another suffix than .png, .pdf, .svg, or a folder that is not there.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"{path}: a figure is written as {', '.join(_SUFFIXES)}")
    figure = fit_figure(fit)
    FigureCanvasAgg(figure)
    try:
        figure.savefig(path, dpi=120)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}") from exc
    return path


def _draw_profile(axes: Axes, fit: Fit) -> None:
    """Measured mean power delay profile against that of the model seen through the same band."""
    frames, link, delays_s = fit.evidence.frames, fit.evidence.link, fit.evidence.paths.delays_s
    frequencies_hz = frames.frequencies_hz
    window = np.hanning(len(frequencies_hz) + 2)[1:-1]
    window = window / window.sum()
    margin_s = 4.0 / frames.bandwidth_hz
    first, last = float(delays_s[0]) - margin_s, float(delays_s[-1]) + 3 * margin_s
    grid_s = np.arange(first, last, 1.0 / frames.bandwidth_hz / _OVERSAMPLING)
    back = np.exp(2j * np.pi * np.outer(frequencies_hz, grid_s)) * window[:, None]
    measured = np.square(np.abs(frames.transfer @ back)).mean(axis=0)
    seen = steering(frequencies_hz, delays_s).T @ back
    second = link.covariance + np.outer(link.specular, link.specular.conj())
    model = np.einsum("pg,pq,qg->g", seen, second, seen.conj()).real
    model = model + float(frames.noise_variance.mean()) * float(np.square(window).sum())
    origin_s = float(delays_s[0])
    axes.plot(1e9 * (grid_s - origin_s), _db(measured), label="measured")
    axes.plot(1e9 * (grid_s - origin_s), _db(model), "--", label="fit")
    top = float(_db(measured).max())
    axes.vlines(1e9 * (delays_s - origin_s), top - _FLOOR_DB, _db(link.powers), color="C2", lw=1)
    axes.plot(1e9 * (delays_s - origin_s), _db(link.powers), "o", color="C2", ms=4, label="paths")
    axes.set(
        title="power delay profile",
        xlabel="delay after the first path [ns]",
        ylabel="power [dBFS]",
        ylim=(top - _FLOOR_DB, top + 5.0),
    )
    axes.legend()


def _draw_amplitudes(axes: Axes, fit: Fit) -> None:
    """Distribution of the amplitude of the strongest paths; the noise is part of both."""
    paths, link = fit.evidence.paths, fit.evidence.link
    strongest = np.argsort(-link.powers, kind="stable")[:_MAX_PATHS]
    for color, path in enumerate(np.sort(strongest)):
        amplitudes = np.sort(np.abs(paths.gains[:, path]))
        levels = (np.arange(len(amplitudes)) + 0.5) / len(amplitudes)
        label = f"{1e9 * fit.paths[path].delay_s:.0f} ns, {fit.paths[path].family}"
        axes.step(_db(np.square(amplitudes)), levels, color=f"C{color}", label=label)
        cdf = rician_amplitude_cdf(
            amplitudes,
            specular_power=float(abs(link.specular[path]) ** 2),
            diffuse_power=float(link.diffuse[path] + paths.error_variance[:, path].mean()),
        )
        axes.plot(_db(np.square(amplitudes)), cdf, "--", color=f"C{color}")
    axes.set(
        title="path amplitudes: measured (steps), fit (dashed)",
        xlabel="power [dBFS]",
        ylabel="share of frames below",
    )
    axes.legend()


def _draw_cn0(axes: Axes, fit: Fit) -> None:
    """C/N0 of the frames, fading and estimation noise included, against as many draws as help."""
    frames, delays_s = fit.evidence.frames, fit.evidence.paths.delays_s
    density = float(frames.noise_density.mean())
    measured = _db(frames.received_power / density)
    bins = np.histogram_bin_edges(measured, bins=min(40, 5 + frames.num_frames // 5))
    if isinstance(fit.model, EmpiricalChannel):
        drawn = drawn_frames(
            fit.model, frames, delays_s=delays_s, noise_density=density, count=_DRAWS, seed=0
        )
        model = _db(drawn.received_power / density)
        bins = np.histogram_bin_edges(
            np.concatenate([measured, model]), bins=min(60, 5 + frames.num_frames // 5)
        )
        axes.hist(model, bins=bins.tolist(), density=True, histtype="step", color="C1", label="fit")
    axes.hist(measured, bins=bins.tolist(), density=True, color="C0", alpha=0.5, label="measured")
    axes.set(title="C/N0 of the frames", xlabel="C/N0 [dB Hz]", ylabel="density [1 / dB]")
    axes.legend()


def _draw_correlation(axes: Axes, fit: Fit) -> None:
    """Correlation over frequency, and over time where the record tells it."""
    frames, link = fit.evidence.frames, fit.evidence.link
    delays_s = fit.evidence.paths.delays_s
    index = np.round((frames.frequencies_hz - frames.frequencies_hz[0]) * frames.period_s)
    index = index.astype(np.int64)
    correlation = _frequency_correlation(frames.transfer, index) / frames.num_frames
    correlation[0] -= float(frames.noise_variance.mean())
    # The second moment of the link as a few responses whose outer products sum to it.
    values, vectors = np.linalg.eigh(
        link.covariance + np.outer(link.specular, link.specular.conj())
    )
    responses = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    model = _frequency_correlation(responses @ steering(frames.frequencies_hz, delays_s).T, index)
    offsets_hz = np.arange(len(model)) / frames.period_s
    shown = offsets_hz <= frames.bandwidth_hz / 2.0
    axes.plot(
        1e-6 * offsets_hz[shown],
        np.abs(correlation[shown] / correlation[0]),
        ".",
        label="frequency, measured",
    )
    axes.plot(
        1e-6 * offsets_hz[shown], np.abs(model[shown] / model[0]), "--", label="frequency, fit"
    )
    axes.set(
        title="correlation", xlabel="frequency offset [MHz]", ylabel="magnitude", ylim=(-0.5, 1.3)
    )
    memory = fit.evidence.memory
    if frames.real_time and memory.resolved and memory.doppler_hz.value > 0:
        over_time = axes.twiny()
        over_time.plot(1e3 * memory.lags_s, memory.rho, "x", color="C3", label="time, measured")
        lags_s = np.linspace(0.0, float(memory.lags_s.max()), 300)
        rho = doppler_autocorrelation(
            memory.spectrum, memory.doppler_hz.value, torch.from_numpy(lags_s)
        )
        over_time.plot(1e3 * lags_s, rho.numpy(), "-", color="C3", lw=0.8, label="time, fit")
        over_time.set(xlabel="lag [ms]")
        over_time.legend(loc="upper right")
    axes.legend(loc="lower left")


def _frequency_correlation(
    transfer: NDArray[np.complex128], index: NDArray[np.int64]
) -> NDArray[np.complex128]:
    """Return the sum over rows of the mean over frequencies of H(f + d) conj(H(f)), d >= 0."""
    size = 2 * (int(index[-1]) + 1)
    grid = np.zeros((len(transfer), size), np.complex128)
    grid[:, index] = transfer
    there = np.zeros(size)
    there[index] = 1.0
    product = np.fft.ifft(np.square(np.abs(np.fft.fft(grid, axis=1))).sum(axis=0))
    pairs = np.fft.ifft(np.square(np.abs(np.fft.fft(there)))).real
    half = size // 2
    correlation: NDArray[np.complex128] = product[:half] / np.maximum(pairs[:half], 1.0)
    return correlation


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 1e-30))
    return result
