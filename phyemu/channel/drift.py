"""Large-scale drift: the slow change of a link's level beyond small-scale fading."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel.doppler import DopplerSpectrum
from phyemu.channel.fading import FadingProcess
from phyemu.errors import ConfigError

__all__ = ["LargeScaleDrift"]

_NEPER = math.log(10.0) / 20.0  # amplitude, per decibel


@dataclass(frozen=True, kw_only=True, slots=True)
class LargeScaleDrift:
    """A level that is normal in decibels and forgets itself exponentially (Gudmundson 1991).

    s(t) ~ N(0, std_db^2),  E[s(t) s(t + tau)] = std_db^2 exp(-|tau| / correlation_s);  path gains
    are multiplied by 10^(s(t) / 20) over the root of its mean square, so that mean path powers
    stay what they are. As small-scale fading is, s(t) is a sum of sinusoids: a function of time
    without state. Their spectrum is the bell of `DopplerSpectrum.BELL`, the Lorentzian of the
    exponential cut at 15 times its half width.

    Attributes:
        std_db: Standard deviation of the level [dB], >= 0.
        correlation_s: Time after which its correlation has fallen to 1/e [s], > 0.
    """

    std_db: float
    correlation_s: float

    def __post_init__(self) -> None:
        """Refuse what is no drift."""
        if not (math.isfinite(self.std_db) and self.std_db >= 0):
            raise ConfigError(f"drift: std_db must be 0 or more, got {self.std_db}")
        if not (math.isfinite(self.correlation_s) and self.correlation_s > 0):
            raise ConfigError(f"drift: correlation_s must be positive, got {self.correlation_s}")

    @property
    def _process(self) -> FadingProcess:
        # The bell's autocorrelation is about exp(-2 pi fd |tau| / 3).
        return FadingProcess(
            powers=(1.0,),
            k_factor=(0.0,),
            doppler_hz=(3.0 / (2.0 * math.pi * self.correlation_s),),
            spectrum=DopplerSpectrum.BELL,
        )

    def draw(
        self, batch_size: int, *, num_steps: int, interval_s: float, generator: torch.Generator
    ) -> Tensor:
        """Return independent amplitude factors, (batch, num_steps, 1); the generator advances."""
        diffuse = self._process.draw(
            batch_size, num_steps=num_steps, interval_s=interval_s, generator=generator
        )
        return self._factor(diffuse)

    def realise(self, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """Return one endless drift: times (time,) [s] to factors (time, 1); on the CPU."""
        gains = self._process.realise(generator).gains

        def factor(times_s: Tensor) -> Tensor:
            return self._factor(gains(times_s))

        return factor

    def _factor(self, diffuse: Tensor) -> Tensor:
        level = math.sqrt(2.0) * diffuse.real * (_NEPER * self.std_db)
        # E exp(2 x) = exp(2 var x) of a normal x: the mean square of the factor becomes one.
        return torch.exp(level - (_NEPER * self.std_db) ** 2)
