"""A figure of a scenario: taps over time, power delay profile, path gains, nodes."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phyemu.colosseum.limits import MIN_GAIN_DB
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ConfigError, ScenarioError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_scenario"]

_FLOOR_DB = MIN_GAIN_DB - 7.0
_MOST_POINTS = 2000


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
    figure = Figure(figsize=(11, 8), layout="constrained")
    axes = figure.subplots(2, 2)
    figure.suptitle(
        f"{scenario.name}: {scenario.num_nodes} nodes at {scenario.center_frequency_hz / 1e9:g} "
        f"GHz, constant gain {scenario.constant_gain_db:+g} dB"
    )
    _taps_over_time(axes[0, 0], scenario, link)
    _profile(axes[0, 1], scenario, link)
    image = axes[1, 0].imshow(
        np.ma.masked_invalid(scenario.path_gain_db().numpy()),
        extent=(0.5, scenario.num_nodes + 0.5, scenario.num_nodes + 0.5, 0.5),
    )
    axes[1, 0].set(xlabel="receiver", ylabel="transmitter", title="path gain in the emulator [dB]")
    for axis in (axes[1, 0].xaxis, axes[1, 0].yaxis):
        axis.get_major_locator().set_params(integer=True)
    figure.colorbar(image, ax=axes[1, 0])
    _map(axes[1, 1], scenario)
    try:
        figure.savefig(path)
    except ValueError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return path


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
        s=4 if response.num_steps > 1 else 30,
        cmap="viridis",
    )
    axes.axhline(MIN_GAIN_DB, color="grey", linestyle=":")
    axes.set(xlabel="time [s]", ylabel="gain of a tap [dB]", ylim=(_FLOOR_DB, 4))
    axes.set_title(f"taps of {link[0]}>{link[1]}, colour: delay [ns]")
    axes.figure.colorbar(points, ax=axes)


def _profile(axes: "Axes", scenario: Scenario, link: tuple[int, int]) -> None:
    delays_s, powers = scenario.links[link].power_delay_profile()
    live = powers > 0
    level_db = 10 * np.log10(powers[live].numpy())
    axes.stem(
        1e9 * delays_s[live].numpy(), level_db, bottom=min(_FLOOR_DB, float(level_db.min()) - 3)
    )
    axes.set(xlabel="delay [ns]", ylabel="mean power [dB]")
    axes.set_title(f"power delay profile of {link[0]}>{link[1]}")


def _map(axes: "Axes", scenario: Scenario) -> None:
    if scenario.coordinates is not None:
        positions = scenario.coordinates[:, :2].double().numpy()
        for node, (x_m, y_m) in enumerate(positions, start=1):
            axes.plot(x_m, y_m, linewidth=1)
            axes.annotate(str(node), (x_m[0], y_m[0]), ha="center", va="center", fontsize=12)
            axes.plot(x_m[0], y_m[0], marker="o", markersize=16, alpha=0.3)
        axes.set(xlabel="x [m]", ylabel="y [m]", title="nodes, start marked")
        axes.set_aspect("equal", adjustable="datalim")
        return
    angles = 2 * np.pi * np.arange(scenario.num_nodes) / scenario.num_nodes
    x, y = np.cos(angles), np.sin(angles)
    for transmitter, receiver in scenario.links:
        axes.plot(x[[transmitter - 1, receiver - 1]], y[[transmitter - 1, receiver - 1]], "0.8")
    for node in range(scenario.num_nodes):
        axes.annotate(str(node + 1), (x[node], y[node]), ha="center", va="center", fontsize=12)
    axes.set(title="nodes and links (positions unknown)", xticks=[], yticks=[])
    axes.set(xlim=(-1.3, 1.3), ylim=(-1.3, 1.3))
    axes.set_aspect("equal")
