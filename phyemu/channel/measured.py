"""Measured responses played back, in order or resampled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from phyemu.channel.counter_random import counter_uniforms, stream_keys
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.model import ChannelDraw, ChannelRealisation, Interpolation, check_steps
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.realisation import FunctionRealisation, block_index
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["MeasuredChannel", "Playback"]


class Playback(StrEnum):
    """How an endless realisation walks through the measured responses."""

    IN_ORDER = "in-order"
    """One after the other at their interval, from a random start, around and around."""
    RESAMPLED = "resampled"
    """A response drawn with replacement every interval."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class MeasuredChannel:
    """A channel that is the record itself: no model between measurement and use.

    The record is scaled so that its mean path powers sum to one; its changes of power from
    response to response stay in the gains.

    Attributes:
        name: Short name.
        responses: Measured responses, gains (time, path) complex64, one common set of delays.
        noise: Noise level.
        playback: Order of an endless realisation; draws of a batch are always resampled.
        front_end: Impairments of the radios, where the record does not hold them.
        provenance: Recordings and their hashes, command, version, seed; JSON values.
    """

    name: str
    responses: ImpulseResponse
    noise: NoiseLevel
    playback: Playback = Playback.IN_ORDER
    front_end: FrontEnd = field(default_factory=FrontEnd)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse responses that cannot be played."""
        if self.responses.gains.ndim != 2:
            raise ConfigError(
                f"{self.name}: responses must be (time, path), got "
                f"{tuple(self.responses.gains.shape)}"
            )
        total = float(self.responses.powers().sum())
        if not 0 < total < float("inf"):
            raise ConfigError(f"{self.name}: the responses have no finite power ({total})")

    def _unit_gains(self) -> Tensor:
        """Return the gains scaled to mean power one, (time, path)."""
        return self.responses.gains / self.responses.powers().sum().sqrt().to(torch.float32)

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` stretches of the record, each from a random start.

        Within a stretch the responses follow at their own interval, around the record's end.
        """
        check_steps(batch_size, num_steps, interval_s)
        device = generator.device
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        impairments = self.front_end.draw(batch_size, generator=generator)
        count = self.responses.num_steps
        start = torch.randint(0, count, (batch_size, 1), generator=generator, device=device)
        steps = torch.arange(num_steps, dtype=torch.float64, device=device) * interval_s
        walked = torch.floor(steps / self.responses.interval_s + 1e-9).long()
        gains = self._unit_gains().to(device)[(start + walked) % count]
        response = ImpulseResponse(gains, self.responses.delays_s.to(device), interval_s)
        return ChannelDraw(response, snr_db, impairments, Interpolation.HOLD)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel; the generator advances."""
        snr_db = self.noise.draw_snr_db(1, symbol_rate_hz=symbol_rate_hz, generator=generator)
        impairments = self.front_end.draw(1, generator=generator)
        seed = int(torch.randint(0, 2**62, (1,), generator=generator, device=generator.device))
        gains = self._unit_gains().cpu()
        count, interval_s = self.responses.num_steps, self.responses.interval_s
        keys, start = stream_keys(seed), seed % count
        playback = self.playback

        def at(times_s: Tensor) -> Tensor:
            steps = block_index(times_s, interval_s)
            if playback is Playback.IN_ORDER:
                return gains[(start + steps) % count]
            return gains[(counter_uniforms(keys, steps) * count).long()]

        return FunctionRealisation(
            delays_s=self.responses.delays_s.cpu(),
            snr_db=float(snr_db[0]),
            impairments=impairments.select(0).to("cpu"),
            function=at,
            interpolation=Interpolation.HOLD,
        )
