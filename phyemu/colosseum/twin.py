"""Colosseum's channel emulator in software: every link of a scenario, summed at every receiver.

The twin is a `ChannelNetwork` whose nodes are "1" to "N" and whose links are `MchemChannel`s, so it
runs wherever a network does: over files, and over live streams.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from phyemu.channel import ChannelModel, ImpulseResponse, NoiseLevel
from phyemu.channel.network_settings import LinkSettings, NetworkSettings, NodeSettings
from phyemu.colosseum.mchem import MchemChannel, TapHardware
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ConfigError, ScenarioError
from phyemu.toml_config import from_table, read_toml

__all__ = ["MchemEmulator", "TwinRadios", "load_radios"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TwinRadios:
    """The radios of the nodes.

    Attributes:
        every: Radio of the nodes that `nodes` does not list; its `noise_dbfs` is the emulator's.
        nodes: Radios by the number of their node.
    """

    every: NodeSettings = field(default_factory=NodeSettings)
    nodes: dict[str, NodeSettings] = field(default_factory=dict)


_X310 = TwinRadios(
    every=NodeSettings(
        linewidth_hz=1.0,
        iq_gain_db=0.05,
        iq_phase_rad=0.005,
        dc_offset=10 ** (-50 / 20),
        clip_level=1.0,
        bits=14,
    )
)
"""A USRP X310 with UBX. The 14 bits are the data sheet's, the rest are our assumption of a
calibrated radio without LO offset: spike at -50 dBFS, image 46 dB down. Nothing was measured."""


def load_radios(name: str) -> TwinRadios:
    """Return "ideal" or "x310" radios, or those of a TOML file with [every] and [nodes.N].

    Raises:
        ConfigError: No such preset or file, an unknown key, or a value out of range.
    """
    presets = {"ideal": TwinRadios(), "x310": _X310}
    if name in presets:
        return presets[name]
    if not Path(name).is_file():
        raise ConfigError(f"{name}: radios are {', '.join(presets)}, or a TOML file")
    return from_table(TwinRadios, read_toml(Path(name)), where=name)


@dataclass(frozen=True, eq=False, slots=True)
class MchemEmulator:
    """The emulator set up with a scenario: a network, and the channels that its links name.

    Attributes:
        network: Its links and nodes; run it with `emulate_network(..., load=emulator.load)`.
        channels: The channel of each link, by the name that the network uses.
        left_out: Links whose every tap is below the emulator's range.
        interval_s: Time between two switches of the taps [s].
    """

    network: NetworkSettings
    channels: Mapping[str, MchemChannel]
    left_out: tuple[tuple[int, int], ...]
    interval_s: float

    @classmethod
    def of_scenario(
        cls,
        scenario: Scenario,
        *,
        base_loss_db: float = 0.0,
        noise_dbfs: float = -80.0,
        radios: TwinRadios | None = None,
        hardware: TapHardware | None = None,
    ) -> "MchemEmulator":
        """Set up the emulator.

        Args:
            scenario: What it plays.
            base_loss_db: Loss of every link on top of its taps [dB].
            noise_dbfs: Noise power of every receiver [dBFS]; -infinity: none.
            radios: Front ends of the nodes; None: ideal ones.
            hardware: What the filters do to the taps; None: what Colosseum's do.

        Raises:
            ScenarioError: The emulator cannot hold a link, or holds none.
            ConfigError: A setting is out of range, or names a node that is not there.
        """
        radios = radios or TwinRadios()
        names = [str(node) for node in range(1, scenario.num_nodes + 1)]
        for name in radios.nodes:
            if name not in names:
                raise ConfigError(
                    f"scenario {scenario.name} has the nodes 1..{scenario.num_nodes}, no {name!r}"
                )
        channels: dict[str, MchemChannel] = {}
        links, left_out = [], []
        hardware = hardware or TapHardware()
        # Both directions of a reciprocal link are one response.
        held: dict[int, ImpulseResponse | None] = {}
        for pair, response in sorted(scenario.links.items(), key=lambda item: item[0]):
            key = f"{pair[0]}>{pair[1]}"
            name = f"{scenario.name} {key}"
            if id(response) not in held:
                held[id(response)] = hardware.hold(response, name=name)
            taps = held[id(response)]
            if taps is None:
                left_out.append(pair)
                continue
            channel = MchemChannel(
                name=name,
                taps=taps,
                repeats=scenario.repeats,
                noise=NoiseLevel.of_snr_db(math.inf),
            )
            channels[key] = channel
            links.append(
                LinkSettings(
                    transmitter=str(pair[0]),
                    receiver=str(pair[1]),
                    channel=key,
                    gain_db=channel.gain_db - base_loss_db,
                )
            )
        if not links:
            raise ScenarioError(
                f"scenario {scenario.name}: the emulator can hold none of its links"
            )
        heard = {link.receiver for link in links}
        live = heard | {link.transmitter for link in links}
        nodes = {}
        for name in names:
            if name in live:
                radio = radios.nodes.get(name, radios.every)
                nodes[name] = _with_noise(radio, noise_dbfs if name in heard else None)
        return cls(
            NetworkSettings(links=tuple(links), nodes=nodes),
            channels,
            tuple(left_out),
            scenario.interval_s,
        )

    def check_sample_rate(self, sample_rate_hz: float) -> None:
        """Refuse a rate at which the taps could not switch on a sample.

        Raises:
            ConfigError: A step of the scenario is no whole number of samples.
        """
        samples = sample_rate_hz * self.interval_s
        if abs(samples - round(samples)) > 1e-6 * samples or round(samples) < 1:
            raise ConfigError(
                f"{samples:.2f} samples a step of {1e3 * self.interval_s:g} ms at "
                f"{sample_rate_hz / 1e6:g} MHz; the taps switch on samples: use a rate that is a "
                "multiple of 1 kHz"
            )

    def load(self, name: str) -> ChannelModel:
        """Return the channel of a link, as `emulate_network` asks for it."""
        return self.channels[name]


def _with_noise(radio: NodeSettings, noise_dbfs: float | None) -> NodeSettings:
    """Return the radio with the emulator's noise, unless it states its own."""
    if noise_dbfs is None or radio.noise_dbfs is not None:
        return radio if noise_dbfs is not None else replace(radio, noise_dbfs=None)
    return replace(radio, noise_dbfs=None if noise_dbfs == -math.inf else noise_dbfs)
