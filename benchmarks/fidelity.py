"""Fidelity: symbol errors and accuracy of the symbol link beside those of the waveform link.

A PhyDNN of the digits' preset (16-PSK, 256 symbols an image) is trained once, through `awgn:12`,
and scored at both fidelities over channels and SNRs. The gap is the horizontal distance of the
curves: how many dB of SNR the symbol link is better than the waveform link.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from phyemu.channel import load_channel, with_snr
from phyemu.evaluation import load_exported, run_test_images
from phyemu.link import Fidelity, build_link
from phyemu.training import preset, score_over_link, train_run

CHANNELS = (
    "awgn:12",
    "tgn-b:12",
    "tgn-d:12",
    "tdl-a:12",
    "office-los",
    "office-nlos",
    "conference-los",
    "conference-nlos",
)
TUNED_ON = ("office-nlos", "conference-nlos", "tgn-b:12", "tgn-d:12")
SNRS_DB = tuple(float(value) for value in range(4, 21, 2))
FIGURE = Path("docs") / "pictures" / "fidelity.png"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Symbol error rate and accuracy [%] over `SNRS_DB`, at one fidelity."""

    ser: tuple[float, ...]
    accuracy: tuple[float, ...]


def curves(run: Path, channel: str, *, seed: int) -> dict[Fidelity, Curve]:
    """Return the curves of a trained run over a channel."""
    exported = load_exported(run)
    images = run_test_images(run, exported)
    result = {}
    for fidelity in (Fidelity.SYMBOL, Fidelity.WAVEFORM):
        scores = [
            score_over_link(
                exported.joined(),
                build_link(
                    with_snr(load_channel(channel), snr_db),
                    exported.constellation,
                    exported.frame_format,
                    fidelity=fidelity,
                ),
                images,
                seed=seed,
                repetitions=3,
            )
            for snr_db in SNRS_DB
        ]
        result[fidelity] = Curve(
            ser=tuple(score.ser or 0.0 for score in scores),
            accuracy=tuple(score.accuracy for score in scores),
        )
    return result


def gap_db(symbol: Curve, waveform: Curve) -> float:
    """Return how much SNR the waveform link needs more for the symbol link's error rates [dB].

    The median over the SNRs at which the error rate lies well within the waveform link's curve.
    """
    logs = np.log(np.maximum(waveform.ser, 1e-6))[::-1]
    gaps = [
        float(np.interp(np.log(rate), logs, SNRS_DB[::-1])) - snr_db
        for rate, snr_db in zip(symbol.ser, SNRS_DB, strict=True)
        if max(min(waveform.ser), 1e-3) < rate < max(waveform.ser)
    ]
    return float(np.median(gaps)) if gaps else float("nan")


def plot(found: dict[str, dict[Fidelity, Curve]], path: Path) -> None:
    """Write the figure: error rates above, accuracies below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, rows = pyplot.subplots(2, 1, figsize=(7, 8), sharex=True)
    for color, (channel, pair) in enumerate(found.items()):
        for fidelity, style in ((Fidelity.WAVEFORM, "-"), (Fidelity.SYMBOL, "--")):
            label = channel.removesuffix(":12") if fidelity is Fidelity.WAVEFORM else None
            curve = pair[fidelity]
            rows[0].semilogy(SNRS_DB, curve.ser, style, color=f"C{color}", label=label)
            rows[1].plot(SNRS_DB, curve.accuracy, style, color=f"C{color}")
    rows[0].set_ylabel("symbol error rate, 16-PSK")
    rows[0].legend(ncols=2, fontsize=8, title="solid: waveform, dashed: symbol")
    rows[1].set_ylabel("accuracy on the digits [%]")
    rows[1].set_xlabel("SNR of the link [dB]")
    for axes in rows:
        axes.grid(alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def run() -> str:
    """Return the table of all channels, and write the figure into the documentation."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder) / "run"
        train_run(preset("digits", "awgn:12"), trained)
        found = {channel: curves(trained, channel, seed=1) for channel in CHANNELS}
    plot(found, FIGURE)
    lines = [
        "## Fidelity: symbol link beside waveform link, digits, 16-PSK, trained through awgn:12",
        "",
        "| channel | gap in SNR at equal SER | accuracy at 8 / 12 / 16 dB, waveform | symbol "
        "| mean gap in accuracy |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shown = [SNRS_DB.index(snr_db) for snr_db in (8.0, 12.0, 16.0)]
    for channel, pair in found.items():
        symbol, waveform = pair[Fidelity.SYMBOL], pair[Fidelity.WAVEFORM]
        gap = np.mean(np.subtract(symbol.accuracy, waveform.accuracy))
        numbers = [
            " / ".join(f"{curve.accuracy[index]:.1f}" for index in shown)
            for curve in (waveform, symbol)
        ]
        mark = "" if channel in TUNED_ON else " (not used in tuning)"
        lines.append(
            f"| {channel.removesuffix(':12')}{mark} | {gap_db(symbol, waveform):+.2f} dB "
            f"| {numbers[0]} | {numbers[1]} | {gap:+.1f} |"
        )
    lines += [
        "",
        "SNR 4 to 20 dB in steps of 2 dB, 359 images through three channels each.",
        "",
    ]
    return "\n".join(lines)
