"""The page of a fit: what was measured, and what the model draws instead."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from phyemu.channel import doppler_autocorrelation
from phyemu.errors import ConfigError
from phyemu.fitting.coherence_check import coherence_times
from phyemu.fitting.fit import Fit
from phyemu.fitting.holdout import drawn_frames
from phyemu.fitting.link_frames import LinkFrames
from phyemu.fitting.path_gains import project_frames
from phyemu.fitting.response_statistics import (
    coherence_bandwidth_hz,
    effective_snr_db,
    frame_delay_spread_s,
)
from phyemu.sounding.path_problem import steering_vectors
from phyemu.units import power_to_db

__all__ = ["fit_figure", "save_fit_figure"]

_SUFFIXES = (".png", ".pdf", ".svg")
_OVERSAMPLING = 8
_MAX_PATHS = 5
_FLOOR_DB = 50.0
_DRAWS = 4000
_GREY = "0.6"


def fit_figure(fit: Fit) -> Figure:
    """Return the page: nine drawings of the measurement beside the model.

    The model's draws carry the noise of the measurement and go through the same estimator. They
    stand beside the held-out frames where there are some, else beside the frames of the fit.
    """
    figure = Figure(figsize=(17.0, 13.0), layout="constrained")
    axes = figure.subplots(3, 3)
    frames = fit.evidence.held_out or fit.evidence.frames
    drawn = drawn_frames(
        fit.model,
        frames,
        delays_s=fit.evidence.paths.delays_s,
        noise_density=float(fit.evidence.frames.noise_density.mean()),
        count=_DRAWS,
        seed=0,
    )
    figure.suptitle(_title(fit), fontsize=13)
    _draw_profile(axes[0, 0], fit)
    _draw_amplitudes(axes[0, 1], fit, frames, drawn)
    _draw_k(axes[0, 2], fit)
    _draw_spreads(axes[1, 0], fit, frames, drawn)
    _draw_bandwidths(axes[1, 1], fit, frames, drawn)
    _draw_quantiles(axes[1, 2], fit, frames, drawn)
    _draw_over_time(axes[2, 0], fit)
    _draw_lasting(axes[2, 1], fit, frames)
    _draw_likelihoods(axes[2, 2], fit)
    for axis in axes.flat:
        axis.title.set_fontsize(10.5)
        axis.grid(visible=True, color="0.9")
        axis.set_axisbelow(True)
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
        figure.savefig(path, dpi=100)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be written: {exc.strerror}") from exc
    return path


def _title(fit: Fit) -> str:
    cn0, held_out = fit.cn0_dbhz, fit.evidence.held_out
    compared = (
        f"compared with {held_out.num_frames} held-out frames"
        if held_out is not None
        else "compared with the frames of the fit (nothing was held out)"
    )
    return (
        f"{fit.model.name}: {fit.num_frames} frames worth {fit.effective_frames:.0f}, C/N0 "
        f"{cn0.value:.1f} dB Hz ({cn0.low:.1f} to {cn0.high:.1f}), CFO "
        f"{fit.cfo_hz.value / 1e3:.2f} kHz, drift {fit.drift_db:.1f} dB; {compared}"
    )


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
    seen = steering_vectors(frequencies_hz, delays_s).T @ back
    second = link.covariance + np.outer(link.specular, link.specular.conj())
    model = np.einsum("pg,pq,qg->g", seen, second, seen.conj()).real
    model = model + float(frames.noise_variance.mean()) * float(np.square(window).sum())
    origin_s = float(delays_s[0])
    axes.plot(1e9 * (grid_s - origin_s), _db(measured), color="C0", label="measured")
    axes.plot(1e9 * (grid_s - origin_s), _db(model), "--", color="C1", label="fit")
    top = float(_db(measured).max())
    powers = _db(link.powers)
    ends = np.array([[p.gain_db.value - p.gain_db.low for p in fit.paths]])
    ends = np.vstack([ends, [[p.gain_db.high - p.gain_db.value for p in fit.paths]]])
    sides = [1e9 * (p.delay_interval_s.high - p.delay_s) for p in fit.paths]
    axes.vlines(1e9 * (delays_s - origin_s), top - _FLOOR_DB, powers, color="C2", lw=0.8)
    axes.errorbar(
        1e9 * (delays_s - origin_s),
        powers,
        yerr=np.clip(np.nan_to_num(ends, nan=0.0), 0.0, _FLOOR_DB),
        xerr=np.nan_to_num(sides, nan=0.0),
        fmt="o",
        color="C2",
        ms=4,
        capsize=3,
        label="paths, 95 %",
    )
    spread = fit.rms_delay_spread_s
    axes.set(
        title=f"power delay profile: RMS delay spread {spread.value * 1e9:.1f} ns "
        f"({spread.low * 1e9:.1f} to {spread.high * 1e9:.1f})",
        xlabel="delay after the first path [ns]",
        ylabel="power [dBFS]",
        ylim=(top - _FLOOR_DB, top + 5.0),
    )
    axes.legend()


def _draw_amplitudes(axes: Axes, fit: Fit, frames: LinkFrames, drawn: LinkFrames) -> None:
    """Distribution of the amplitude of the strongest paths; the noise is part of both."""
    delays_s = fit.evidence.paths.delays_s
    measured = project_frames(frames, delays_s).gains
    model = project_frames(drawn, delays_s).gains
    strongest = np.argsort(-fit.evidence.link.powers, kind="stable")[:_MAX_PATHS]
    for color, path in enumerate(np.sort(strongest).tolist()):
        item = fit.paths[path]
        label = f"{1e9 * item.delay_s:.0f} ns, {item.family}"
        if item.family.reshapes:
            label += f" {item.shape.value:.2f}"
        if fit.holdout is not None:
            label += f", KS {fit.holdout.amplitude[path]:.2f}"
        _cdf(axes, _db(np.square(np.abs(measured[:, path]))), f"C{color}", "-", label)
        _cdf(axes, _db(np.square(np.abs(model[:, path]))), f"C{color}", "--", None)
    low = float(np.quantile(_db(np.square(np.abs(measured[:, strongest]))), 0.002)) - 5.0
    axes.set(
        title="path amplitudes: measured (solid), model (dashed)" + _below(fit),
        xlabel="power [dBFS]",
        ylabel="share of frames below",
    )
    axes.set_xlim(left=low)
    axes.legend(fontsize="small")


def _draw_k(axes: Axes, fit: Fit) -> None:
    """Rician K of the paths with its interval."""
    floor_db = -15.0
    positions = np.arange(len(fit.paths))
    values, lows, highs = (
        np.array([max(power_to_db(max(end, 1e-9)), floor_db) for end in ends])
        for ends in (
            [path.k_factor.value for path in fit.paths],
            [path.k_factor.low for path in fit.paths],
            [path.k_factor.high for path in fit.paths],
        )
    )
    highs = np.minimum(highs, 70.0)
    errors = np.array([np.maximum(values - lows, 0.0), np.maximum(highs - values, 0.0)])
    axes.errorbar(positions, values, yerr=errors, fmt="o", color="C2", capsize=3)
    axes.axhline(floor_db, color=_GREY, lw=0.8)
    axes.set_xticks(
        positions.tolist(),
        [f"{1e9 * path.delay_s:.0f}\n{path.family}" for path in fit.paths],
        fontsize="small",
        rotation=0 if len(positions) < 7 else 90,
    )
    axes.set(
        title=f"Rician K, 95 % ({floor_db:.0f} dB stands for that and less)",
        xlabel="path: delay [ns], family",
        ylabel="K [dB]",
        ylim=(floor_db - 2.0, None),
    )


def _draw_spreads(axes: Axes, fit: Fit, frames: LinkFrames, drawn: LinkFrames) -> None:
    delays_s = fit.evidence.paths.delays_s
    for item, color, style, label in _pair(frames, drawn):
        values = frame_delay_spread_s(project_frames(item, delays_s).gains, delays_s)
        _cdf(axes, 1e9 * values, color, style, label)
    distance = None if fit.holdout is None else fit.holdout.rms_delay_spread
    axes.set(
        title="RMS delay spread of the frames" + _distance(fit, distance),
        xlabel="RMS delay spread [ns]",
        ylabel="share of frames below",
    )
    axes.legend()


def _draw_bandwidths(axes: Axes, fit: Fit, frames: LinkFrames, drawn: LinkFrames) -> None:
    delays_s = fit.evidence.paths.delays_s
    for item, color, style, label in _pair(frames, drawn):
        values = coherence_bandwidth_hz(
            project_frames(item, delays_s).gains, delays_s, bandwidth_hz=item.bandwidth_hz
        )
        _cdf(axes, 1e-6 * values, color, style, label)
    distance = None if fit.holdout is None else fit.holdout.coherence_bandwidth
    axes.set(
        title="coherence bandwidth of the frames" + _distance(fit, distance),
        xlabel=f"coherence bandwidth [MHz], at most the band's {frames.bandwidth_hz / 1e6:.3g}",
        ylabel="share of frames below",
    )
    axes.legend()


def _draw_quantiles(axes: Axes, fit: Fit, frames: LinkFrames, drawn: LinkFrames) -> None:
    """Quantiles of the SNR behind an equaliser: measured against the model's."""
    measured, model = (
        effective_snr_db(
            item.transfer, noise_density=item.noise_density, bandwidth_hz=item.bandwidth_hz
        )
        for item in (frames, drawn)
    )
    levels = (np.arange(len(measured)) + 0.5) / len(measured)
    own = np.sort(measured)
    axes.plot(np.quantile(model, levels), own, ".", color="C0")
    ends = [
        min(own[0], np.quantile(model, levels[0])),
        max(own[-1], np.quantile(model, levels[-1])),
    ]
    axes.plot(ends, ends, color=_GREY, lw=1.0, label="same distribution")
    distance = None if fit.holdout is None else fit.holdout.effective_snr
    axes.set(
        title="SNR behind an MMSE equaliser, Q-Q" + _distance(fit, distance),
        xlabel="model [dB]",
        ylabel="measured [dB]",
    )
    axes.legend()


