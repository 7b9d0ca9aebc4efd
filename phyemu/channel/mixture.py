"""A mixture of channel models, for training on several at once."""

from dataclasses import dataclass

import torch

from phyemu.channel.impairments import Impairments
from phyemu.channel.model import (
    ChannelDraw,
    ChannelModel,
    ChannelRealisation,
    Interpolation,
    check_steps,
)
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["Mixture"]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Each link of a batch, or each realisation, follows one of several models.

    Attributes:
        models: The models, at least one.
        weights: Probability of each, > 0 in sum, scaled to one; empty: equal.
    """

    models: tuple[ChannelModel, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse weights that are no probabilities."""
        if not self.models:
            raise ConfigError("a mixture needs at least one model")
        if self.weights and len(self.weights) != len(self.models):
            raise ConfigError(f"{len(self.weights)} weights for {len(self.models)} models")
        if self.weights and not (min(self.weights) >= 0 and 0 < sum(self.weights) < float("inf")):
            raise ConfigError(f"weights must not be negative, nor all 0: {self.weights}")

    @property
    def name(self) -> str:
        """Return "mixture:NAME,NAME", or "mixture:WEIGHT*NAME,WEIGHT*NAME"."""
        names = [model.name for model in self.models]
        if self.weights:
            names = [f"{weight:g}*{name}" for weight, name in zip(self.weights, names, strict=True)]
        return "mixture:" + ",".join(names)

    def _choose(self, count: int, generator: torch.Generator) -> torch.Tensor:
        weights = self.weights or (1.0,) * len(self.models)
        edges = torch.tensor(weights, dtype=torch.float64, device=generator.device).cumsum(0)
        uniform = torch.rand(
            count, dtype=torch.float64, generator=generator, device=generator.device
        )
        chosen = torch.searchsorted(edges, uniform * edges[-1], right=True)
        return chosen.clamp(max=len(self.models) - 1)

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` links; the paths of the models a link does not follow have gain 0."""
        check_steps(batch_size, num_steps, interval_s)
        chosen = self._choose(batch_size, generator)
        draws = [
            model.draw(
                batch_size,
                num_steps=num_steps,
                interval_s=interval_s,
                symbol_rate_hz=symbol_rate_hz,
                generator=generator,
            )
            for model in self.models
        ]
        gains = torch.cat(
            [
                draw.response.gains * (chosen == index)[:, None, None]
                for index, draw in enumerate(draws)
            ],
            dim=-1,
        )
        delays_s = torch.cat([draw.response.delays_s for draw in draws])
        links = torch.arange(batch_size, device=generator.device)
        snr_db = torch.stack([draw.snr_db for draw in draws])[chosen, links]
        impairments = Impairments.stack([draw.impairments for draw in draws]).gather(chosen, links)
        held = all(draw.interpolation is Interpolation.HOLD for draw in draws)
        return ChannelDraw(
            ImpulseResponse(gains, delays_s, interval_s),
            snr_db,
            impairments,
            Interpolation.HOLD if held else Interpolation.LINEAR,
        )

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel of one of the models; the generator advances."""
        model = self.models[int(self._choose(1, generator)[0])]
        return model.realise(symbol_rate_hz=symbol_rate_hz, generator=generator)
