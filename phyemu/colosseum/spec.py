"""Scenarios as a user types them: one link as a channel, the whole as a network."""

import math
import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from phyemu.channel import ChannelModel, load_channel
from phyemu.channel.network_settings import NetworkSettings, read_network
from phyemu.colosseum.files import load_scenario
from phyemu.colosseum.mchem import MchemChannel
from phyemu.colosseum.scenario import Scenario
from phyemu.colosseum.twin import MchemEmulator
from phyemu.errors import ConfigError
from phyemu.library import find_in_library

__all__ = ["load_channel_or_link", "load_link_with_budget", "network_of_spec", "parse_link"]

_PREFIX = "scenario:"
_LINK_FORM = "scenario:NAME:TX-RX or scenario:NAME:TX-RX:SNR_DB, as in scenario:90002:1-2:20"
_NETWORK_FORM = "scenario:NAME or scenario:NAME:NOISE_DBFS, as in scenario:90002:-60"


def load_channel_or_link(spec: str) -> ChannelModel:
    """Return the channel of a spec: a link of a scenario, or what `load_channel` takes.

    Args:
        spec: scenario:NAME:TX-RX[:SNR_DB] with a shipped scenario or a .json file (`MchemChannel`;
            without the SNR no noise), alone or in a mixture; or another.

    Raises:
        ConfigError: No such form or scenario.
        ScenarioError: It has no such link, or the emulator cannot hold it.
    """
    return load_channel(spec, load_scenario=_load_link)


def _load_link(spec: str) -> MchemChannel:
    name, words = _parts(spec)
    if len(words) not in (1, 2):
        raise ConfigError(f"{spec}: write {_LINK_FORM}")
    link = parse_link(words[0])
    snr_db = _number(words[1]) if len(words) == 2 else math.inf
    if snr_db is None or snr_db == -math.inf:
        raise ConfigError(f"{spec}: the SNR is a number of dB; write {_LINK_FORM}")
    return MchemChannel.of_link(_scenario(name), link, snr_db=snr_db)


def load_link_with_budget(
    spec: str, *, transmit_power_dbm: float, noise_figure_db: float
) -> MchemChannel:
    """Return a link of a scenario with the noise of a link budget.

    Args:
        spec: scenario:NAME:TX-RX; its path loss is that of its taps without the constant gain.
        transmit_power_dbm: Power of the transmitter [dBm].
        noise_figure_db: Of the receiver [dB], at 290 K.

    Raises:
        ConfigError: It is no link of a scenario, states an SNR itself, or a number is not finite.
        ScenarioError: The scenario has no such link, or the emulator cannot hold it.
    """
    if not spec.strip().startswith(_PREFIX):
        raise ConfigError(f"{spec}: only a link of a scenario has a path loss; write {_LINK_FORM}")
    name, words = _parts(spec)
    if len(words) != 1:
        raise ConfigError(f"{spec}: a transmit power and an SNR exclude each other")
    scenario = _scenario(name)
    channel = MchemChannel.of_link(scenario, parse_link(words[0]))
    return channel.with_budget(
        transmit_power_dbm,
        noise_figure_db=noise_figure_db,
        constant_gain_db=scenario.constant_gain_db,
    )


def _parts(spec: str) -> tuple[str, list[str]]:
    name, *words = spec.strip().removeprefix(_PREFIX).split(":")
    return name, words


def parse_link(text: str) -> tuple[int, int]:
    """Return (transmitter, receiver) of a link written as "1-2" or "1>2".

    Raises:
        ConfigError: It is written otherwise.
    """
    match = re.fullmatch(r"(\d+)\s*[>-]\s*(\d+)", text)
    if match is None:
        raise ConfigError(f"{text!r} is no link of a scenario; write TX-RX, as in 1-2")
    return int(match[1]), int(match[2])


def network_of_spec(spec: str) -> tuple[NetworkSettings, Callable[[str], ChannelModel]]:
    """Return a network, and what loads the channels that its links name.

    Args:
        spec: scenario:NAME[:NOISE_DBFS], which is the emulator's twin with ideal radios (-80 dBFS
            without a number); or the path of a TOML file, whose channels may be links of scenarios.

    Raises:
        ConfigError: No such scenario or file, or it describes no network.
        ScenarioError: The emulator can hold none of its links.
    """
    if not spec.startswith(_PREFIX):
        return read_network(Path(spec)), load_channel_or_link
    name, colon, level = spec.removeprefix(_PREFIX).partition(":")
    if not colon:
        emulator = MchemEmulator.of_scenario(_scenario(name))
    else:
        noise_dbfs = _number(level)
        if noise_dbfs is None:
            raise ConfigError(f"{spec}: write {_NETWORK_FORM}")
        emulator = MchemEmulator.of_scenario(_scenario(name), noise_dbfs=noise_dbfs)
    return emulator.network, emulator.load


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _scenario(name: str) -> Scenario:
    # The links of a network each name their scenario.
    path = find_in_library(name, "colosseum")
    return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed_ns: int) -> Scenario:
    return load_scenario(path)
