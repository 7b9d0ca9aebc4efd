"""Links of a scenario as channel models, and the whole scenario as a network of them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from phyemu.channel import (
    ChannelDraw,
    ChannelModel,
    ChannelRealisation,
    FrontEnd,
    ImpulseResponse,
    Interpolation,
    NoiseLevel,
    load_channel,
)
from phyemu.channel.model import check_steps
from phyemu.channel.network_settings import LinkSettings, NetworkSettings, NodeSettings
from phyemu.channel.realisation import FunctionRealisation
from phyemu.colosseum.files import load_scenario
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ConfigError
from phyemu.library import find_in_library

__all__ = ["ScenarioLink", "load_channel_or_link", "scenario_network"]

_PREFIX = "scenario:"
_FORM = "scenario:NAME:TX-RX, or scenario:NAME:TX-RX:SNR_DB, as in scenario:90002:1-2:20"


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ScenarioLink:
    """One link of a scenario, from its first step on, as Colosseum plays it.

    Attributes:
        name: Short name.
        response: Its taps, gains (time, path).
        repeats: Whether it starts over at its end; else the last taps are held.
        snr_db: SNR at the mean power of the link [dB], which is then scaled to one; infinity: no
            noise, and the taps as strong as the scenario has them.
        provenance: The scenario's.
    """

    name: str
    response: ImpulseResponse
    repeats: bool = True
    snr_db: float = math.inf
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a link that lets nothing through."""
        if not float(self.response.powers().sum()) > 0:
            raise ConfigError(f"{self.name}: the link has no power, so nothing passes through it")

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` stretches of the link, each from a random step on."""
        check_steps(batch_size, num_steps, interval_s)
        device = generator.device
        snr_db = NoiseLevel.of_snr_db(self.snr_db).draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        impairments = FrontEnd().draw(batch_size, generator=generator)
        count = self.response.num_steps
        start = torch.randint(0, count, (batch_size, 1), generator=generator, device=device)
        times_s = torch.arange(num_steps, dtype=torch.float64, device=device) * interval_s
        steps = self._limited(start + self._steps(times_s))
        gains = self._gains().to(device)[steps]
        response = ImpulseResponse(gains, self.response.delays_s.to(device), interval_s)
        return ChannelDraw(response, snr_db, impairments, Interpolation.HOLD)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return the link from its first step on; there is nothing random in it."""
        gains = self._gains().cpu()

        def at(times_s: Tensor) -> Tensor:
            return gains[self._limited(self._steps(times_s))]

        return FunctionRealisation(
            delays_s=self.response.delays_s.cpu(),
            snr_db=self.snr_db,
            impairments=FrontEnd().draw(1, generator=generator).select(0).to("cpu"),
            function=at,
            interpolation=Interpolation.HOLD,
        )

    def _gains(self) -> Tensor:
        if math.isinf(self.snr_db):
            return self.response.gains
        return self.response.gains / self.response.powers().sum().sqrt().to(torch.float32)

    def _steps(self, times_s: Tensor) -> Tensor:
        # A time that should lie on a step may miss it by a rounding error; before the first
        # sample there is the first step.
        return torch.floor(times_s / self.response.interval_s + 1e-9).long().clamp(min=0)

    def _limited(self, steps: Tensor) -> Tensor:
        count = self.response.num_steps
        return steps % count if self.repeats else steps.clamp(max=count - 1)


def load_channel_or_link(spec: str) -> ChannelModel:
    """Return the channel of a spec: a link of a scenario, or what `load_channel` takes.

    Args:
        spec: scenario:NAME:TX-RX[:SNR_DB] with a shipped scenario or a .json file, or another.

    Raises:
        ConfigError: No such form, scenario or link.
    """
    if not spec.strip().startswith(_PREFIX):
        return load_channel(spec)
    words = spec.strip().removeprefix(_PREFIX).split(":")
    tx, dash, rx = words[1].partition("-") if len(words) in (2, 3) else ("", "", "")
    if not (dash and tx.isdecimal() and rx.isdecimal()):
        raise ConfigError(f"{spec}: write {_FORM}")
    try:
        snr_db = float(words[2]) if len(words) == 3 else math.inf
    except ValueError:
        snr_db = math.nan
    if math.isnan(snr_db) or snr_db == -math.inf:
        raise ConfigError(f"{spec}: the SNR is a number of dB; write {_FORM}")
    scenario = _scenario(words[0])
    response = scenario.links.get((int(tx), int(rx)))
    if response is None:
        pairs = ", ".join(f"{one}-{other}" for one, other in sorted(scenario.links)[:8])
        raise ConfigError(f"{spec}: scenario {scenario.name} has no link {tx}-{rx}; it has {pairs}")
    return ScenarioLink(
        name=f"{scenario.name}:{tx}-{rx}",
        response=response,
        repeats=scenario.repeats,
        snr_db=snr_db,
        provenance=scenario.provenance,
    )


def scenario_network(spec: str) -> NetworkSettings | None:
    """Return the network of a spec scenario:NAME[:NOISE_DBFS]; None: it is no such spec.

    Its nodes are called 1, 2, and so on; the taps are as strong as the scenario has them, and each
    receiver has the noise power given [dBFS], or none.

    Raises:
        ConfigError: No such scenario, or no number.
    """
    if not spec.startswith(_PREFIX):
        return None
    name, colon, noise = spec.removeprefix(_PREFIX).partition(":")
    noise_dbfs = None
    if colon:
        try:
            noise_dbfs = float(noise)
        except ValueError as exc:
            raise ConfigError(
                f"{spec}: write scenario:NAME or scenario:NAME:NOISE_DBFS, as in scenario:90002:-60"
            ) from exc
    scenario = _scenario(name)
    nodes = {str(rx): NodeSettings(noise_dbfs=noise_dbfs) for _, rx in sorted(scenario.links)}
    return NetworkSettings(
        links=tuple(
            LinkSettings(
                transmitter=str(tx), receiver=str(rx), channel=f"{_PREFIX}{name}:{tx}-{rx}"
            )
            for (tx, rx), response in sorted(scenario.links.items())
            if float(response.powers().sum()) > 0
        ),
        nodes={} if noise_dbfs is None else nodes,
    )


@lru_cache(maxsize=4)
def _loaded(path: Path, changed_ns: int) -> Scenario:
    return load_scenario(path)


def _scenario(name: str) -> Scenario:
    # A network names its scenario once for each link.
    path = find_in_library(name, "colosseum")
    return _loaded(path, path.stat().st_mtime_ns)
