"""Sync study: what is detected, read and wrongly taken for a frame, and how well it is placed.

Over SNR, carrier and clock offset, in white noise and TGn B to D, beside interferers and closed
forms, bounds, other detectors. Writes bench/sync.json (all figures), bench/sync-detection.png and
bench/sync-robustness.png. `python -m benchmarks sync` takes some 6 minutes of one core, and goes
on where it was cut off (bench/sync-parts.json).
"""

import functools
import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import phyemu
from benchmarks.kept_parts import KeptParts, digest
from benchmarks.results import FOLDER
from benchmarks.sync_clock import long_frames
from benchmarks.sync_false_alarms import SOURCES, count_alarms
from benchmarks.sync_figure import draw_detection, draw_robustness
from benchmarks.sync_interferers import KINDS, Interferer, captures
from benchmarks.sync_peers import compare_detectors
from benchmarks.sync_theory import cfo_bound_hz, clairvoyant, detection, header_read, outage
from benchmarks.sync_trials import (
    FORMAT,
    PAYLOAD_SYMBOLS,
    Cell,
    interval,
    make_rows,
    measure,
)
from phyemu.receiver import ReceiverConfig

__all__ = ["Size", "run", "study"]

RATE = ReceiverConfig().false_alarm_rate
SNRS_DB = (-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, 0.0, 2.5, 5.0, 10.0, 20.0)
FADING_SNRS_DB = (-5.0, 0.0, 2.5, 5.0, 10.0, 20.0)
FEW_SNRS_DB = (-5.0, 0.0, 10.0)
OFFSETS_HZ = (0.0, 50e3, 100e3, 110e3, 125e3, 150e3, 200e3)
SIRS_DB = (-10.0, -5.0, 0.0, 5.0, 20.0)
COUNTED = ("white noise", "2-, 4-, 8-PSK, 10 Msym/s, no noise")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured: frames a point of a curve, long frames, samples searched for alarms."""

    frames: int = 1000
    side_frames: int = 200
    long_frames: int = 12
    alarm_samples: int = 60_000_000
    rate_samples: int = 10_000_000
    peer_rows: int = 200


def _point(cell: Cell, frames: int, seed: int, more: dict[str, float]) -> dict[str, Any]:
    """Return the outcome of a cell as shares with their intervals."""
    found = measure(cell, frames=frames, seed=seed)
    point: dict[str, Any] = {"snr_db": cell.snr_db, **more, **asdict(found)}
    point |= {"detected_count": found.detected, "read_count": found.headers}
    for name, count, total in (
        ("detected", found.detected, found.frames),
        ("read", found.headers, found.frames),
        ("timely", found.timely, max(found.detected, 1)),
    ):
        point[name] = (count / total, *interval(count, total))
    return point


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _curves(size: Size, kept: KeptParts) -> dict[str, list[dict[str, Any]]]:
    """Return shares over SNR, carrier offset, clock offset and SIR."""
    wanted: dict[str, list[tuple[Cell, int, dict[str, float]]]] = {}
    for cfo_hz in (0.0, 100e3, -100e3, 50e3, -50e3):
        wanted[f"awgn, {cfo_hz / 1e3:g} kHz"] = [
            (Cell(channel="awgn", snr_db=snr, cfo_hz=cfo_hz), size.frames, {})
            for snr in (SNRS_DB if cfo_hz in (0.0, 100e3) else FEW_SNRS_DB)
        ]
    for letter in "DBC":
        wanted[f"TGn {letter}"] = [
            (Cell(channel=letter, snr_db=snr, cfo_hz=61e3), size.frames, {})
            for snr in FADING_SNRS_DB
        ]
    for ppm in (-40.0, 40.0):
        wanted[f"clock {ppm:g} ppm"] = [
            (Cell(channel="awgn", snr_db=snr, cfo_hz=100e3, sfo_ppm=ppm), size.frames, {})
            for snr in (0.0, 10.0)
        ]
    for kind in _kinds():
        wanted[kind] = []
        for sir in SIRS_DB:
            other = Interferer(kind=kind, sir_db=sir)
            cell = Cell(channel="awgn", snr_db=15.0, cfo_hz=-61e3, interferer=other)
            wanted[kind].append((cell, size.side_frames, {"sir_db": sir}))
    for snr_db in (0.0, 10.0):
        wanted[f"offsets at {snr_db:g} dB"] = [
            (
                Cell(channel="awgn", snr_db=snr_db, cfo_hz=cfo_hz),
                size.side_frames,
                {"cfo_khz": cfo_hz / 1e3},
            )
            for cfo_hz in OFFSETS_HZ
        ]
    curves: dict[str, list[dict[str, Any]]] = {}
    for number, (name, cells) in enumerate(wanted.items()):
        _say(name)
        curves[name] = [
            kept.part(
                f"{cell} {frames}", functools.partial(_point, cell, frames, 100 * number + i, more)
            )
            for i, (cell, frames, more) in enumerate(cells)
        ]
    return curves


def _kinds() -> list[str]:
    """Return the interferers that can be had: Wi-Fi needs the real captures."""
    return [kind for kind in KINDS if kind != "Wi-Fi" or captures()]


def _theory() -> dict[str, list[float]]:
    symbols = FORMAT.frame_symbols(PAYLOAD_SYMBOLS)
    snrs = [-9.0 + 0.5 * step for step in range(59)]
    given: dict[str, Any] = {"false_alarm_rate": RATE, "frame_format": FORMAT}
    theory = {
        "snrs_db": snrs,
        "detection": [detection(snr, **given) for snr in snrs],
        "clairvoyant": [clairvoyant(snr, **given) for snr in snrs],
        "header": [header_read(snr, headers=2000, seed=1) / 2000 for snr in snrs],
    }
    for letter in "BCD":
        power = make_rows(Cell(channel=letter, snr_db=0.0), 2000, 1).power
        theory[f"outage {letter}"] = [outage(snr, power, **given) for snr in snrs]
    for name, known in (("preamble", FORMAT.preamble_symbols), ("frame", symbols)):
        theory[f"cfo {name}"] = [
            cfo_bound_hz(snr, symbols=known, frame_format=FORMAT) for snr in snrs
        ]
    return theory


def study(size: Size, path: Path | None = None) -> dict[str, Any]:
    """Return all that is measured, as JSON-ready values; parts are kept in `path`."""
    here, package = Path(__file__).parent, Path(phyemu.__file__).parent
    code = [package / "waveform", package / "receiver"]
    code += [here / f"sync_{name}.py" for name in ("trials", "interferers", "theory")]
    kept = KeptParts(path, digest(code))
    own = {name: digest([here / f"sync_{name}.py"]) for name in ("false_alarms", "peers", "clock")}
    results: dict[str, Any] = {"size": asdict(size), "interferers": _kinds()}
    results["curves"] = _curves(size, kept)
    _say("theory")
    results["theory"] = kept.part("theory", _theory)
    results["alarms"] = {
        name: kept.part(
            f"alarms {name} {size} {own['false_alarms']}", functools.partial(_alarms, name, size)
        )
        for name in SOURCES
        if captures() or not name.endswith("real")
    }
    results["rates"] = {
        name: kept.part(
            f"rates {name} {size} {own['false_alarms']}", functools.partial(_rates, name, size)
        )
        for name in COUNTED
    }
    _say("peers")
    results["peers"] = kept.part(f"peers {size} {own['peers']}", functools.partial(_peers, size))
    results["clock"] = {}
    for channel in ("awgn", "D"):
        for ppm in (0.0, -20.0, -40.0, 40.0) if channel == "awgn" else (-40.0, 40.0):
            name = f"{channel}, {ppm:g} ppm"
            make = functools.partial(_clock, channel, ppm, size.long_frames)
            results["clock"][name] = kept.part(f"clock {name} {size} {own['clock']}", make)
    return results


def _alarms(name: str, size: Size) -> dict[str, Any]:
    _say(name)
    # What has to be made costs more than what is searched.
    share = 1.0 if name == "white noise" or "PSK, 10" in name else 0.125
    found = count_alarms(name, num_samples=int(share * size.alarm_samples), seed=1)
    return {**asdict(found), "high": found.interval()[1]}


def _rates(name: str, size: Size) -> list[dict[str, Any]]:
    _say(f"rates, {name}")
    counted = []
    for stated in (1e-7, 1e-6, 1e-5, 1e-4):
        samples = size.rate_samples * (3 if stated < 1e-6 else 1)
        found = count_alarms(name, num_samples=samples, seed=2, false_alarm_rate=stated)
        low, high = found.interval()
        rate = found.alarms / found.samples
        counted.append({"stated": stated, "rate": rate, "low": low, "high": high, **asdict(found)})
    return counted


def _peers(size: Size) -> dict[str, Any]:
    return compare_detectors(
        snrs_db=[-9.0, -8.0, -7.0, -6.0, -4.0, -2.0, 0.0],
        cfos_hz=[0.0, 50e3],
        rows=size.peer_rows,
        noise_samples=size.rate_samples,
        seed=5,
    )


def _clock(channel: str, ppm: float, frames: int) -> dict[str, Any]:
    found = long_frames(channel, sfo_ppm=ppm, frames=frames, seed=7)
    return {**asdict(found), "distance_db": found.distance_db() if channel == "awgn" else None}


def crossing_db(points: Sequence[dict[str, Any]], what: str, share: float) -> float:
    """Return the SNR at which a share is reached first, on a line between two points; NaN: none."""
    for before, after in itertools.pairwise(points):
        low, high = before[what][0], after[what][0]
        if low < share <= high:
            step = (share - low) / (high - low)
            return float(before["snr_db"] + step * (after["snr_db"] - before["snr_db"]))
    return float("nan")


def _percent(share: Sequence[float]) -> str:
    return f"{100 * share[0]:.1f} ({100 * share[1]:.1f}..{100 * share[2]:.1f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def tables(results: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    curves, theory = results["curves"], results["theory"]
    over_snr = [name for name in curves if name.startswith(("awgn", "TGn"))]
    lines = ["## Sync: SNR at which a share of frames is reached [dB]", ""]
    columns = [(w, s) for w in ("detected", "read") for s in (0.5, 0.9, 0.99)]
    rows = [
        [name, *(f"{crossing_db(curves[name], what, share):.1f}" for what, share in columns)]
        for name in over_snr
    ]
    for name in ("detection", "clairvoyant", "header"):
        points = [
            {"snr_db": snr, "share": (value,)}
            for snr, value in zip(theory["snrs_db"], theory[name], strict=True)
        ]
        cells = [f"{crossing_db(points, 'share', share):.1f}" for share in (0.5, 0.9, 0.99)]
        empty = ["-"] * 3
        rows.append([f"theory: {name}", *(empty + cells if name == "header" else cells + empty)])
    head = ["", *(f"{what} {100 * share:.0f} %" for what, share in columns)]
    lines += _table(head, rows)
    lines += ["## Sync: at one SNR, 95 % intervals", ""]
    rows = [
        [f"{name}, {point['snr_db']:g} dB", _percent(point["detected"]), _percent(point["read"]),
         _percent(point["timely"]), str(point["false"]), f"{point['cfo_mean_hz']:.0f}",
         f"{point['cfo_rms_hz']:.0f}"]
        for name in curves
        if not name.startswith("offsets") and "sir_db" not in curves[name][0]
        for point in curves[name]
        if point["snr_db"] in (-5.0, 0.0, 5.0, 10.0, 20.0)
    ]  # fmt: skip
    head = ["", "detected [%]", "header read [%]", "within a sample [%]", "false", "CFO bias [Hz]"]
    lines += _table([*head, "CFO RMS [Hz]"], rows)
    lines += ["## Sync: interferers at 15 dB SNR", ""]
    rows = [
        [f"{name}, SIR {point['sir_db']:g} dB", _percent(point["detected"]),
         _percent(point["read"]), str(point["false"])]
        for name in results["interferers"]
        for point in curves[name]
    ]  # fmt: skip
    lines += _table(["", "detected [%]", "header read [%]", "false"], rows)
    lines += ["## Sync: carrier offsets", ""]
    rows = [
        [f"{name[11:]}, {point['cfo_khz']:g} kHz", _percent(point["detected"]),
         _percent(point["read"]), str(point["false"])]
        for name in curves
        if name.startswith("offsets")
        for point in curves[name]
    ]  # fmt: skip
    lines += _table(["", "detected [%]", "header read [%]", "false"], rows)
    lines += [f"## Sync: false alarms at the default rate, {RATE:g}", ""]
    rows = [
        [name, f"{found['samples'] / 20e6:.1f}", str(found["alarms"]),
         f"{found['high'] * 20e6 * 3600:.0f}"]
        for name, found in results["alarms"].items()
    ]  # fmt: skip
    lines += _table(["", "seconds at 20 Msps", "alarms", "at most an hour (95 %)"], rows)
    lines += ["## Sync: false alarms at rates that can be counted", ""]
    rows = [
        [name, *(f"{point['rate']:.1e}" for point in counted)]
        for name, counted in results["rates"].items()
    ]
    lines += _table(["stated", "1e-7", "1e-6", "1e-5", "1e-4"], rows)
    lines += ["## Sync: the longest frame with a clock offset", ""]
    rows = [
        [name, f"{found['read']} of {found['frames']}", f"{found['errors']} of {found['symbols']}",
         "-" if found["distance_db"] is None else f"{found['distance_db']:.3f}",
         f"{found['worst_ppm']:.1f}"]
        for name, found in results["clock"].items()
    ]  # fmt: skip
    head = ["", "read", "symbol errors", "from theory [dB]", "worst error of the clock [ppm]"]
    return "\n".join([*lines, *_table(head, rows), *_peer_lines(results["peers"])])


def _peer_lines(peers: dict[str, Any]) -> list[str]:
    lines = ["## Sync: other detectors at about one false alarm in 1e6 samples", ""]
    rows = []
    for name, by_offset in peers["found"].items():
        for offset, counts in by_offset.items():
            points = [
                {"snr_db": snr, "share": (count / peers["rows"],)}
                for snr, count in zip(peers["snrs_db"], counts, strict=True)
            ]
            cells = [f"{crossing_db(points, 'share', share):.1f}" for share in (0.5, 0.9)]
            most = f"{100 * max(counts) / peers['rows']:.0f}"
            rows.append([f"{name}, {offset} kHz", str(peers["alarms"][name]), *cells, most])
    head = ["", f"alarms in {peers['noise_samples']:.0e}", "50 % [dB]", "90 % [dB]", "most [%]"]
    absent = [f"GNU Radio is absent: {peers['absent']}", ""] if peers["absent"] else []
    return [*lines, *_table(head, rows), *absent]


def run(size: Size | None = None) -> str:
    """Return the tables; write all figures and the pictures."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    results = study(size or Size(), FOLDER / "sync-parts.json")
    (FOLDER / "sync.json").write_text(json.dumps(_plain(results), indent=1) + "\n", "utf-8")
    draw_detection(results, FOLDER / "sync-detection.png")
    draw_robustness(results, FOLDER / "sync-robustness.png")
    return tables(results)


def _plain(value: Any) -> Any:
    """Return the value with NumPy's numbers as Python's, NaN as null."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
