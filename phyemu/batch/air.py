"""The air of a rehearsal: the emulator's twin, live between the sockets of all nodes.

`phyemu.batch.air_process` runs it as a process of its own.
"""

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from phyemu.batch.air_ends import AirSink, AirSource
from phyemu.colosseum import MchemEmulator, load_radios, load_scenario
from phyemu.errors import ConfigError
from phyemu.live import LiveNetwork, LiveStatistics, run_live_network

__all__ = ["Air", "AirSettings", "AirStatistics"]

Samples = NDArray[np.complex64]

# Silence is made in blocks of this length [s].
_BLOCK_S = 5e-3
_MIN_BLOCK_SAMPLES = 1 << 10
_MAX_BLOCK_SAMPLES = 1 << 17
# How often it says how far it is [s].
_REPORT_S = 0.1
# Stands for a node where nobody transmits, or nobody listens: silence, and the pace.
_NOBODY = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AirSettings:
    """What is between the nodes.

    Attributes:
        scenario: File of the scenario.
        sample_rate_hz: Rate of all radios [Hz].
        transmitters: Nodes that may transmit.
        receivers: Nodes that may listen.
        seed: Everything random comes from it.
        noise_dbfs: Noise power of every receiver [dBFS]; minus infinity: none.
        radios: Front ends, as for `load_radios`.
        patience_s: Time after which the air waits no longer for a node that brings or takes nothing
            [s]; half of that after which a node's worker calls its radio stalled.
    """

    scenario: str
    sample_rate_hz: float
    transmitters: tuple[int, ...]
    receivers: tuple[int, ...]
    seed: int = 0
    noise_dbfs: float = -80.0
    radios: str = "ideal"
    patience_s: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what no air could have."""
        for name in ("sample_rate_hz", "patience_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} must be positive and finite, got {value}")
        if math.isnan(self.noise_dbfs) or self.noise_dbfs == math.inf:
            raise ConfigError(f"noise_dbfs must be a number or -inf, got {self.noise_dbfs}")


@dataclass(frozen=True, kw_only=True, slots=True)
class AirStatistics:
    """How a scenario went, or goes.

    Attributes:
        position_s: Time of the scenario so far [s].
        elapsed_s: Time that took [s].
        sent: Samples that each transmitter sent.
        taken: Samples that each receiver took.
        unheard: Samples that nobody listened to, by receiver.
        lost: Samples that a receiver lost because it took nothing for too long.
        hung: How often a transmitter held a burst open and brought nothing for too long.
    """

    position_s: float
    elapsed_s: float
    sent: dict[str, int]
    taken: dict[str, int]
    unheard: dict[str, int]
    lost: dict[str, int]
    hung: dict[str, int]

    @property
    def real_time_ratio(self) -> float:
        """Return scenario time by time passed: 1 in real time, less if slower."""
        return self.position_s / self.elapsed_s if self.elapsed_s > 0 else 0.0


class Air:
    """The sockets of all nodes, and the emulator between them. Samples flow while `play` runs."""

    def __init__(self, settings: AirSettings) -> None:
        """Open the sockets, and run the emulator once, so that its kernels are compiled.

        Raises:
            PhyemuError: The scenario cannot be read or emulated, lacks a node, or pyzmq is missing.
        """
        self.settings = settings
        scenario = load_scenario(Path(settings.scenario))
        for node in (*settings.transmitters, *settings.receivers):
            if not 1 <= node <= scenario.num_nodes:
                raise ConfigError(
                    f"scenario {scenario.name} has the nodes 1..{scenario.num_nodes}, not {node}"
                )
        self._emulator = MchemEmulator.of_scenario(
            scenario, noise_dbfs=settings.noise_dbfs, radios=load_radios(settings.radios)
        )
        self._prepared: _AirNetwork | None = self._network()
        self._ended = threading.Event()
        block = round(_BLOCK_S * settings.sample_rate_hz)
        block = min(_MAX_BLOCK_SAMPLES, max(_MIN_BLOCK_SAMPLES, block))
        patience_s = settings.patience_s
        self.sources: dict[str, AirSource] = {}
        self.sinks: dict[str, AirSink] = {}
        try:
            for name in _names(settings.transmitters):
                self.sources[name] = AirSource(
                    block_samples=block,
                    patience_s=patience_s,
                    ended=self._ended,
                    is_there=name != _NOBODY,
                )
            for name in _names(settings.receivers):
                self.sinks[name] = AirSink(
                    patience_s=patience_s, ended=self._ended, is_there=name != _NOBODY
                )
        except BaseException:
            self.close()
            raise

    def ports(self) -> dict[str, dict[str, int]]:
        """Return the ports that nodes send and listen to, by direction and node."""
        return {
            "send": {name: end.port for name, end in self.sources.items() if end.port},
            "receive": {name: end.port for name, end in self.sinks.items() if end.port},
        }

    def play(self, report: Callable[[AirStatistics], None] | None = None) -> AirStatistics:
        """Play the scenario from its start until `end` is called, and return how it went.

        It runs in real time, or slower where the machine or a node does.

        Args:
            report: Called ten times a second with how it goes.

        Raises:
            PhyemuError: The emulator failed.
        """
        network, self._prepared = self._prepared or self._network(), None
        began_s = time.monotonic()
        before = self._counts()

        def note(statistics: Mapping[str, LiveStatistics]) -> None:
            if report is not None:
                report(self._statistics(statistics, began_s, before))

        statistics = run_live_network(
            self.sources,
            network,
            self.sinks,
            sample_rate_hz=self.settings.sample_rate_hz,
            reference_power=1.0,
            pace=True,
            report=note,
            report_interval_s=_REPORT_S,
        )
        self._ended.clear()
        return self._statistics(statistics, began_s, before)

    def end(self) -> None:
        """Let `play` come to its end; may be called from another thread."""
        self._ended.set()

    def close(self) -> None:
        """Close the sockets."""
        for source in self.sources.values():
            source.close()
        for sink in self.sinks.values():
            sink.close()

    def _network(self) -> "_AirNetwork":
        return _AirNetwork(self._emulator, self.settings)

    def _counts(self) -> dict[str, dict[str, int]]:
        sources = {name: end for name, end in self.sources.items() if name != _NOBODY}
        sinks = {name: end for name, end in self.sinks.items() if name != _NOBODY}
        return {
            "sent": {name: end.num_heard for name, end in sources.items()},
            "taken": {name: end.num_taken for name, end in sinks.items()},
            "unheard": {name: end.num_unheard for name, end in sinks.items()},
            "lost": {name: end.num_lost for name, end in sinks.items()},
            "hung": {name: end.num_hung for name, end in sources.items()},
        }

    def _statistics(
        self,
        statistics: Mapping[str, LiveStatistics],
        began_s: float,
        before: Mapping[str, Mapping[str, int]],
    ) -> AirStatistics:
        num_samples = min(statistics[name].num_sent for name in self.sinks)
        counts = {
            what: {name: count - before[what][name] for name, count in by_node.items()}
            for what, by_node in self._counts().items()
        }
        return AirStatistics(
            position_s=num_samples / self.settings.sample_rate_hz,
            elapsed_s=time.monotonic() - began_s,
            **counts,
        )


def _names(nodes: tuple[int, ...]) -> list[str]:
    return [str(node) for node in nodes] or [_NOBODY]


class _AirNetwork:
    """The twin between the transmitters and receivers; whoever hears nobody hears its own noise."""

    def __init__(self, emulator: MchemEmulator, settings: AirSettings) -> None:
        transmitters = [str(node) for node in settings.transmitters]
        receivers = _names(settings.receivers)
        pairs = [
            (link.transmitter, link.receiver)
            for link in emulator.network.links
            if link.transmitter in transmitters and link.receiver in receivers
        ]
        heard = [node for node in transmitters if any(node == sender for sender, _ in pairs)]
        hearing = [node for node in receivers if any(node == hearer for _, hearer in pairs)]
        self.name = "twin"
        self._network = (
            LiveNetwork(
                emulator.network,
                transmitters=heard,
                receivers=hearing,
                sample_rate_hz=settings.sample_rate_hz,
                # Noise is the receivers'; no link has an SNR that these could refer to.
                symbol_rate_hz=settings.sample_rate_hz,
                reference_power=1.0,
                seed=settings.seed,
                interval_s=emulator.interval_s,
                load=emulator.load,
            )
            if pairs
            else None
        )
        self._heard = heard
        self._deaf = [node for node in receivers if node not in hearing]
        self._noise = np.random.default_rng(settings.seed)
        self._noise_amplitude = 10 ** (settings.noise_dbfs / 20) / math.sqrt(2)
        self.latency_samples = 0 if self._network is None else self._network.latency_samples

    def process(self, sent: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """Return what every receiver hears."""
        count = len(next(iter(sent.values())))
        noise = {node: self._noise_of(count) for node in self._deaf}
        if self._network is None:
            return noise
        return noise | dict(self._network.process({node: sent[node] for node in self._heard}))

    def flush(self) -> Mapping[str, Samples]:
        """Return what is still due."""
        nothing = {node: np.zeros(0, np.complex64) for node in self._deaf}
        return nothing if self._network is None else nothing | dict(self._network.flush())

    def heard_by(self, sink: str) -> Collection[str]:
        """Return nobody: a gap in what is sent has no place among the samples."""
        return ()

    def _noise_of(self, count: int) -> Samples:
        parts = self._noise.standard_normal(2 * count, np.float32)
        return (parts * np.float32(self._noise_amplitude)).view(np.complex64)