def _draw_over_time(axes: Axes, fit: Fit) -> None:
    """Autocorrelation of the fading, where the record tells it."""
    memory, frames = fit.evidence.memory, fit.evidence.frames
    if not (frames.real_time and memory.resolved and memory.doppler_hz.value > 0):
        _say(axes, "fading over time", "the record tells no Doppler")
        return
    doppler = memory.doppler_hz
    shown_s = min(float(memory.lags_s.max()), 8.0 * memory.coherence_time_s)
    lags_s = np.linspace(0.0, shown_s, 400)
    curves = [
        doppler_autocorrelation(memory.spectrum, max(value, 1e-6), torch.from_numpy(lags_s)).numpy()
        for value in (doppler.value, doppler.low, doppler.high)
    ]
    axes.plot(1e3 * memory.lags_s, memory.rho, "x", color="C0", label="measured, blind of phase")
    axes.plot(1e3 * lags_s, curves[0], color="C1", label=f"fit: {memory.spectrum}")
    for curve in curves[1:]:
        axes.plot(1e3 * lags_s, curve, ":", color="C1", lw=0.9)
    axes.set(
        title=f"autocorrelation: Doppler {doppler.value:.2f} Hz ({doppler.low:.2f} to "
        f"{doppler.high:.2f})",
        xlabel="lag [ms]",
        ylabel="correlation",
        xlim=(0.0, 1e3 * shown_s),
        ylim=(-0.7, 1.05),
    )
    axes.legend()


