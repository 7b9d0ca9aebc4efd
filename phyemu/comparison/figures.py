"""Figs. 6 to 11 as pictures, from cells; what the paper states in words is marked in them."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phyemu.whole_file import write_whole

from .accuracy_tables import error_spread, snrs_of
from .cell import CellKey, CellKind
from .cell_set import CellSet
from .config import PHYDNN
from .cost_tables import cost_rows
from .environment import OFFICE, TRAINING_SNR_DB
from .exhibit import Exhibit
from .labels import backbone_label, dataset_label
from .published import published_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_costs", "draw_energy", "draw_jscc", "draw_sweep"]

_COLOURS = ("#1f5a94", "#d1495b", "#3a7d44", "#8d6a9f", "#c77c02")
_PAPER: dict[str, Any] = {
    "marker": "D",
    "color": "black",
    "markerfacecolor": "none",
    "linestyle": "none",
    "markersize": 9,
}
_DPI = 110
_JSCC = "DT-JSCC"


@dataclass(frozen=True, slots=True)
class _Part:
    """A figure of a cell, its scale, and how it is marked."""

    figure: str
    scale: float
    colour: str
    marker: str = "o"
    size: float = 6


_TIMES = {
    "head": _Part("head_s", 1e3, _COLOURS[0]),
    "communication": _Part("communication_s", 1e3, _COLOURS[1]),
    "tail": _Part("tail_s", 1e3, _COLOURS[2]),
    "latency": _Part("latency_s", 1e3, "0.2", "|", 9),
}
_SIZES = {
    "payload": _Part("payload_bytes", 1 / 1024, _COLOURS[3]),
    "overhead": _Part("overhead_bytes", 1 / 1024, _COLOURS[4]),
}
_ENERGIES = {
    "head": _Part("head_j", 1e3, _COLOURS[0]),
    "transmission": _Part("transmit_j", 1e3, _COLOURS[1]),
    "energy": _Part("energy_j", 1e3, "0.2", "|", 9),
}
_STATED_SIZES = {"SC": "figure-6/bytes/sc", PHYDNN: "figure-6/bytes/phydnn"}


def draw_costs(
    cells: CellSet, exhibit: Exhibit, environments: Sequence[str], dataset: str, path: Path
) -> bool:
    """Draw latency by backbone, and bytes, as Figs. 6 to 8; return whether there was anything.

    Args:
        cells: Finished cells.
        exhibit: Its title is the picture's.
        environments: Its places.
        dataset: Of the costs.
        path: PNG to write.
    """
    keys = cost_rows(cells, environments, dataset)
    backbones = list(dict.fromkeys(key.backbone for key in keys))
    if not keys:
        return False
    count = len(backbones) + 1
    rows = max(sum(key.backbone == name for key in keys) for name in backbones)
    figure = _figure(5.2 * min(count, 2), (1.4 + 0.17 * rows) * math.ceil(count / 2) + 0.6)
    axes = figure.subplots(math.ceil(count / 2), min(count, 2), squeeze=False).ravel()
    for panel, backbone in zip(axes, backbones, strict=False):
        shown = [key for key in keys if key.backbone == backbone]
        _dots(panel, cells, shown, _TIMES)
        panel.set(xlabel="latency of a batch [ms]", title=backbone_label(backbone))
        if (exhibit, backbone, dataset) == (Exhibit.FIGURE_6, "resnet56", "cifar-10"):
            _mark(panel, shown, {PHYDNN: "figure-6/latency/phydnn"})
    sizes = axes[len(backbones)]
    first = [key for key in keys if key.backbone == backbones[0]]
    _dots(sizes, cells, first, _SIZES)
    sizes.set(xlabel="bytes of a batch [KB]", title="payload and overhead")
    if exhibit is Exhibit.FIGURE_6 and dataset == "cifar-10":
        _mark(sizes, first, _STATED_SIZES)
    for unused in axes[count:]:
        unused.set_visible(False)
    _finish(figure, exhibit, cells, keys, path)
    return True


def draw_energy(cells: CellSet, dataset: str, path: Path) -> bool:
    """Draw the energy of the device by backbone, as Fig. 9; return whether there was anything."""
    keys = [key for key in cost_rows(cells, OFFICE, dataset) if _has(cells, key, "energy_j")]
    backbones = list(dict.fromkeys(key.backbone for key in keys))
    if not keys:
        return False
    rows = max(sum(key.backbone == name for key in keys) for name in backbones)
    figure = _figure(5.2 * len(backbones), 2.0 + 0.17 * rows)
    panels = figure.subplots(1, len(backbones), squeeze=False)[0]
    for panel, backbone in zip(panels, backbones, strict=True):
        _dots(panel, cells, [key for key in keys if key.backbone == backbone], _ENERGIES)
        panel.set(xlabel="energy of a batch [mJ]", title=backbone_label(backbone))
    _finish(figure, Exhibit.FIGURE_9, cells, keys, path)
    return True


def draw_jscc(cells: CellSet, dataset: str, path: Path) -> bool:
    """Draw DT-JSCC beside the PhyDNN, as Fig. 11; return whether there was anything."""
    keys = cost_rows(cells.where(system=(_JSCC, PHYDNN)), OFFICE, dataset)
    backbones = [key.backbone for key in keys if key.system == _JSCC]
    keys = [key for key in keys if backbones and key.backbone == backbones[0]]
    if not backbones:
        return False
    figure = _figure(10.4, 3.6)
    left, right = figure.subplots(1, 2)
    _dots(left, cells, keys, _TIMES)
    left.set(xlabel="latency of a batch [ms]")
    if (backbones[0], dataset) == ("resnet56", "cifar-10"):
        stated = {_JSCC: "figure-11/latency/dt-jscc", PHYDNN: "figure-11/latency/phydnn"}
        _mark(left, keys, stated)
    _dots(right, cells, keys, _ENERGIES)
    right.set(xlabel="energy of a batch [mJ]")
    _finish(figure, Exhibit.FIGURE_11, cells, keys, path)
    return True


def draw_sweep(cells: CellSet, datasets: Sequence[str], path: Path) -> bool:
    """Draw the error rate over the SNR, as Fig. 10; return whether there was anything.

    Bands are one sample deviation over the seeds; diamonds are the paper's Table II at 12 dB.
    """
    swept = cells.where(kind=CellKind.ACCURACY, system=PHYDNN)
    shown = [name for name in datasets if len(snrs_of(swept.where(dataset=name))) > 1]
    if not shown:
        return False
    figure = _figure(5.6 * len(shown), 4.6)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for panel, dataset in zip(panels, shown, strict=True):
        of_dataset = swept.where(dataset=dataset)
        curves = dict.fromkeys(
            (cell.key.backbone, cell.key.variant, cell.key.order) for cell in of_dataset
        )
        drawn = 0
        for backbone, variant, order in curves:
            curve = of_dataset.where(backbone=backbone, variant=variant, order=order)
            snrs = snrs_of(curve)
            if len(snrs) < 2:
                continue
            colour = _COLOURS[drawn % len(_COLOURS)]
            drawn += 1
            label = f"{backbone_label(backbone)}, {variant}, M = {order}"
            _curve(panel, curve, snrs, colour, label)
            stated = published_value(f"table-2/{dataset}/{backbone}/m{order}")
            if stated is not None:
                panel.plot([TRAINING_SNR_DB], [100 - stated], **{**_PAPER, "color": colour})
        panel.set(xlabel="SNR [dB]", ylabel="error rate [%]", title=dataset_label(dataset))
        panel.grid(visible=True, alpha=0.3)
        panel.legend(fontsize=8)
    figure.suptitle(Exhibit.FIGURE_10.heading + "; diamonds: the paper's Table II")
    _save(figure, path)
    return True


def _curve(panel: "Axes", curve: CellSet, snrs: Sequence[float], colour: str, label: str) -> None:
    spreads = [spread for snr_db in snrs if (spread := error_spread(curve, snr_db)) is not None]
    means = [spread.mean for spread in spreads]
    panel.plot(snrs, means, marker="o", markersize=4, color=colour, label=label)
    if all(math.isfinite(spread.deviation) for spread in spreads):
        low = [spread.mean - spread.deviation for spread in spreads]
        high = [spread.mean + spread.deviation for spread in spreads]
        panel.fill_between(snrs, low, high, color=colour, alpha=0.18, linewidth=0)


def _dots(
    panel: "Axes",
    cells: CellSet,
    keys: Sequence[CellKey],
    parts: Mapping[str, _Part],
) -> None:
    """Draw a row a key, from the top, with a mark a part on a logarithmic axis.

    Bars would not do: on such an axis the length of a part depends on where it begins.
    """
    places = range(len(keys))
    for label, part in parts.items():
        spreads = [_one(cells, key).spread(part.figure) for key in keys]
        # A line has no inside to leave open.
        groups = ((False, True),) if part.marker == "|" else ((False,), (True,))
        for group in groups:
            found = [
                (spread.mean * part.scale, place)
                for place, spread in zip(places, spreads, strict=True)
                if spread is not None and spread.mean > 0 and spread.modelled in group
            ]
            if found:
                panel.plot(
                    [value for value, _ in found],
                    [place for _, place in found],
                    linestyle="none",
                    marker=part.marker,
                    markersize=part.size,
                    markeredgewidth=1.6,
                    color=part.colour,
                    markerfacecolor="none" if group == (True,) else part.colour,
                    label=f"{label} (modelled)" if group == (True,) else label,
                )
    panel.set_xscale("log")
    panel.set_ylim(-0.6, len(keys) - 0.4)
    panel.set_yticks(places, [_short(key) for key in keys], fontsize=7)
    panel.invert_yaxis()
    panel.grid(visible=True, alpha=0.3)


def _mark(panel: "Axes", keys: Sequence[CellKey], stated: Mapping[str, str]) -> None:
    """Put a diamond where the paper states a number: ids of published values by system."""
    found = [
        (value, place)
        for place, key in enumerate(keys)
        if (value := published_value(stated.get(key.system, ""))) is not None
    ]
    if found:
        panel.plot(
            [value for value, _ in found], [place for _, place in found], label="paper", **_PAPER
        )


def _one(cells: CellSet, key: CellKey) -> CellSet:
    return CellSet(cell for cell in cells if cell.key == key)


def _has(cells: CellSet, key: CellKey, figure: str) -> bool:
    return _one(cells, key).spread(figure) is not None


def _short(key: CellKey) -> str:
    parts = [f"{key.system} {key.variant}".strip(), key.protocol.upper(), key.environment]
    return " ".join(part for part in parts if part and part != "none")


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _finish(
    figure: "Figure", exhibit: Exhibit, cells: CellSet, keys: Sequence[CellKey], path: Path
) -> None:
    """Write title, legend and what is modelled, and the file."""
    found = [next(iter(_one(cells, key))) for key in keys]
    engines = sorted({cell.engine for cell in found if cell.engine})
    words = {"model": "the event model"}
    named = [words.get(engine, engine) for engine in engines]
    notes = [f"full stack by {' and '.join(named)}"] if named else []
    figure.suptitle("; ".join([exhibit.heading, *notes]), fontsize=10)
    handles: dict[str, Any] = {}
    for panel in figure.axes:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center", ncols=7, fontsize=8
    )
    _save(figure, path)


def _save(figure: "Figure", path: Path) -> None:
    content = io.BytesIO()
    # Equal cells give equal bytes: no date, no version of the library.
    figure.savefig(content, dpi=_DPI, format="png", metadata={"Software": None})
    write_whole(path, content.getvalue())
