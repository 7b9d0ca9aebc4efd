"""Colosseum's twin: N nodes, four taps on every link that switch each millisecond, no noise.

Everybody sends, everybody hears all others. One core, in CPU time; both others do the same sums by
hand, and are checked against ours before they are timed.
"""

import itertools
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import oaconvolve

from benchmarks.harness import Table, compare
from phyemu.channel import ChannelNetwork, ImpulseResponse
from phyemu.colosseum import MchemEmulator, Scenario

STEPS = 4
ROUNDS = 5
# A filter of 512 taps on each of 90 links takes minutes.
MOST_NODES_OF_FILTERS = 5


def run() -> list[Table]:
    """Return a table for each number of nodes and each sample rate."""
    torch.set_num_threads(1)
    rates_hz = (20e6, 100e6)
    return [table(nodes, rate_hz) for rate_hz in rates_hz for nodes in (2, 5, 10)]


def table(num_nodes: int, rate_hz: float) -> Table:
    """Return ours beside the same sums by hand."""
    scenario = fading(num_nodes, rate_hz)
    count = STEPS * round(rate_hz / 1000)
    generator = np.random.default_rng(2)
    sent = generator.standard_normal((num_nodes, count, 2)).astype(np.float32)
    iq = 0.1 * sent.view(np.complex64)[..., 0]
    twin = network(scenario, rate_hz)
    block = {str(node + 1): iq[node] for node in range(num_nodes)}
    candidates: dict[str, Callable[[], object]] = {
        "phyemu, the twin": lambda: twin.process(block),
        "NumPy, by hand": lambda: by_shifts(scenario, iq, rate_hz),
    }
    if num_nodes <= MOST_NODES_OF_FILTERS:
        candidates["SciPy oaconvolve, 512 taps"] = lambda: by_filters(scenario, iq, rate_hz)
    heard = network(scenario, rate_hz).process(block)
    expected = by_shifts(scenario, iq, rate_hz)
    for node in range(num_nodes):
        np.testing.assert_allclose(heard[str(node + 1)], expected[node], atol=1e-4)
    rows = compare(candidates, units=count, rounds=ROUNDS, clock=time.process_time)
    real_time = ", ".join(f"{row.name} {rate_hz / row.rate:.2f}" for row in rows)
    return Table(
        title=f"Colosseum's twin: {num_nodes} nodes, {num_nodes * (num_nodes - 1)} links at "
        f"{rate_hz / 1e6:g} Msps",
        unit="samples of every node",
        rows=rows,
        note=f"Times as long as real time on one core: {real_time}.",
    )


def fading(num_nodes: int, rate_hz: float) -> Scenario:
    """Return a scenario with four taps on every link, on whole samples of `rate_hz`."""
    generator = np.random.default_rng(1)
    grid_s = 1e-8 * round(100e6 / rate_hz)
    links = {}
    for pair in itertools.permutations(range(1, num_nodes + 1), 2):
        # None below the emulator's range of -43 dB, which the others know nothing of.
        phases = 2j * np.pi * generator.uniform(size=(STEPS, 4))
        gains = generator.uniform(0.02, 0.1, phases.shape) * np.exp(phases)
        delays_s = np.sort(generator.choice(100, 4, replace=False)) * grid_s
        links[pair] = ImpulseResponse(
            torch.from_numpy(gains.astype(np.complex64)),
            torch.from_numpy(delays_s),
            1e-3,
        )
    return Scenario(
        name="fading",
        description="four taps on every link",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        num_nodes=num_nodes,
        links=links,
    )


def network(scenario: Scenario, rate_hz: float) -> ChannelNetwork:
    """Return the twin of a scenario, without noise."""
    emulator = MchemEmulator.of_scenario(scenario, noise_dbfs=-np.inf)
    links = {(link.transmitter, link.receiver): link for link in emulator.network.links}
    return ChannelNetwork(
        {pair: emulator.load(link.channel) for pair, link in links.items()},
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz,
        reference_power=0.02,
        seed=1,
        gains_db={pair: link.gain_db for pair, link in links.items()},
        interval_s=emulator.interval_s,
    )


def by_shifts(
    scenario: Scenario, iq: NDArray[np.complex64], rate_hz: float
) -> NDArray[np.complex64]:
    """Return what every node hears: shifted, scaled, added, a millisecond at a time."""
    heard = np.zeros_like(iq)
    step = round(rate_hz / 1000)
    for (tx, rx), response in scenario.links.items():
        lags = np.round(response.delays_s.numpy() * rate_hz).astype(int)
        for index, gains in enumerate(response.gains.numpy()):
            begin, end = index * step, (index + 1) * step
            for lag, gain in zip(lags, gains, strict=True):
                first = max(begin, lag)  # silence before the first sample
                heard[rx - 1, first:end] += gain * iq[tx - 1, first - lag : end - lag]
    return heard


def by_filters(
    scenario: Scenario, iq: NDArray[np.complex64], rate_hz: float
) -> NDArray[np.complex64]:
    """Return the same by a filter of 512 taps a link and millisecond, overlapping and adding."""
    heard = np.zeros_like(iq)
    step = round(rate_hz / 1000)
    padded = np.pad(iq, ((0, 0), (511, 0)))
    for (tx, rx), response in scenario.links.items():
        lags = np.round(response.delays_s.numpy() * rate_hz).astype(int)
        for index, gains in enumerate(response.gains.numpy()):
            taps = np.zeros(512, np.complex64)
            taps[lags] = gains
            piece = padded[tx - 1, index * step : (index + 1) * step + 511]
            heard[rx - 1, index * step : (index + 1) * step] += oaconvolve(piece, taps, "valid")
    return heard
