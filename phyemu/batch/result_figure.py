"""A figure of a collection: accuracy over the scenarios, paths measured over those published."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phyemu.batch.result_table import LinkResult
from phyemu.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_results"]

_SUFFIXES = (".png", ".pdf", ".svg")


def plot_results(results: Sequence[LinkResult], path: Path) -> Path:
    """Draw the accuracy of each link of images, and the gain of each sounded link.

    Args:
        results: Of a collection.
        path: Picture to write (.png, .pdf, .svg).

    Raises:
        ConfigError: Another suffix, or nothing to draw.
    """
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"{path}: a figure is one of {', '.join(_SUFFIXES)}")
    images = [item for item in results if math.isfinite(item.accuracy)]
    sounded = [item for item in results if math.isfinite(item.received_power_dbfs) and item.paths]
    if not images and not sounded:
        raise ConfigError(f"{path}: there is neither an accuracy nor a sounded link to draw")
    from matplotlib.figure import Figure

    count = bool(images) + bool(sounded)
    figure = Figure(figsize=(6.4 * count, 4.4), layout="constrained")
    axes = list(figure.subplots(1, count, squeeze=False)[0])
    if images:
        _accuracy(axes.pop(0), images)
    if sounded:
        _gains(axes.pop(0), sounded)
    figure.savefig(path, dpi=150)
    return path


def _accuracy(axes: "Axes", results: Sequence[LinkResult]) -> None:
    names = [_name(item) for item in results]
    places = range(len(results))
    values = [item.accuracy for item in results]
    below = [item.accuracy - item.accuracy_low for item in results]
    above = [item.accuracy_high - item.accuracy for item in results]
    axes.bar(places, values, yerr=[below, above], capsize=4, color="0.75")
    axes.set_xticks(places, names, rotation=30, ha="right")
    axes.set(ylabel="accuracy [%]", ylim=(0, 100), title="images, with 95 % intervals")


def _gains(axes: "Axes", results: Sequence[LinkResult]) -> None:
    known = [item for item in results if math.isfinite(item.scenario_gain_db)]
    if not known:
        places = range(len(results))
        axes.bar(places, [item.received_power_dbfs for item in results], color="0.75")
        axes.set_xticks(places, [_name(item) for item in results], rotation=30, ha="right")
        axes.set(ylabel="received power [dBFS]", title="sounded links")
        return
    scenario = [item.scenario_gain_db for item in known]
    measured = [item.received_power_dbfs for item in known]
    axes.plot(scenario, measured, "o")
    for item, x, y in zip(known, scenario, measured, strict=True):
        axes.annotate(_name(item), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=8)
    # A line of slope 1 through the mean: what equal radios at all nodes would show.
    shift = sum(y - x for x, y in zip(scenario, measured, strict=True)) / len(known)
    ends = [min(scenario), max(scenario)]
    axes.plot(ends, [end + shift for end in ends], color="0.6", linestyle=":")
    axes.set(xlabel="gain in the scenario [dB]", ylabel="received power [dBFS]")
    axes.set_title("sounded links, and a line of slope 1")


def _name(item: LinkResult) -> str:
    ends = ["?" if node is None else str(node) for node in (item.transmitter, item.receiver)]
    loop = f" #{item.loop}" if item.loop > 1 else ""
    return f"{item.scenario or item.job} {'>'.join(ends)}{loop}"
