"""Additive white Gaussian noise: the function, and the channel models that are nothing else."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel.distribution import Distribution
from phyemu.channel.impairments import Impairments
from phyemu.channel.model import ChannelDraw, ChannelRealisation, Interpolation, check_steps
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.realisation import FunctionRealisation
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError, SignalError

__all__ = ["Awgn", "AwgnRange", "add_awgn"]


def add_awgn(iq: Tensor, *, variance: Tensor | float, generator: torch.Generator) -> Tensor:
    """Return the samples with circularly-symmetric Gaussian noise added.

    y = x + n,  n ~ CN(0, variance): the variance is total, each real dimension carries half.

    Args:
        iq: Samples, (..., num_samples), complex, full scale 1.
        variance: Total variance per complex sample, >= 0: a number, or a tensor (...) of one per
            row of `iq`. `noise_variance` gives it for an SNR.
        generator: Source of the noise, on the device of `iq`; it is advanced.

    Returns:
        y, with the shape, dtype and device of `iq`; its gradient to `iq` is the identity.

    Raises:
        SignalError: `iq` is not complex.
        ConfigError: The variance is negative or not finite.
    """
    if not iq.is_complex():
        raise SignalError(f"iq must be complex, got {iq.dtype}; see torch.view_as_complex")
    sigma = torch.as_tensor(variance, dtype=torch.float64, device=iq.device).sqrt()
    if not bool(torch.isfinite(sigma).all()):
        raise ConfigError(f"noise variance must be finite and not negative, got {variance}")
    # torch draws complex normals with total variance 1, i.e. 1/2 per real dimension.
    noise = torch.empty_like(iq).normal_(generator=generator)
    return iq + sigma.to(iq.real.dtype)[..., None] * noise


@dataclass(frozen=True, slots=True)
class Awgn:
    """The channel model of one path of gain 1 and white noise.

    Attributes:
        snr_db: Peak symbol power over total complex noise variance at the matched filter [dB];
            infinity: no noise.
    """

    snr_db: float

    def __post_init__(self) -> None:
        """Refuse what is no noise level."""
        NoiseLevel.of_snr_db(self.snr_db)

    @property
    def name(self) -> str:
        """Return "awgn:SNR"."""
        return f"awgn:{self.snr_db:g}"

    @property
    def noise(self) -> NoiseLevel:
        """Return the noise level."""
        return NoiseLevel.of_snr_db(self.snr_db)

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` times the gain 1."""
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        return _one_path(snr_db, num_steps=num_steps, interval_s=interval_s)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return the gain 1 forever."""
        return _endless(self.snr_db)


@dataclass(frozen=True, slots=True)
class AwgnRange:
    """The channel model of one path of gain 1 and white noise of an SNR that is drawn.

    Each link of a batch, or each realisation, draws an SNR of its own, uniform in decibels.

    Attributes:
        lowest_snr_db: As `Awgn.snr_db` [dB], finite.
        highest_snr_db: Finite, above it.
    """

    lowest_snr_db: float
    highest_snr_db: float

    def __post_init__(self) -> None:
        """Refuse what is no range of noise levels."""
        lowest, highest = self.lowest_snr_db, self.highest_snr_db
        NoiseLevel.of_snr_db(lowest)
        if not (math.isfinite(highest) and lowest < highest):
            raise ConfigError(
                f"a range of SNR goes from one finite number of dB up to another, got {lowest:g} "
                f"to {highest:g}"
            )

    @property
    def name(self) -> str:
        """Return "awgn:LOWEST..HIGHEST"."""
        return f"awgn:{self.lowest_snr_db:g}..{self.highest_snr_db:g}"

    @property
    def noise(self) -> NoiseLevel:
        """Return the noise level."""
        return NoiseLevel(snr_db=Distribution.uniform(self.lowest_snr_db, self.highest_snr_db))

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` times the gain 1, each at its own SNR; the generator advances."""
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        return _one_path(snr_db, num_steps=num_steps, interval_s=interval_s)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return the gain 1 forever, at one SNR; the generator advances."""
        snr_db = self.noise.draw_snr_db(1, symbol_rate_hz=symbol_rate_hz, generator=generator)
        return _endless(float(snr_db[0]))


def _one_path(snr_db: Tensor, *, num_steps: int, interval_s: float) -> ChannelDraw:
    """Return the gain 1 for each SNR of a batch."""
    batch_size = len(snr_db)
    check_steps(batch_size, num_steps, interval_s)
    device = snr_db.device
    gains = torch.ones((batch_size, num_steps, 1), dtype=torch.complex64, device=device)
    response = ImpulseResponse(
        gains, torch.zeros(1, dtype=torch.float64, device=device), interval_s
    )
    return ChannelDraw(response, snr_db, Impairments.none(batch_size, device=device))


def _endless(snr_db: float) -> ChannelRealisation:
    return FunctionRealisation(
        delays_s=torch.zeros(1, dtype=torch.float64),
        snr_db=snr_db,
        impairments=Impairments.none(),
        function=lambda times_s: torch.ones((len(times_s), 1), dtype=torch.complex64),
        interpolation=Interpolation.HOLD,
    )
