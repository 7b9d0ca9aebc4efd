"""`phyemu capture` and `replay` beside the tools that come with UHD, on UHD's device simulator.

Processor time is that of the process while its stream runs: loading (PyTorch, the FPGA's
description) does not count. The simulator holds its samples back while the host is busy,
and has a limit of its own, so what is compared is how fast a stream became, not how it overflowed.
"""

import importlib.util
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.harness import Row, Table
from phyemu.iq import write_recording

TOOLS = [Path(folder) for folder in ("/usr/libexec/uhd/examples", "/usr/lib/uhd/examples")]
SIMULATOR = Path(__file__).parents[1] / "tests" / "radio" / "uhd_simulator" / "running.py"
PHYEMU = [sys.executable, "-c", "from phyemu_cli.main import main; main()"]
RATES_HZ = (4e6, 10e6)
DURATION_S = 2.0
TRANSMIT_SAMPLES = 12_000_000
ROUNDS = 2
OURS, THEIRS = "phyemu", "UHD's tool"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run: processor time [s/sample], rate of the stream [samples/s], gaps in it."""

    cost_s: float
    rate_hz: float
    gaps: int = 0


def simulator_module() -> ModuleType:
    """Return the module of the tests that runs the simulator."""
    spec = importlib.util.spec_from_file_location("benchmarks_uhd_simulator", SIMULATOR)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{SIMULATOR} is not there")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def watch(command: Sequence[str], progress: Callable[[], float]) -> tuple[float, float]:
    """Run a command; return its progress, and its processor time for that [s].

    Both from the first look at which there was progress to the last one, 20 looks a second.
    """
    looks: list[tuple[float, float]] = []
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        stat = Path(f"/proc/{process.pid}/stat")
        while process.poll() is None:
            user, system = stat.read_text().rpartition(")")[2].split()[11:13]
            cpu_s = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
            now = progress()
            if now > 0 and (not looks or now > looks[-1][0]):
                looks.append((now, cpu_s))
            time.sleep(0.05)
        if process.returncode or len(looks) < 2:
            said.seek(0)
            raise RuntimeError(f"{command[0]} failed: {said.read()[-500:]}")
    return looks[-1][0] - looks[0][0], looks[-1][1] - looks[0][1]


def run() -> list[Table | str]:
    """Return the tables of both directions, or why there are none."""
    module = simulator_module()
    tools = next((folder for folder in TOOLS if (folder / "rx_samples_to_file").exists()), None)
    missing = module.missing_packages()
    if missing or tools is None:
        return [f"## Capture\n\nabsent: {missing or 'no rx_samples_to_file (uhd-host)'}\n"]
    with (
        tempfile.TemporaryDirectory() as name,
        module.running_simulator(Path(name)) as simulator,
    ):
        folder = Path(name)
        return [*receive(simulator, tools, folder), transmit(simulator, tools, folder)]


def receive(simulator: Any, tools: Path, folder: Path) -> list[Table | str]:
    """Capture at several rates with both."""
    simulator.wire({"class": "CountingSource"}, {"class": "LoopSink"})
    out = folder / "received"
    out.mkdir()

    def written() -> float:
        return sum(file.stat().st_size for file in out.iterdir()) / 4

    def capture(name: str, rate_hz: float) -> Measured:
        for file in out.iterdir():
            file.unlink()
        num_samples = round(rate_hz * DURATION_S)
        if name == OURS:
            command = [
                *(*PHYEMU, "capture", "--usrp", simulator.args, "--rate", f"{rate_hz:.0f}"),
                *("--freq", "2.4G", "--gain", "30", "--samples", str(num_samples), "--quiet"),
                *("-o", str(out / "rx.sigmf-meta")),
            ]
            file = out / "rx.sigmf-data"
        else:
            file = out / "rx.dat"
            command = [
                *(str(tools / "rx_samples_to_file"), "--args", simulator.args, "--setup", "0.1"),
                *("--rate", f"{rate_hz:.0f}", "--freq", "2.4e9", "--gain", "30"),
                *("--nsamps", str(num_samples), "--file", str(file)),
            ]
        num_written, cpu_s = watch(command, written)
        numbers = np.fromfile(file, np.uint32)
        gaps = int(np.count_nonzero(np.diff(numbers) != 1))
        *_, reached = re.findall(r"stream ended: \d+ samples, (\d+) samples/s", simulator.log())
        return Measured(cost_s=cpu_s / num_written, rate_hz=float(reached), gaps=gaps)

    runs = _interleaved(capture, RATES_HZ)
    lines = [
        "## Capture: what the simulator's stream became",
        "",
        "| offered [Msps] | phyemu [Msps] | UHD's tool [Msps] | gaps, both "
        "| phyemu [CPU s/Gsample] | UHD's tool [CPU s/Gsample] |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rate in RATES_HZ:
        ours, theirs = runs[OURS, rate], runs[THEIRS, rate]
        gaps = sum(run.gaps for run in (*ours, *theirs))
        cells = [f"{rate / 1e6:g}"]
        cells += [
            f"{_median(ours, 'rate_hz') / 1e6:.2f}",
            f"{_median(theirs, 'rate_hz') / 1e6:.2f}",
        ]
        cells += [f"{gaps}", f"{_cost(ours):.0f}", f"{_cost(theirs):.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    slowest = RATES_HZ[0]
    table = _table(
        f"Capture from the simulated USRP at {slowest / 1e6:g} Msps, per processor second",
        runs[OURS, slowest],
        runs[THEIRS, slowest],
        "rx_samples_to_file",
    )
    return [table, "\n".join(lines) + "\n"]


def transmit(simulator: Any, tools: Path, folder: Path) -> Table:
    """Send a file with both, as fast as the simulator takes it."""
    parts = np.random.default_rng(1).integers(-9000, 9000, (TRANSMIT_SAMPLES, 2), dtype=np.int16)
    timing = folder / "burst.txt"
    iq = (parts / np.float32(32768)).view(np.complex64)[:, 0]
    ours = write_recording(folder / "tx", iq, sample_rate_hz=RATES_HZ[0], datatype="ci16_le")
    raw = folder / "tx.dat"
    parts.tofile(raw)

    def taken() -> float:
        return len(timing.read_text().splitlines()) if timing.exists() else 0.0

    def send(name: str, rate_hz: float) -> Measured:
        timing.unlink(missing_ok=True)
        simulator.wire({"class": "LoopSource"}, {"class": "TimingSink", "file": str(timing)})
        command = [
            *(str(tools / "tx_samples_from_file"), "--args", simulator.args, "--file", str(raw)),
            *("--rate", f"{rate_hz:.0f}", "--freq", "2.4e9", "--gain", "10"),
        ]
        if name == OURS:
            command = [
                *(*PHYEMU, "replay", str(ours), "--usrp", simulator.args, "--freq", "2.4G"),
                *("--gain", "10", "--quiet"),
            ]
        _, cpu_s = watch(command, taken)
        (_, begun), (count, ended) = (line.split() for line in timing.read_text().splitlines())
        return Measured(
            cost_s=cpu_s / int(count), rate_hz=int(count) / (float(ended) - float(begun))
        )

    runs = _interleaved(send, RATES_HZ[:1])
    ours_runs, theirs_runs = runs[OURS, RATES_HZ[0]], runs[THEIRS, RATES_HZ[0]]
    table = _table(
        "Transmit to the simulated USRP, per processor second",
        ours_runs,
        theirs_runs,
        "tx_samples_from_file",
    )
    note = (
        f"{table.note} The simulator, which takes samples unpaced, took "
        f"{_median(ours_runs, 'rate_hz') / 1e6:.1f} Msps from phyemu and "
        f"{_median(theirs_runs, 'rate_hz') / 1e6:.1f} from UHD's tool."
    )
    return Table(title=table.title, unit=table.unit, rows=table.rows, note=note)


def _interleaved(
    work: Callable[[str, float], Measured], rates_hz: Sequence[float]
) -> dict[tuple[str, float], list[Measured]]:
    """Return the runs of both at each rate; they take turns."""
    runs: dict[tuple[str, float], list[Measured]] = {}
    for _ in range(ROUNDS):
        for rate_hz in rates_hz:
            for name in (OURS, THEIRS):
                runs.setdefault((name, rate_hz), []).append(work(name, rate_hz))
    return runs


def _median(runs: Sequence[Measured], field: str) -> float:
    return statistics.median(getattr(run, field) for run in runs)


def _cost(runs: Sequence[Measured]) -> float:
    """Return processor seconds per billion samples."""
    return 1e9 * _median(runs, "cost_s")


def _table(title: str, ours: Sequence[Measured], theirs: Sequence[Measured], name: str) -> Table:
    rows = []
    for label, runs in ((OURS, ours), (name, theirs)):
        costs = [run.cost_s for run in runs]
        first = [run.cost_s for run in ours]
        rows.append(
            Row(
                name=label,
                rate=1 / statistics.median(costs),
                ratio=statistics.median(c / f for c, f in zip(costs, first, strict=True)),
                spread=(max(costs) - min(costs)) / statistics.median(costs),
            )
        )
    note = f"{ROUNDS} rounds in turns; processor time of the process while the stream ran."
    return Table(title=title, unit="samples", rows=rows, note=note)
