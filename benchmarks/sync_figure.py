"""The pictures of the sync study: detection, and what disturbs it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["draw_detection", "draw_robustness"]

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0b5fa5", "#e07b00", "#2a9d6f", "#a03070", "#606060"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)


def _panel(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(which="major", color="#d0d0d0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _band(
    axes: Axes, points: Sequence[Mapping[str, Any]], x: str, what: str, colour: str, **style: Any
) -> None:
    """Draw a share [%] over a quantity, with its 95 % interval."""
    places = [point[x] for point in points]
    shares = [100 * point[what][0] for point in points]
    axes.fill_between(
        places,
        [100 * point[what][1] for point in points],
        [100 * point[what][2] for point in points],
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(places, shares, color=colour, markersize=4, **style)


def draw_detection(results: Mapping[str, Any], path: Path) -> None:
    """Write the picture of detection in white noise, in fading, beside peers, and of alarms."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    (noise, fading), (peers, alarms) = figure.subplots(2, 2)
    curves = results["curves"]
    _panel(noise, "White noise, no offset and 100 kHz", "SNR [dB]", "frames [%]")
    _band(noise, curves["awgn, 0 kHz"], "snr_db", "detected", BLUE, marker="o", label="detected")
    _band(
        noise, curves["awgn, 100 kHz"], "snr_db", "detected", ORANGE, linestyle=":",
        label="detected, 100 kHz",
    )  # fmt: skip
    _band(noise, curves["awgn, 0 kHz"], "snr_db", "read", GREEN, marker="s", label="header read")
    theory = results["theory"]
    for name, dash, text in (
        ("detection", "-", "closed form, detected"),
        ("clairvoyant", "--", "bound: all but the phase known"),
        ("header", ":", "header read, all known"),
    ):
        shares = [100 * value for value in theory[name]]
        noise.plot(
            theory["snrs_db"], shares, color="black", linestyle=dash, linewidth=1, label=text
        )
    noise.set_xlim(-8.2, 5)
    noise.legend(frameon=False, fontsize=8)
    _panel(fading, "TGn B, C, D (offset 61 kHz)", "mean SNR [dB]", "frames not ... [%]")
    for letter, colour in zip("BCD", COLOURS, strict=False):
        points = curves[f"TGn {letter}"]
        missed = [{**p, "missed": _rest(p["detected"]), "unread": _rest(p["read"])} for p in points]
        _band(fading, missed, "snr_db", "missed", colour, marker="o", label=f"{letter}: detected")
        _band(fading, missed, "snr_db", "unread", colour, linestyle="--", label=f"{letter}: read")
        bound = [100 * max(1 - value, 1e-4) for value in theory[f"outage {letter}"]]
        fading.plot(
            theory["snrs_db"],
            bound,
            color=colour,
            linestyle=":",
            label=f"{letter}: bound, detected",
        )
    # Beyond 10 dB hardly any frame is missed: a logarithm has no place for none.
    fading.set(yscale="log", ylim=(0.1, 110), xlim=(-5.2, 10.2))
    fading.legend(frameon=False, fontsize=8, loc="lower left")
    compared = results["peers"]
    _panel(peers, "One false alarm in a million samples", "SNR [dB]", "detected [%]")
    for colour, (name, by_offset) in zip(COLOURS, compared["found"].items(), strict=False):
        for (offset, counts), dash in zip(by_offset.items(), ("-", "--", ":"), strict=False):
            shares = [100 * count / compared["rows"] for count in counts]
            peers.plot(
                compared["snrs_db"], shares, color=colour, linestyle=dash,
                label=f"{name}, {offset} kHz",
            )  # fmt: skip
    peers.legend(frameon=False, fontsize=8, loc="center left")
    _panel(alarms, "False alarms", "stated rate [per sample]", "counted [per sample]")
    for colour, (name, counted) in zip(COLOURS, results["rates"].items(), strict=False):
        stated = [point["stated"] for point in counted]
        rates = [max(point["rate"], 1e-10) for point in counted]
        spread = [
            [rate - max(point["low"], 1e-10) for rate, point in zip(rates, counted, strict=True)],
            [point["high"] - rate for rate, point in zip(rates, counted, strict=True)],
        ]
        alarms.errorbar(
            stated, rates, [[max(v, 0) for v in side] for side in spread], color=colour,
            marker="o", markersize=4, capsize=3, linewidth=1, label=name,
        )  # fmt: skip
    alarms.plot(stated, stated, color="black", linewidth=1, label="as stated")
    alarms.set(xscale="log", yscale="log", ylim=(3e-9, 2e-3))
    alarms.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=75, pil_kwargs={"optimize": True})


def _rest(share: Sequence[float]) -> tuple[float, float, float]:
    return 1 - share[0], 1 - share[2], 1 - share[1]


def draw_robustness(results: Mapping[str, Any], path: Path) -> None:
    """Write the picture of offsets, interferers and the carrier's error."""
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    (offsets, errors), (others, timing) = figure.subplots(2, 2)
    curves = results["curves"]
    _panel(offsets, "Carrier offset (limit 100 kHz)", "carrier offset [kHz]", "frames [%]")
    for snr_db, colour in ((0.0, ORANGE), (10.0, BLUE)):
        points = curves[f"offsets at {snr_db:g} dB"]
        name = f"{snr_db:g} dB"
        _band(offsets, points, "cfo_khz", "detected", colour, marker="o", label=f"{name}: detected")
        _band(offsets, points, "cfo_khz", "read", colour, linestyle="--", label=f"{name}: read")
    offsets.axvspan(100, 200, color="#eeeeee", zorder=0)
    offsets.set_xlim(0, 200)
    offsets.legend(frameon=False, fontsize=8)
    _panel(errors, "Error of the carrier offset", "SNR [dB]", "RMS [Hz]")
    for name, colour in (("awgn, 0 kHz", BLUE), ("awgn, 100 kHz", ORANGE), ("TGn D", GREEN)):
        points = [point for point in curves[name] if point["read"][0] > 0.05]
        errors.plot(
            [point["snr_db"] for point in points], [point["cfo_rms_hz"] for point in points],
            color=colour, marker="o", markersize=4, label=name,
        )  # fmt: skip
    theory = results["theory"]
    for name, dash in (("preamble", "--"), ("frame", "-")):
        errors.plot(
            theory["snrs_db"], theory[f"cfo {name}"], color="black", linestyle=dash, linewidth=1,
            label=f"Cramer-Rao bound, {name} known",
        )  # fmt: skip
    errors.set(yscale="log")
    errors.legend(frameon=False, fontsize=8)
    _panel(others, "Interferers at 15 dB SNR", "SIR [dB]", "frames [%]")
    for colour, name in zip(COLOURS, results["interferers"], strict=False):
        points = curves[name]
        _band(others, points, "sir_db", "detected", colour, marker="o", label=f"{name}: detected")
        _band(others, points, "sir_db", "read", colour, linestyle="--", label=f"{name}: read")
    others.legend(frameon=False, fontsize=8)
    _panel(timing, "Timing against the first path", "SNR [dB]", "1st to 99th percentile [samples]")
    for name, colour in zip(("awgn, 0 kHz", "TGn B", "TGn C", "TGn D"), COLOURS, strict=True):
        points = [point for point in curves[name] if point["detected"][0] > 0.05]
        timing.fill_between(
            [point["snr_db"] for point in points],
            [point["early_samples"] for point in points],
            [point["late_samples"] for point in points],
            color=colour, alpha=0.3, label=name,
        )  # fmt: skip
    timing.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=75, pil_kwargs={"optimize": True})
