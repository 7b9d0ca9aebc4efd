"""What a sample costs against taps, links and duration: ours and the peers that can do it.

Writes bench/cost.png, the picture, and bench/cost.json, its points.
"""

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.by_hand import by_scipy, by_torch
from benchmarks.cost_figure import draw
from benchmarks.harness import Elapsed, compare
from benchmarks.peer_process import PeerAbsentError, PeerProcess, gnuradio, sionna
from benchmarks.peers.answer import peak_bytes
from benchmarks.results import FOLDER
from benchmarks.work import (
    DOPPLER_HZ,
    FRACTION,
    GAINS,
    LAGS,
    SAMPLE_RATE_HZ,
    SIGMA,
    UPDATE_SAMPLES,
    channel,
    drawn_gains,
    even_taps,
    noise_samples,
    stream,
)
from phyemu.channel import ChannelNetwork

__all__ = ["Panel", "run"]

ROUNDS = 3
TAPS = (1, 2, 4, 8, 16, 32, 64)
NODES = (1, 2, 4, 8)
TAPS_SAMPLES = 1_000_000
NODES_SAMPLES = 200_000
# Ours is fed as a stream comes; the array in one go and Sionna's one call end where memory does.
BLOCK = 1 << 18
OUR_DURATIONS = (10**5, 10**6, 10**7, 10**8, 10**9)
ARRAY_DURATIONS = (10**5, 10**6, 10**7, 10**8)
GNURADIO_DURATIONS = (10**5, 10**6, 10**7, 3 * 10**7)
SIONNA_DURATIONS = (10**4, 10**5, 10**6)
# Beyond, a run is not repeated.
LONG_SAMPLES = 10**7

OURS, FRACTIONAL = "phyemu, taps on the grid", "phyemu, fractional delays"
NETWORK = "phyemu ChannelNetwork"
TORCH, SCIPY = "torch by hand", "SciPy oaconvolve"
FIR, FADING, SIONNA = "GNU Radio static FIR", "GNU Radio fading", "Sionna ApplyTimeChannel"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Curves over one quantity.

    Attributes:
        title: What grows.
        x: Its name on the axis.
        y: Name and unit of the values.
        lines: Tool -> points (x, value), in the order of x.
    """

    title: str
    x: str
    y: str
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, name: str, x: float, value: float) -> None:
        """Add a point to a tool's line."""
        self.lines.setdefault(name, []).append((x, value))

    def markdown(self) -> str:
        """Return the points as a table, a line per tool."""
        places = sorted({x for points in self.lines.values() for x, _ in points})
        lines = [
            f"## {self.title}",
            "",
            f"| {self.y} | " + " | ".join(f"{x:.3g}" for x in places) + " |",
            "| --- |" + " ---: |" * len(places),
        ]
        for name, points in self.lines.items():
            by_place = dict(points)
            cells = (f"{by_place[x]:.3g}" if x in by_place else "-" for x in places)
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def run() -> list[str]:
    """Return the points as tables; draw them."""
    torch.set_num_threads(1)
    with ExitStack() as stack:
        peers, absent = {}, []
        for start in (gnuradio, sionna):
            try:
                peers[start.__name__] = stack.enter_context(start())
            except PeerAbsentError as exc:
                absent.append(f"* absent: {start.__name__}: {exc}")
        panels = [against_taps(peers), against_links(peers)]
    panels += against_duration()
    FOLDER.mkdir(exist_ok=True)
    draw(panels, FOLDER / "cost.png")
    points = json.dumps([asdict(panel) for panel in panels], indent=1)
    (FOLDER / "cost.json").write_text(points + "\n", encoding="utf-8")
    note = (
        f"CPU time of one core, medians of {ROUNDS} interleaved rounds; one run of what is longer "
        "than 10 M samples."
    )
    return [*(panel.markdown() for panel in panels), "\n".join([note, *absent]) + "\n"]


