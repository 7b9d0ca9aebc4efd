"""The picture of what a sample costs: panels side by side, one colour a tool in all of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

__all__ = ["draw"]

# Ours in one hue, strong; the peers apart from it and from each other, also without colour.
STYLES = {
    "phyemu, taps on the grid": ("#0b5fa5", "o", "-"),
    "phyemu, fractional delays": ("#0b5fa5", "s", "--"),
    "phyemu ChannelNetwork": ("#0b5fa5", "D", "-"),
    "torch by hand": ("#e07b00", "^", "-"),
    "SciPy oaconvolve": ("#7a8b00", "v", "-"),
    "GNU Radio static FIR": ("#a03070", "P", "-"),
    "GNU Radio fading": ("#a03070", "X", "--"),
    "Sionna ApplyTimeChannel": ("#2a9d6f", "*", "-"),
}


class _Panel(Protocol):
    @property
    def title(self) -> str: ...
    @property
    def x(self) -> str: ...
    @property
    def y(self) -> str: ...
    @property
    def lines(self) -> Mapping[str, Sequence[tuple[float, float]]]: ...


def draw(panels: Sequence[_Panel], path: Path) -> None:
    """Write the panels, double logarithmic, two in a row, with one legend."""
    figure = Figure(figsize=(10, 8), layout="constrained")
    handles = {}
    for panel, axes in zip(panels, figure.subplots(-(-len(panels) // 2), 2).flat, strict=True):
        for name, points in panel.lines.items():
            colour, marker, dash = STYLES[name]
            ours = name.startswith("phyemu")
            (handles[name],) = axes.plot(
                *zip(*points, strict=True),
                color=colour,
                marker=marker,
                linestyle=dash,
                linewidth=2.4 if ours else 1.4,
                markersize=6,
                label=name,
                zorder=3 if ours else 2,
            )
        axes.set(xscale="log", yscale="log", xlabel=panel.x, ylabel=panel.y)
        axes.set_title(panel.title, loc="left", fontweight="bold")
        axes.grid(which="major", color="#d0d0d0", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        values = [value for points in panel.lines.values() for _, value in points]
        if max(values) < 100 * min(values):
            # Few decades: some values between the powers of ten are written, in plain numbers.
            axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axes.yaxis.set_minor_locator(NullLocator())
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        places = sorted({x for points in panel.lines.values() for x, _ in points})
        if max(places) <= 1000:
            axes.set_xticks(places, [f"{place:g}" for place in places])
            axes.minorticks_off()
    ordered = [handles[name] for name in STYLES if name in handles]
    figure.legend(handles=ordered, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=130)
