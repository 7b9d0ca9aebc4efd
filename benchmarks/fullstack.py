"""The full stack's event model beside ns-3 and beside the paper: tables and a picture.

    python -m benchmarks.fullstack FOLDER

writes fullstack.png and prints the tables of docs/fullstack.md. ns-3 is left out where it is not
installed (`make ns3`).
"""

import math
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phyemu.fullstack import (
    Engine,
    Protocol,
    TransferSummary,
    WifiLink,
    run_transfer,
    summarise,
    why_no_ns3,
)

KIB = 1024
# The paper, Sec. IV-C: payloads for 64 images; overhead over the 256 bytes of PhyDNNs.
PAYLOADS_KIB = {"BF-1": 256, "BF-2": 512, "SC": 4096}
PAPER_OVERHEAD_BYTES = {
    ("BF-1", "LoS"): 180 * 256,
    ("BF-2", "LoS"): 363 * 256,
    ("BF-1", "NLoS"): 237 * 256,
    ("BF-2", "NLoS"): 484 * 256,
}
# 16.85 dB: one in twenty full frames at 36 Mbit/s is lost.
PAPER_RATE_MBPS = 36
SNRS_DB = {"LoS": 25.0, "NLoS": 16.85}
SWEEP = {
    6: (4.0, 4.3, 5.0, 8.0),
    24: (12.9, 13.2, 13.6, 14.5, 18.0),
    54: (22.1, 22.4, 22.8, 24.0, 28.0),
}
COLOURS = {6: "#a03070", 24: "#e07b00", 54: "#0b5fa5"}


def summary(
    payload_kib: int, link: WifiLink, engine: Engine, count: int, protocol: Protocol = Protocol.TCP
) -> TransferSummary:
    """Return the mean of some transfers."""
    return summarise(
        [
            run_transfer(payload_kib * KIB, link, protocol, seed=seed, engine=engine)
            for seed in range(count)
        ]
    )


def _ms(seconds: float | None) -> float:
    return math.nan if seconds is None else 1e3 * seconds


def main(folder: Path) -> None:
    """Write the picture to `folder` and print the tables."""
    engines = [Engine.MODEL] if why_no_ns3() else [Engine.MODEL, Engine.NS3]
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    print(
        "| rate | SNR | protocol | " + " | ".join(f"{e} ms, KB, MAC, TCP" for e in engines) + " |"
    )
    for rate, snrs_db in SWEEP.items():
        found: dict[Engine, list[TransferSummary]] = {}
        for engine in engines:
            count = 12 if engine is Engine.MODEL else 4
            found[engine] = [
                summary(256, WifiLink.at_snr(snr_db, rate), engine, count) for snr_db in snrs_db
            ]
            left.errorbar(
                snrs_db,
                [_ms(item.duration_s) for item in found[engine]],
                [_ms(item.duration_std_s) for item in found[engine]],
                color=COLOURS[rate],
                marker="o" if engine is Engine.NS3 else None,
                linestyle="none" if engine is Engine.NS3 else "-",
                capsize=3,
                label=f"{rate} Mbit/s, {engine}",
            )
        for index, snr_db in enumerate(snrs_db):
            cells = [
                f"{_ms(item.duration_s):.1f}, "
                f"{(item.delivered_bytes + item.total_overhead_bytes) / KIB:.0f}, "
                f"{item.mac_retransmissions:.1f}, {item.transport_retransmissions:.1f}"
                for item in (found[engine][index] for engine in engines)
            ]
            print(f"| {rate} | {snr_db} | TCP | " + " | ".join(cells) + " |", flush=True)
    left.set_yscale("log")
    left.set_xlabel("SNR of each carrier [dB]")
    left.set_ylabel("256 KB by TCP [ms]")
    left.grid(visible=True, which="both", alpha=0.3)
    left.legend(fontsize="small")
    _beside_the_paper(right, engines)
    figure.savefig(folder / "fullstack.png", dpi=130)


def _beside_the_paper(axes: Axes, engines: list[Engine]) -> None:
    """Draw and print the overhead of the paper's payloads."""
    places: list[str] = []
    values: dict[str, list[float]] = {"paper": [], **{engine.value: [] for engine in engines}}
    for (name, place), paper_bytes in PAPER_OVERHEAD_BYTES.items():
        link = WifiLink.at_snr(SNRS_DB[place], PAPER_RATE_MBPS)
        places.append(f"{name}\n{place}")
        values["paper"].append(paper_bytes / KIB)
        for engine in engines:
            item = summary(PAYLOADS_KIB[name], link, engine, 12 if engine is Engine.MODEL else 4)
            values[engine.value].append(item.total_overhead_bytes / KIB)
            print(
                f"| {name} | {place} | {engine} | {_ms(item.duration_s):.1f} ms | "
                f"{item.goodput_mbps:.2f} Mbit/s | {item.total_overhead_bytes:.0f} bytes, "
                f"{item.total_overhead_bytes / 256:.0f}x (paper {paper_bytes / 256:.0f}x) | "
                f"{item.mac_retransmissions:.1f} |",
                flush=True,
            )
    width = 0.8 / len(values)
    for shift, (label, heights) in enumerate(values.items()):
        offsets = [index + (shift - (len(values) - 1) / 2) * width for index in range(len(places))]
        axes.bar(offsets, heights, width, label=label)
    axes.set_xticks(range(len(places)), places)
    axes.set_ylabel("overhead for 64 images [KB]")
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(fontsize="small")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