def add_points(
    panel: Panel,
    x: float,
    candidates: Mapping[str, tuple[float, Callable[[], object]]],
) -> None:
    """Time the candidates (samples of a call, call) at one place of a panel, in ns per sample."""
    rows = compare(
        {name: call for name, (_, call) in candidates.items()},
        units={name: count for name, (count, _) in candidates.items()},
        rounds=ROUNDS,
        clock=time.process_time,
    )
    for row in rows:
        panel.add(row.name, x, 1e9 / row.rate)


def peer_call(
    peers: Mapping[str, PeerProcess], tool: str, work: str, num_samples: int, **settings: object
) -> tuple[float, Callable[[], Elapsed]]:
    """Return samples and call of a peer's work."""
    return num_samples, peers[tool].candidate(work, num_samples=num_samples, **settings)


def against_taps(peers: Mapping[str, PeerProcess]) -> Panel:
    """Return the cost of a sample against the number of taps, 3 samples apart."""
    panel = Panel(title="Cost against taps", x="fading taps", y="ns per sample")
    iq = noise_samples(TAPS_SAMPLES)
    out = np.empty_like(iq)
    tensor, written = torch.from_numpy(iq), torch.from_numpy(out)
    for count in TAPS:
        lags, gains = even_taps(count)
        by_hand = {
            "lags": lags,
            "gains": drawn_gains(TAPS_SAMPLES // UPDATE_SAMPLES, gains),
            "update_samples": UPDATE_SAMPLES,
            "sigma": SIGMA,
        }
        grid = stream(channel(lags, gains))
        between = stream(channel(lags, gains, fraction=FRACTION))
        candidates: dict[str, tuple[float, Callable[[], object]]] = {
            OURS: (TAPS_SAMPLES, in_blocks(grid.process, iq)),
            FRACTIONAL: (TAPS_SAMPLES, in_blocks(between.process, iq)),
            TORCH: (TAPS_SAMPLES, lambda s=by_hand: by_torch(tensor, written, **s)),
            SCIPY: (TAPS_SAMPLES, lambda s=by_hand: by_scipy(iq, out, **s)),
        }
        taps = {"lags": lags, "gains": gains, "sigma": SIGMA}
        if "gnuradio" in peers:
            rate = DOPPLER_HZ / SAMPLE_RATE_HZ
            candidates[FIR] = peer_call(peers, "gnuradio", "channel_model", 500_000, **taps)
            candidates[FADING] = peer_call(
                peers,
                "gnuradio",
                "selective_fading",
                max(60_000, 200_000 // count),
                **taps,
                doppler_rate=rate,
            )
        if "sionna" in peers:
            candidates[SIONNA] = peer_call(
                peers, "sionna", "apply", 20_000, **taps, update_samples=UPDATE_SAMPLES
            )
        add_points(panel, count, candidates)
    return panel


def against_links(peers: Mapping[str, PeerProcess]) -> Panel:
    """Return the cost of a sample time against the number of links, all nodes to all."""
    panel = Panel(
        title="Cost against nodes",
        x="links: n senders to n receivers",
        y="ns per sample, all links",
    )
    iq = noise_samples(NODES_SAMPLES)
    tensor, written = torch.from_numpy(iq), torch.from_numpy(np.empty_like(iq))
    for count in NODES:
        names = [f"n{index}" for index in range(count)]
        network = ChannelNetwork(
            {(f"t{a}", f"r{b}"): channel() for a in names for b in names},
            sample_rate_hz=SAMPLE_RATE_HZ,
            symbol_rate_hz=SAMPLE_RATE_HZ,
            reference_power=1.0,
            seed=1,
            interval_s=UPDATE_SAMPLES / SAMPLE_RATE_HZ,
        )
        sent = {f"t{name}": iq for name in names}

        # For each receiver the noise once, and the taps of all senders on top.
        by_hand = {
            "lags": LAGS * count,
            "gains": drawn_gains(NODES_SAMPLES // UPDATE_SAMPLES, GAINS * count),
            "update_samples": UPDATE_SAMPLES,
            "sigma": SIGMA,
        }

        def all_links(count: int = count, settings: dict[str, Any] = by_hand) -> None:
            for _ in range(count):
                by_torch(tensor, written, **settings)

        candidates: dict[str, tuple[float, Callable[[], object]]] = {
            NETWORK: (NODES_SAMPLES, lambda n=network, s=sent: n.process(s)),
            TORCH: (NODES_SAMPLES, all_links),
        }
        if "sionna" in peers:
            candidates[SIONNA] = peer_call(
                peers,
                "sionna",
                "apply",
                20_000,
                lags=LAGS,
                gains=GAINS,
                sigma=SIGMA,
                update_samples=UPDATE_SAMPLES,
                num_nodes=count,
            )
        add_points(panel, count**2, candidates)
    return panel


def against_duration() -> list[Panel]:
    """Return cost and peak memory against the number of samples; each in a fresh process."""
    cost = Panel(title="Cost against duration", x="samples", y="ns per sample")
    memory = Panel(title="Memory against duration", x="samples", y="peak memory [MiB]")

    def add(name: str, num_samples: int, cpu_s: float, peak_bytes: float) -> None:
        cost.add(name, num_samples, 1e9 * cpu_s / num_samples)
        memory.add(name, num_samples, peak_bytes / 2**20)

    context = multiprocessing.get_context("spawn")
    for name, work, durations in (
        (OURS, streamed, OUR_DURATIONS),
        (TORCH, in_one_array, ARRAY_DURATIONS),
    ):
        for num_samples in durations:
            with context.Pool(1) as pool:
                add(name, num_samples, *pool.apply(work, (num_samples,)))
    taps = {"lags": LAGS, "gains": GAINS, "sigma": SIGMA}
    for name, start, work, settings, durations in (
        (FIR, gnuradio, "channel_model", taps, GNURADIO_DURATIONS),
        (SIONNA, sionna, "apply", {**taps, "update_samples": UPDATE_SAMPLES}, SIONNA_DURATIONS),
    ):
        for num_samples in durations:
            try:
                with start() as peer:
                    repeats = 1 if num_samples > LONG_SAMPLES else ROUNDS
                    runs = [
                        peer.measure(work, num_samples=num_samples, **settings)
                        for _ in range(repeats)
                    ]
            except PeerAbsentError:
                break
            cpu_s = statistics.median(run["cpu_s"] for run in runs)
            add(name, num_samples, cpu_s, runs[-1]["peak_bytes"])
    return [cost, memory]


def streamed(num_samples: int) -> tuple[float, float]:
    """Return CPU seconds and peak bytes of our stream of so many samples."""
    block = noise_samples(min(BLOCK, num_samples))
    executor = stream(channel())

    def work() -> None:
        for done in range(0, num_samples, len(block)):
            executor.process(block[: num_samples - done])

    return _median_s(work, num_samples), peak_bytes()


def in_one_array(num_samples: int) -> tuple[float, float]:
    """Return CPU seconds and peak bytes of torch on an array of so many samples."""
    torch.set_num_threads(1)
    block = torch.from_numpy(noise_samples(min(BLOCK, num_samples)))
    iq = torch.empty(num_samples, dtype=torch.complex64)
    for done in range(0, num_samples, len(block)):
        iq[done : done + len(block)] = block[: num_samples - done]
    out = torch.zeros_like(iq)
    gains = drawn_gains(num_samples // UPDATE_SAMPLES)

    def work() -> None:
        by_torch(iq, out, lags=LAGS, gains=gains, update_samples=UPDATE_SAMPLES, sigma=SIGMA)

    return _median_s(work, num_samples), peak_bytes()


def in_blocks(process: Callable[[np.ndarray], object], iq: np.ndarray) -> Callable[[], None]:
    """Return a call that feeds the samples block by block."""

    def work() -> None:
        for begin in range(0, len(iq), BLOCK):
            process(iq[begin : begin + BLOCK])

    return work


def _median_s(work: Callable[[], None], num_samples: int) -> float:
    """Return the CPU seconds of a run: one if it is long, else the median of several."""
    long = num_samples > LONG_SAMPLES
    if not long:
        work()
    taken = []
    for _ in range(1 if long else ROUNDS):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return statistics.median(taken)
