"""What every channel model offers: draws in batches, and endless realisations."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from phyemu.channel.impairments import Impairments
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["ChannelDraw", "ChannelModel", "ChannelRealisation", "Interpolation", "draw_of"]


class Interpolation(StrEnum):
    """What the path gains do between two steps of a response."""

    LINEAR = "linear"
    """They move on a straight line from step to step."""
    HOLD = "hold"
    """They stay until the next step, as in Colosseum's emulator or with independent blocks."""


@dataclass(frozen=True, eq=False, slots=True)
class ChannelDraw:
    """A batch of independent channels over a stretch of time.

    Attributes:
        response: Impulse responses, gains (batch, time, path); over the model's ensemble the mean
            path powers sum to one.
        snr_db: Peak symbol power over total complex noise variance at the matched filter [dB]
            when the response has power one, (batch,), float64; infinity: no noise.
        impairments: Of each link, attributes (batch,).
        interpolation: What the gains do between two steps.
    """

    response: ImpulseResponse
    snr_db: Tensor
    impairments: Impairments
    interpolation: Interpolation = Interpolation.LINEAR

    @property
    def batch_size(self) -> int:
        """Return the number of links."""
        return int(self.response.gains.shape[0])

    def to(self, device: torch.device | str) -> "ChannelDraw":
        """Return the draw on `device`."""
        return ChannelDraw(
            self.response.to(device),
            self.snr_db.to(device),
            self.impairments.to(device),
            self.interpolation,
        )


class ChannelRealisation(Protocol):
    """One endless channel: a function of time that can be asked for any time, in any order."""

    @property
    def delays_s(self) -> Tensor:
        """Return the path delays [s], (path,), float64, fixed for the realisation."""

    @property
    def snr_db(self) -> float:
        """Return the SNR as in `ChannelDraw` [dB]; infinity: no noise."""

    @property
    def impairments(self) -> Impairments:
        """Return the impairments of the link, attributes ()."""

    @property
    def interpolation(self) -> Interpolation:
        """Return what the gains do between the steps at which an executor asks for them."""

    def gains(self, times_s: Tensor) -> Tensor:
        """Return the path gains at `times_s` (time,) float64 [s]: (time, path) complex64."""


@runtime_checkable
class ChannelModel(Protocol):
    """A distribution over channels.

    Both methods take all randomness from `generator`, which advances; the same generator state
    gives the same result. `symbol_rate_hz` turns a carrier-to-noise density into an SNR.
    """

    @property
    def name(self) -> str:
        """Return a short name for tables and metadata."""

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` independent channels over `num_steps` steps of `interval_s` [s]."""

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel."""


def draw_of(realisation: ChannelRealisation, *, num_steps: int, interval_s: float) -> ChannelDraw:
    """Return the first `num_steps` steps of a realisation as a draw with a batch of one.

    What holds the two executors together: `ChannelStream` plays the realisation, `apply_draw`
    the draw, and both must give the same samples.
    """
    check_steps(1, num_steps, interval_s)
    times_s = torch.arange(num_steps, dtype=torch.float64) * interval_s
    response = ImpulseResponse(realisation.gains(times_s)[None], realisation.delays_s, interval_s)
    snr_db = torch.tensor([realisation.snr_db], dtype=torch.float64)
    return ChannelDraw(
        response, snr_db, realisation.impairments.unsqueeze(), realisation.interpolation
    )


def check_steps(batch_size: int, num_steps: int, interval_s: float) -> None:
    """Raise ConfigError for sizes that no model can draw."""
    if batch_size < 1 or num_steps < 1 or not interval_s > 0:
        raise ConfigError(
            "a draw needs batch_size >= 1, num_steps >= 1 and interval_s > 0; "
            f"got {batch_size=}, {num_steps=}, {interval_s=}"
        )
