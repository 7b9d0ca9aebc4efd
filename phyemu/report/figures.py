"""The figures of a report, as plotly figures from plain arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike, NDArray
from plotly.subplots import make_subplots

__all__ = [
    "constellation_figure",
    "loss_figure",
    "power_delay_profile_figure",
    "spectrogram_figure",
]

_COLOURS = ("#1f5a94", "#d1495b", "#3a7d44", "#8d6a9f", "#c77c02")
_MAX_POINTS = 4000


def _laid_out(figure: go.Figure, *, x: str, y: str, height: int = 380) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        legend={"orientation": "h", "y": 1.08},
    )
    figure.update_xaxes(title_text=x)
    figure.update_yaxes(title_text=y)
    return figure


def power_delay_profile_figure(
    profiles: Mapping[str, tuple[ArrayLike, ArrayLike]], *, floor_db: float = -40.0
) -> go.Figure:
    """Return power over delay, a line per profile.

    Args:
        profiles: Name -> (delays_s (n,), powers (n,) linear); each is drawn relative to its
            strongest value, as absolute power is not comparable.
        floor_db: Bottom of the picture [dB].
    """
    figure = go.Figure()
    for (name, (delays_s, powers)), colour in zip(profiles.items(), _COLOURS, strict=False):
        power = np.asarray(powers, float)
        level_db = 10 * np.log10(np.maximum(power / power.max(), 1e-12))
        figure.add_scatter(
            x=np.round(1e9 * np.asarray(delays_s, float), 2),
            y=np.round(level_db, 2),
            mode="lines",
            name=name,
            line={"color": colour},
        )
    figure.update_yaxes(range=[floor_db, 3])
    return _laid_out(figure, x="delay after the peak [ns]", y="power [dB of the strongest]")


def spectrogram_figure(
    times_s: ArrayLike, frequencies_hz: ArrayLike, power_db: NDArray[np.floating]
) -> go.Figure:
    """Return a spectrogram: power_db (num_frequencies, num_times) over time and frequency."""
    figure = go.Figure(
        go.Heatmap(
            x=np.round(1e3 * np.asarray(times_s, float), 4),
            y=np.round(1e-6 * np.asarray(frequencies_hz, float), 4),
            z=np.round(power_db, 1),
            colorscale="Viridis",
            colorbar={"title": "dB"},
        )
    )
    return _laid_out(figure, x="time [ms]", y="frequency [MHz]")


def constellation_figure(
    before: NDArray[np.complexfloating],
    after: NDArray[np.complexfloating],
    reference: NDArray[np.complexfloating],
) -> go.Figure:
    """Return received symbols before and after equalisation, with the transmitted points.

    Args:
        before: Matched-filter output at the symbol instants, (n,), any scale.
        after: Equaliser output, (m,), peak-normalised.
        reference: Constellation points, (M,).
    """
    figure = make_subplots(cols=2, subplot_titles=("before equalisation", "after equalisation"))
    scale = np.sqrt(np.mean(np.abs(before) ** 2)) or 1.0
    for column, cloud in enumerate((before / scale, after), start=1):
        shown = cloud[:: max(1, cloud.size // _MAX_POINTS)]
        figure.add_scatter(
            x=np.round(shown.real, 3),
            y=np.round(shown.imag, 3),
            mode="markers",
            marker={"size": 3, "color": _COLOURS[0], "opacity": 0.35},
            name="received",
            showlegend=column == 1,
            row=1,
            col=column,
        )
        figure.update_yaxes(scaleanchor=f"x{column if column > 1 else ''}", row=1, col=column)
    figure.add_scatter(
        x=reference.real,
        y=reference.imag,
        mode="markers",
        marker={"size": 8, "color": _COLOURS[1], "symbol": "x"},
        name="transmitted points",
        row=1,
        col=2,
    )
    _laid_out(figure, x="in phase", y="quadrature", height=460)
    # Above the figure the legend would cover the titles of its parts.
    return figure.update_layout(legend={"orientation": "h", "y": -0.18})


def loss_figure(curves: Mapping[str, Sequence[float]], *, y: str = "training loss") -> go.Figure:
    """Return one line per named curve of values per epoch."""
    figure = go.Figure()
    for (name, values), colour in zip(curves.items(), _COLOURS * 2, strict=False):
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=[round(float(value), 5) for value in values],
            mode="lines+markers",
            name=name,
            line={"color": colour},
        )
    return _laid_out(figure, x="epoch", y=y)
