"""A figure of a scenario: taps over time, power delay profile, path losses, nodes."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from phyemu.colosseum.limits import MIN_GAIN_DB
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ConfigError, ScenarioError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

__all__ = ["plot_scenario"]

_FLOOR_DB = MIN_GAIN_DB - 7.0
_MOST_POINTS = 2000
# Nodes up to which the losses are written into the matrix.
_MOST_WRITTEN = 12


def plot_scenario(scenario: Scenario, path: Path, *, link: tuple[int, int] | None = None) -> Path:
    """Write the figure of a scenario.

    Args:
        scenario: What to draw.
        path: Figure file; its suffix says the format (.png, .pdf, .svg).
        link: Link whose taps are drawn; None: the one with the most taps.

    Raises:
        ScenarioError: The scenario has no such link.
        ConfigError: The format is unknown.
    """
    from matplotlib.figure import Figure

    if not scenario.links:
        raise ScenarioError(f"scenario {scenario.name}: has no link to draw")
    if link is None:
        link = max(sorted(scenario.links), key=lambda pair: scenario.links[pair].num_paths)
    if link not in scenario.links:
        raise ScenarioError(f"scenario {scenario.name}: has no link {link[0]}>{link[1]}")
    figure = Figure(figsize=(7.2, 5.6), dpi=200, layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(
        f"{scenario.name}: {scenario.num_nodes} nodes at {scenario.center_frequency_hz / 1e9:g} "
        f"GHz, constant gain {scenario.constant_gain_db:+g} dB",
        fontsize=10,
    )
    _taps_over_time(axes[0, 0], scenario, link)
    _profile(axes[0, 1], scenario, link)
    _path_loss(axes[1, 0], scenario)
    _map(axes[1, 1], scenario)
    for axis in axes.flat:
        axis.title.set_fontsize(9)
        axis.tick_params(labelsize=8)
        for label in (axis.xaxis.label, axis.yaxis.label):
            label.set_fontsize(8)
    try:
        figure.savefig(path)
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return path


def _delay_colours(scenario: Scenario, link: tuple[int, int]) -> "Normalize":
    from matplotlib.colors import Normalize

    delays_ns = 1e9 * scenario.links[link].delays_s.numpy()
    return Normalize(delays_ns.min(), max(delays_ns.max(), delays_ns.min() + 10))


def _least_gain(axes: "Axes") -> None:
    axes.axhline(MIN_GAIN_DB, color="0.4", linestyle=":", linewidth=1)
    axes.annotate(
        f"least tap of the emulator, {MIN_GAIN_DB:g} dB",
        (0.01, MIN_GAIN_DB),
        xycoords=("axes fraction", "data"),
        xytext=(0, -7),
        textcoords="offset points",
        fontsize=6,
        color="0.4",
    )


def _taps_over_time(axes: "Axes", scenario: Scenario, link: tuple[int, int]) -> None:
    response = scenario.links[link]
    every = max(1, math.ceil(response.num_steps / _MOST_POINTS))
    gains = response.gains[::every].abs().double().numpy()
    times_s = np.arange(gains.shape[0]) * every * scenario.interval_s
    step, tap = np.nonzero(gains)
    points = axes.scatter(
        times_s[step],
        20 * np.log10(gains[step, tap]),
        c=1e9 * response.delays_s.numpy()[tap],
        s=1.5 if response.num_steps > 1 else 30,
        linewidths=0,
        cmap="viridis",
        norm=_delay_colours(scenario, link),
        rasterized=True,
    )
    _least_gain(axes)
    axes.set(xlabel="time [s]", ylabel="tap gain [dB]", ylim=(_FLOOR_DB, 4))
    axes.set_title(f"taps of link {link[0]}>{link[1]}")
    axes.grid(alpha=0.25, linewidth=0.5)
    bar = axes.figure.colorbar(points, ax=axes)
    bar.set_label("delay [ns]", fontsize=8)
    bar.ax.tick_params(labelsize=8)


def _profile(axes: "Axes", scenario: Scenario, link: tuple[int, int]) -> None:
    from matplotlib import colormaps

    delays_s, powers = scenario.links[link].power_delay_profile()
    live = (powers > 0).numpy()
    delays_ns = 1e9 * delays_s.numpy()[live]
    level_db = 10 * np.log10(powers.numpy()[live])
    bottom = min(_FLOOR_DB, float(level_db.min()) - 3)
    colours = colormaps["viridis"](_delay_colours(scenario, link)(delays_ns))
    axes.vlines(delays_ns, bottom, level_db, colors=colours, linewidth=1)
    axes.scatter(delays_ns, level_db, c=colours, s=10, zorder=3)
    axes.set(xlabel="delay [ns]", ylabel="mean power [dB]", ylim=(bottom, None))
    axes.set_title(f"power delay profile of link {link[0]}>{link[1]}")
    axes.grid(alpha=0.25, linewidth=0.5)


def _path_loss(axes: "Axes", scenario: Scenario) -> None:
    from matplotlib.ticker import MaxNLocator

    loss_db: NDArray[np.float64] = scenario.constant_gain_db - scenario.path_gain_db().numpy()
    num_nodes = scenario.num_nodes
    image = axes.imshow(
        np.ma.masked_invalid(loss_db),
        extent=(0.5, num_nodes + 0.5, num_nodes + 0.5, 0.5),
        cmap="cividis_r",
    )
    axes.set(xlabel="receiver", ylabel="transmitter", title="mean path loss [dB]")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    bar = axes.figure.colorbar(image, ax=axes)
    bar.ax.tick_params(labelsize=8)
    if num_nodes > _MOST_WRITTEN:
        return
    known = loss_db[np.isfinite(loss_db)]
    middle_db = (known.min() + known.max()) / 2
    for tx, rx in zip(*np.nonzero(np.isfinite(loss_db)), strict=True):
        value = float(loss_db[tx, rx])
        axes.annotate(
            f"{value:.0f}",
            (rx + 1, tx + 1),
            ha="center",
            va="center",
            fontsize=max(4, 9 - num_nodes // 3),
            color="white" if value > middle_db else "black",
        )


def _map(axes: "Axes", scenario: Scenario) -> None:
    size = 8 if scenario.num_nodes <= 20 else 5
    if scenario.coordinates is not None:
        positions = scenario.coordinates[:, :2].double().numpy()
        for x_m, y_m in positions:
            (line,) = axes.plot(x_m, y_m, linewidth=1)
            axes.plot(x_m[-1], y_m[-1], marker="x", markersize=4, color=line.get_color())
        _nodes(axes, positions[:, 0, 0], positions[:, 1, 0], size)
        axes.set(xlabel="x [m]", ylabel="y [m]", title="nodes at the start; end: x")
        axes.set_aspect("equal", adjustable="datalim")
        axes.margins(0.12)
        axes.grid(alpha=0.25, linewidth=0.5)
        return
    angles = np.pi / 2 - 2 * np.pi * np.arange(scenario.num_nodes) / scenario.num_nodes
    x, y = np.cos(angles), np.sin(angles)
    for transmitter, receiver in scenario.links:
        pair = [transmitter - 1, receiver - 1]
        axes.plot(
            x[pair], y[pair], color="0.6", linewidth=0.5, alpha=min(1.0, 6 / scenario.num_nodes)
        )
    _nodes(axes, x, y, size)
    axes.set(title="nodes and links (positions unknown)", xticks=[], yticks=[])
    axes.set(xlim=(-1.25, 1.25), ylim=(-1.25, 1.25))
    axes.set_aspect("equal")


def _nodes(axes: "Axes", x: NDArray[np.float64], y: NDArray[np.float64], size: int) -> None:
    for node in range(len(x)):
        axes.annotate(
            str(node + 1),
            (x[node], y[node]),
            ha="center",
            va="center",
            fontsize=size,
            zorder=5,
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": "0.3"},
        )
