"""How strong the noise of a link is: an SNR of the link, or a carrier-to-noise density."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel.distribution import Distribution
from phyemu.errors import ConfigError

__all__ = ["NoiseLevel", "noise_variance"]

# Noise as strong as single precision holds with room: its square is the power.
_LEAST_SNR_DB = -200.0


@dataclass(frozen=True, kw_only=True, slots=True)
class NoiseLevel:
    """Exactly one of two ways to state the noise.

    Attributes:
        snr_db: Peak symbol power over total complex noise variance at the matched filter [dB],
            whatever the symbol rate; infinity: no noise.
        cn0_dbhz: Received power over noise power per hertz [dB Hz]: what a sounder can measure,
            independent of the waveform; snr_db = cn0_dbhz - 10 log10(symbol_rate_hz).
    """

    snr_db: Distribution | None = None
    cn0_dbhz: Distribution | None = None

    def __post_init__(self) -> None:
        """Refuse none and both."""
        if (self.snr_db is None) == (self.cn0_dbhz is None):
            raise ConfigError("state exactly one of snr_db and cn0_dbhz")

    @classmethod
    def of_snr_db(cls, snr_db: float) -> "NoiseLevel":
        """Return the level of a constant SNR [dB]."""
        if not snr_db >= _LEAST_SNR_DB:
            raise ConfigError(f"snr_db must be at least {_LEAST_SNR_DB:g} dB, got {snr_db}")
        return cls(snr_db=Distribution.constant(snr_db))

    def draw_snr_db(
        self, batch_size: int, *, symbol_rate_hz: float, generator: torch.Generator
    ) -> Tensor:
        """Return the SNR of `batch_size` links [dB], (batch,), float64; the generator advances."""
        if not (math.isfinite(symbol_rate_hz) and symbol_rate_hz > 0):
            raise ConfigError(f"symbol_rate_hz must be positive, got {symbol_rate_hz}")
        if self.snr_db is not None:
            return self.snr_db.draw(batch_size, generator=generator)
        if self.cn0_dbhz is None:  # pragma: no cover - __post_init__ refuses it
            raise ConfigError("state exactly one of snr_db and cn0_dbhz")
        cn0_dbhz = self.cn0_dbhz.draw(batch_size, generator=generator)
        return cn0_dbhz - 10 * math.log10(symbol_rate_hz)


def noise_variance(
    snr_db: Tensor, *, reference_power: float, sample_rate_hz: float, symbol_rate_hz: float
) -> Tensor:
    """Return the total variance of each complex noise sample, linear, full scale 1.

    s2 = reference_power * (sample_rate_hz / symbol_rate_hz) / 10^(snr_db / 10), because unit-energy
    pulses of symbols at peak power A^2 have the mean sample power reference_power =
    A^2 symbol_rate / sample_rate, and the matched filter leaves the noise variance as it is.

    Args:
        snr_db: Peak symbol power over noise variance [dB], any shape, float64.
        reference_power: Mean sample power while active with all symbols at peak, >= 0, finite.
        sample_rate_hz: Rate of the samples [Hz], > 0.
        symbol_rate_hz: Rate of the symbols [Hz], > 0.

    Raises:
        ConfigError: A rate or the power is out of range.
    """
    values = (sample_rate_hz, symbol_rate_hz, reference_power)
    if not (all(map(math.isfinite, values)) and min(values) >= 0 and 0 not in values[:2]):
        raise ConfigError(
            "need finite sample_rate_hz > 0, symbol_rate_hz > 0, reference_power >= 0; got "
            f"{sample_rate_hz=}, {symbol_rate_hz=}, {reference_power=}"
        )
    samples_per_symbol = sample_rate_hz / symbol_rate_hz
    return reference_power * samples_per_symbol * 10 ** (-snr_db / 10)
