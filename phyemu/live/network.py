"""A network of nodes as the channel of a live stream: several programs that hear one another."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ChannelModel, ChannelNetwork, load_channel
from phyemu.channel.network_settings import NetworkSettings
from phyemu.errors import ConfigError
from phyemu.live.schedule import check_rate

__all__ = ["LiveNetwork"]

Samples = NDArray[np.complex64]


class LiveNetwork:
    """Applies a network to the streams of its nodes, its latency taken out.

    The output is that of `phyemu emulate --network` on the same samples and seed.

    Attributes:
        name: What the statistics call it.
        latency_samples: So many samples the output is behind the input.
        transmitters: Nodes that samples are taken from.
        receivers: Nodes that samples go to.
    """

    def __init__(
        self,
        settings: NetworkSettings,
        *,
        transmitters: Iterable[str],
        receivers: Iterable[str],
        sample_rate_hz: float,
        symbol_rate_hz: float | Mapping[str, float],
        reference_power: float | Mapping[str, float],
        seed: int,
        interval_s: float = 1e-3,
        name: str = "network",
        load: Callable[[str], ChannelModel] = load_channel,
    ) -> None:
        """Draw every link between the nodes, and run it once, so that its kernels are compiled.

        Args:
            settings: The network.
            transmitters: Nodes that send; others are silent.
            receivers: Nodes whose samples are wanted.
            sample_rate_hz: Rate of all samples [Hz].
            symbol_rate_hz: Rate of the symbols that SNRs refer to, of all or by node [Hz].
            reference_power: Mean sample power that SNRs refer to, of all or by node, linear, full
                scale 1.
            seed: Everything random comes from it and the names.
            interval_s: Time between two updates of the gains [s].
            name: What the statistics call it.
            load: Returns the channel of a spec.

        Raises:
            ConfigError: A node has no link of that kind, or a setting is out of range.
        """
        self.name = name
        self.transmitters, self.receivers = tuple(transmitters), tuple(receivers)
        _check(self.transmitters, [link.transmitter for link in settings.links], "begins")
        _check(self.receivers, [link.receiver for link in settings.links], "ends")
        links: dict[tuple[str, str], ChannelModel] = {}
        gains_db: dict[tuple[str, str], float] = {}
        for link in settings.links:
            if link.transmitter in self.transmitters and link.receiver in self.receivers:
                pair = link.transmitter, link.receiver
                links[pair] = load(link.channel)
                gains_db[pair] = link.gain_db
                check_rate(links[pair], sample_rate_hz)
        for kind, given, place in (("sends", self.transmitters, 0), ("hears", self.receivers, 1)):
            for node in given:
                if all(pair[place] != node for pair in links):
                    other = "is given that hears it" if kind == "sends" else "given sends to it"
                    raise ConfigError(f"node {node} {kind}, but no node {other}; name one")
        nodes = {node for pair in links for node in pair if node in settings.nodes}
        draw = partial(
            ChannelNetwork,
            links,
            sample_rate_hz=sample_rate_hz,
            symbol_rate_hz=symbol_rate_hz,
            reference_power=reference_power,
            seed=seed,
            gains_db=gains_db,
            noise_dbfs={
                node: level
                for node in nodes
                if (level := settings.nodes[node].noise_dbfs) is not None and node in self.receivers
            },
            front_ends={node: settings.nodes[node].front_end for node in nodes},
            interval_s=interval_s,
        )
        draw().process({self.transmitters[0]: np.zeros(1, np.complex64)})
        self._network = draw()
        self._pairs = tuple(links)
        self.latency_samples = self._to_drop = self._network.latency_samples

    def process(self, sent: Mapping[str, Samples]) -> Mapping[str, Samples]:
        """Return what every receiver hears that these samples complete."""
        return self._trim(self._network.process(sent))

    def flush(self) -> Mapping[str, Samples]:
        """Return the samples that are still due."""
        return self._trim(self._network.flush())

    def heard_by(self, sink: str) -> Collection[str]:
        """Return the transmitters that a receiver hears."""
        return [sender for sender, receiver in self._pairs if receiver == sink]

    def _trim(self, heard: Mapping[str, Samples]) -> Mapping[str, Samples]:
        dropped = min(self._to_drop, len(next(iter(heard.values()))))
        self._to_drop -= dropped
        return {name: samples[dropped:] for name, samples in heard.items()}


def _check(given: Iterable[str], known: list[str], verb: str) -> None:
    given = list(given)
    if not given:
        raise ConfigError(
            f"a live network needs a node where a link {verb}; there are "
            f"{', '.join(dict.fromkeys(known))}"
        )
    for node in given:
        if node not in known:
            near = difflib.get_close_matches(node, known, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(set(known)))}"
            )
            raise ConfigError(f"no link {verb} at a node {node!r}; {hint}")
