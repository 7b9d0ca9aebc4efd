"""A figure of soundings: power delay profile, transfer magnitude of each frame, CFO over time."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from phyemu.errors import ConfigError, SignalError
from phyemu.sounding.sounding import Sounding

__all__ = ["save_sounding_figure", "sounding_figure"]

_SUFFIXES = (".png", ".pdf", ".svg")
_OVERSAMPLING = 8
_MAX_LINES = 100


def sounding_figure(soundings: Sequence[Sounding]) -> Figure:
    """Return a figure with one row per link.

    Raises:
        SignalError: There is no sounding.
    """
    if not soundings:
        raise SignalError("there is no sounding to draw")
    figure = Figure(figsize=(13.0, 3.4 * len(soundings)), layout="constrained")
    rows = figure.subplots(len(soundings), 3, squeeze=False)
    for (profile, magnitude, offset), sounding in zip(rows, soundings, strict=True):
        delays_s, power = _band_limited_profile(sounding)
        floor_db = 10.0 * np.log10(power.max()) - 50.0
        profile.plot(1e9 * delays_s, 10.0 * np.log10(np.maximum(power, 1e-30)), lw=0.8)
        gains = np.square(np.abs(sounding.paths.gains.numpy())).mean(axis=0)
        stems = 10.0 * np.log10(np.maximum(gains, 1e-30))
        profile.vlines(1e9 * sounding.paths.delays_s.numpy(), floor_db, stems, color="C1")
        profile.plot(1e9 * sounding.paths.delays_s.numpy(), stems, "o", color="C1", ms=4)
        last_s = float(sounding.paths.delays_s.max())
        profile.set(
            title=f"transmitter {sounding.transmitter}: {sounding.num_frames} frames",
            xlabel="delay after the first path [ns]",
            ylabel="power [dBFS]",
            ylim=(floor_db, floor_db + 55.0),
            xlim=(-1e9 * 4 / sounding.bandwidth_hz, 1e9 * (last_s + 12 / sounding.bandwidth_hz)),
        )
        step = max(1, sounding.num_frames // _MAX_LINES)
        level = 20.0 * np.log10(np.maximum(np.abs(sounding.transfer[::step]), 1e-15))
        magnitude.plot(1e-6 * sounding.frequencies_hz, level.T, color="C0", alpha=0.3, lw=0.7)
        magnitude.set(
            title="transfer of each frame", xlabel="frequency [MHz]", ylabel="magnitude [dB]"
        )
        offset.plot(1e3 * sounding.time_s, 1e-3 * sounding.cfo_hz, ".")
        offset.set(title="carrier frequency offset", xlabel="time [ms]", ylabel="CFO [kHz]")
    return figure


def save_sounding_figure(soundings: Sequence[Sounding], path: Path) -> Path:
    """Write the figure in the format of the path's suffix, and return the path.

    Raises:
        ConfigError: The suffix is none of .png, .pdf, .svg.
        SignalError: There is no sounding.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{path}: a figure is {', '.join(_SUFFIXES)}; name it so")
    figure = sounding_figure(soundings)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=130)
    return path


def _band_limited_profile(sounding: Sounding) -> tuple[np.ndarray, np.ndarray]:
    """Return delays [s] and mean power of the windowed, oversampled responses."""
    spacing = float(np.diff(sounding.frequencies_hz).min())
    index = np.round(sounding.frequencies_hz / spacing).astype(int)
    span = np.arange(index[0], index[-1] + 1)
    # A hole in the band, as Wi-Fi leaves at its centre, would show as a floor: bridge it.
    bridged = np.stack([np.interp(span, index, values) for values in sounding.transfer])
    size = _OVERSAMPLING * len(span)
    window = np.hanning(len(span) + 2)[1:-1]
    grid = np.zeros((sounding.num_frames, size), np.complex64)
    grid[:, span % size] = bridged * (window / window.sum())
    power = np.square(np.abs(np.fft.ifft(grid, axis=1) * size)).mean(axis=0)
    delays = np.fft.fftfreq(size, d=spacing)
    order = np.argsort(delays)
    return delays[order], power[order]