def _draw_lasting(axes: Axes, fit: Fit, frames: LinkFrames) -> None:
    """How long the response of a frame lasts."""
    title = "coherence time of the frames"
    times = coherence_times(
        fit.model,
        frames,
        delays_s=fit.evidence.paths.delays_s,
        coherence_time_s=fit.evidence.memory.coherence_time_s,
        noise_density=float(fit.evidence.frames.noise_density.mean()),
        seed=0,
    )
    if times is None:
        _say(axes, title, "the frames do not follow one another in time")
        return
    _cdf(axes, 1e3 * times.measured_s, "C0", "-", "measured")
    _cdf(axes, 1e3 * times.drawn_s, "C1", "--", "model")
    if fit.holdout is not None and np.isfinite(fit.holdout.coherence_time):
        report = fit.holdout
        title += f": KS {report.coherence_time:.2f} (below {report.coherence_time_critical:.2f})"
    axes.axvline(1e3 * times.longest_s, color=_GREY, lw=0.8)
    axes.set(
        title=title,
        xlabel="until the response is another one [ms]; grey: no longer seen",
        ylabel="share of frames below",
        ylim=(0.0, 1.02),
    )
    axes.legend()


def _draw_likelihoods(axes: Axes, fit: Fit) -> None:
    """Log-likelihood of the held-out frames under the fit and its alternatives."""
    title = "log-likelihood of the held-out frames"
    if fit.holdout is None:
        _say(axes, title, "no frames were held out (--holdout 0.3)")
        return
    values = fit.holdout.log_likelihood
    names = list(values)[::-1]
    below = [values["fit"] - values[name] for name in names]
    bars = axes.barh(names, below, color=["C1" if name == "fit" else "C0" for name in names])
    axes.bar_label(bars, [f" {values[name]:.2f}" for name in names])
    axes.margins(x=0.15)
    axes.set(title=title, xlabel="below the fit [nat per frame and frequency]; labels: itself")


def _pair(
    frames: LinkFrames, drawn: LinkFrames
) -> tuple[tuple[LinkFrames, str, str, str], tuple[LinkFrames, str, str, str]]:
    return (frames, "C0", "-", "measured"), (drawn, "C1", "--", "model")


def _cdf(
    axes: Axes, values: NDArray[np.float64], color: str, style: str, label: str | None
) -> None:
    """Draw the empirical distribution function."""
    levels = (np.arange(len(values)) + 0.5) / len(values)
    axes.plot(
        np.sort(values), levels, style, drawstyle="steps-mid", color=color, label=label, lw=1.3
    )


def _distance(fit: Fit, distance: float | None) -> str:
    return "" if distance is None else f": KS {distance:.2f}{_below(fit)}"


def _below(fit: Fit) -> str:
    return "" if fit.holdout is None else f" (below {fit.holdout.critical:.2f})"


def _say(axes: Axes, title: str, text: str) -> None:
    axes.set(title=title, xticks=[], yticks=[])
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="0.4")


def _db(power: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = 10.0 * np.log10(np.maximum(power, 1e-30))
    return result
