"""A network as a TOML file describes it: links with their channels, nodes with their radios."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

from phyemu.channel.distribution import Distribution
from phyemu.channel.impairments import FrontEnd
from phyemu.errors import ConfigError
from phyemu.toml_config import from_table, read_toml

__all__ = ["LinkSettings", "NetworkSettings", "NodeSettings", "read_network"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkSettings:
    """A link.

    Attributes:
        transmitter: Name of the node that sends.
        receiver: Name of the node that hears it.
        channel: What `load_channel` takes: a spec, a file, a shipped name.
        gain_db: More or less gain than the channel's [dB].
    """

    transmitter: str
    receiver: str
    channel: str
    gain_db: float = 0.0

    def __post_init__(self) -> None:
        """Refuse names that could not stand in the name of a file or in NAME=RECORDING."""
        for name in (self.transmitter, self.receiver):
            if not re.fullmatch(r"[^\s/\\={}]+", name) or name.strip(".") == "":
                raise ConfigError(
                    f"{name!r} is no name of a node: it must not be empty, nor hold spaces, "
                    "slashes, braces or '='"
                )


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeSettings:
    """A node's radio; what is left out is ideal.

    Attributes:
        noise_dbfs: Noise power of its receiver [dBFS]; without it, its first link says.
        cfo_hz: Carrier frequency offset of its oscillator [Hz].
        sfo_ppm: Sampling clock offset [ppm].
        linewidth_hz: Linewidth of its phase noise [Hz].
        center_frequency_hz: When given, carrier and clock come from one oscillator.
        iq_gain_db: IQ gain imbalance of its receiver [dB].
        iq_phase_rad: IQ phase imbalance [rad].
        dc_offset: Magnitude of the DC offset, full scale 1.
        clip_level: Clipping level of I and Q, full scale 1.
        bits: Quantiser resolution; 0: none.
    """

    noise_dbfs: float | None = None
    cfo_hz: float = 0.0
    sfo_ppm: float = 0.0
    linewidth_hz: float = 0.0
    center_frequency_hz: float | None = None
    iq_gain_db: float = 0.0
    iq_phase_rad: float = 0.0
    dc_offset: float = 0.0
    clip_level: float = math.inf
    bits: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no radio."""
        _ = self.front_end

    @property
    def front_end(self) -> FrontEnd:
        """Return the radio's impairments."""
        return FrontEnd(
            cfo_hz=Distribution.constant(self.cfo_hz),
            sfo_ppm=Distribution.constant(self.sfo_ppm),
            linewidth_hz=Distribution.constant(self.linewidth_hz),
            iq_gain_db=Distribution.constant(self.iq_gain_db),
            iq_phase_rad=Distribution.constant(self.iq_phase_rad),
            dc_offset=Distribution.constant(self.dc_offset),
            clip_level=self.clip_level,
            bits=self.bits,
            center_frequency_hz=self.center_frequency_hz,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkSettings:
    """Links and nodes.

    Attributes:
        links: At least one; a pair of nodes has one at most.
        nodes: Radios by name; a node that is not listed is ideal.
    """

    links: tuple[LinkSettings, ...]
    nodes: dict[str, NodeSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse no links, a link twice, and radios of nodes that no link names."""
        if not self.links:
            raise ConfigError("a network needs at least one [[links]]")
        pairs = [(link.transmitter, link.receiver) for link in self.links]
        for pair in pairs:
            if pairs.count(pair) > 1:
                raise ConfigError(f"the link {pair[0]} to {pair[1]} is there twice; keep one")
        for name in self.nodes:
            if not any(name in pair for pair in pairs):
                raise ConfigError(f"no link names the node {name!r}; remove [nodes.{name}]")
        for name, node in self.nodes.items():
            if node.noise_dbfs is not None and all(name != receiver for _, receiver in pairs):
                raise ConfigError(f"node {name!r} hears nobody; remove its noise_dbfs")


def read_network(path: Path) -> NetworkSettings:
    """Return the network that a TOML file describes.

    Raises:
        ConfigError: The file is missing or no TOML, has an unknown key (the near match is named),
            or describes no network.
    """
    return from_table(NetworkSettings, read_toml(path), where=str(path))
