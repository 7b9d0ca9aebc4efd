"""The channel model that fitting produces."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from phyemu.channel.distribution import Distribution
from phyemu.channel.doppler import DopplerSpectrum
from phyemu.channel.drift import LargeScaleDrift
from phyemu.channel.envelope import FadingFamily
from phyemu.channel.fading import FadingProcess
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.model import ChannelDraw, ChannelRealisation, Interpolation, check_steps
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.realisation import FunctionRealisation
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["UNCERTAIN_QUANTITIES", "EmpiricalChannel"]

UNCERTAIN_QUANTITIES = {
    "delays_s": "s",
    "powers": "",
    "k_factor": "",
    "shape": "",
    "doppler_hz": "Hz",
    "cn0_dbhz": "dB Hz",
    "drift_db": "dB",
    "cfo_hz": "Hz",
    "sfo_ppm": "ppm",
    "linewidth_hz": "Hz",
    "iq_gain_db": "dB",
    "iq_phase_rad": "rad",
    "dc_offset": "full scale",
}
"""What `EmpiricalChannel.uncertainty` may speak of, with the unit of each."""

_OF_PATHS = ("delays_s", "powers", "k_factor", "shape")


@dataclass(frozen=True, kw_only=True, slots=True)
class EmpiricalChannel:
    """A channel described by what was measured; one entry per path where it says (path,).

    Attributes:
        name: Short name.
        delays_s: Path delays [s], (path,).
        powers: Mean path powers, (path,), sum one.
        k_factor: Rician K, linear, (path,), >= 0; 0 is Rayleigh, infinity a fixed gain.
        doppler_hz: Doppler scale of the diffuse parts [Hz], (path,); 0: frozen within a frame.
        cn0_dbhz: Carrier-to-noise density from frame to frame without the small-scale fading
            (that is in the gains) [dB Hz]; None when `snr_db` is set instead.
        snr_db: SNR that replaces `cn0_dbhz` (by `with_snr`) [dB].
        front_end: Distributions of CFO, SFO, phase noise, IQ imbalance, DC; clipping, quantiser.
        spectrum: Doppler spectrum.
        specular_phase_rad: Fixed phase of each path's specular part beside the common carrier
            phase [rad], (path,); empty: all 0.
        correlation: Correlation matrix of the diffuse parts, (path, path), complex; empty: none.
        family: Distribution of each path's amplitude, (path,); empty: all Rician.
        shape: Parameter of each family that has one (Nakagami m, standard deviation of the
            log-normal ln |g|), (path,), 0 for the others; empty: all 0.
        drift: Slow change of the level within a realisation, in the gains; None: none.
        block_s: When set, an endless realisation draws independent gains every `block_s` [s]
            (frame-to-frame independent blocks, each around a multiple of it); otherwise it fades
            continuously.
        sample_rate_hz: Rate at which the channel was measured [Hz]; 0: not measured.
        bandwidth_hz: Bandwidth over which it was measured [Hz]; 0: not measured.
        center_frequency_hz: Carrier at which it was measured [Hz]; None: unknown.
        uncertainty: Ends (low, high) of the 95 % confidence interval of what was fitted, by the
            names of `UNCERTAIN_QUANTITIES`: one pair per path for the first four, one for the mean
            of the others; what is not known is left out. Nothing is drawn from it.
        provenance: Recordings and their hashes, command, version, seed; JSON values.
    """

    name: str
    delays_s: tuple[float, ...]
    powers: tuple[float, ...]
    k_factor: tuple[float, ...]
    doppler_hz: tuple[float, ...]
    cn0_dbhz: Distribution | None = None
    snr_db: Distribution | None = None
    front_end: FrontEnd = field(default_factory=FrontEnd)
    spectrum: DopplerSpectrum = DopplerSpectrum.JAKES
    specular_phase_rad: tuple[float, ...] = ()
    correlation: tuple[tuple[complex, ...], ...] = ()
    family: tuple[FadingFamily, ...] = ()
    shape: tuple[float, ...] = ()
    drift: LargeScaleDrift | None = None
    block_s: float | None = None
    sample_rate_hz: float = 0.0
    bandwidth_hz: float = 0.0
    center_frequency_hz: float | None = None
    uncertainty: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no channel."""
        if len(self.delays_s) != len(self.powers):
            raise ConfigError(
                f"{self.name}: {len(self.delays_s)} delays for {len(self.powers)} powers"
            )
        if self.block_s is not None and not self.block_s > 0:
            raise ConfigError(f"{self.name}: block_s must be positive, got {self.block_s}")
        _ = self.fading, self.noise
        self._check_uncertainty()

    def _check_uncertainty(self) -> None:
        for name, ends in self.uncertainty.items():
            if name not in UNCERTAIN_QUANTITIES:
                known = ", ".join(UNCERTAIN_QUANTITIES)
                raise ConfigError(
                    f"{self.name}: uncertainty of {name!r} is unknown; known: {known}"
                )
            wanted = len(self.powers) if name in _OF_PATHS else 1
            if len(ends) != wanted or any(len(pair) != 2 for pair in ends):
                raise ConfigError(
                    f"{self.name}: uncertainty of {name} needs {wanted} pairs, got {len(ends)}"
                )
            if any(not low <= high for low, high in ends):
                raise ConfigError(f"{self.name}: uncertainty of {name} has low > high: {ends}")

    @property
    def fading(self) -> FadingProcess:
        """Return the process that the paths follow."""
        return FadingProcess(
            powers=self.powers,
            k_factor=self.k_factor,
            doppler_hz=self.doppler_hz,
            spectrum=self.spectrum,
            specular_phase_rad=self.specular_phase_rad,
            correlation=self.correlation,
            family=self.family,
            shape=self.shape,
        )

    @property
    def noise(self) -> NoiseLevel:
        """Return the noise level."""
        return NoiseLevel(snr_db=self.snr_db, cn0_dbhz=self.cn0_dbhz)

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` independent frames' channels; the generator advances."""
        check_steps(batch_size, num_steps, interval_s)
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        impairments = self.front_end.draw(batch_size, generator=generator)
        gains = self.fading.draw(
            batch_size, num_steps=num_steps, interval_s=interval_s, generator=generator
        )
        if self.drift is not None:
            gains = gains * self.drift.draw(
                batch_size, num_steps=num_steps, interval_s=interval_s, generator=generator
            )
        delays_s = torch.tensor(self.delays_s, dtype=torch.float64, device=generator.device)
        return ChannelDraw(ImpulseResponse(gains, delays_s, interval_s), snr_db, impairments)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel; the generator advances."""
        snr_db = self.noise.draw_snr_db(1, symbol_rate_hz=symbol_rate_hz, generator=generator)
        impairments = self.front_end.draw(1, generator=generator)
        if self.block_s is None:
            function: Callable[[Tensor], Tensor] = self.fading.realise(generator).gains
            interpolation = Interpolation.LINEAR
        else:
            function = self.fading.realise_blocks(self.block_s, generator).gains
            interpolation = Interpolation.HOLD
        if self.drift is not None:
            function = _product(function, self.drift.realise(generator))
        return FunctionRealisation(
            delays_s=torch.tensor(self.delays_s, dtype=torch.float64),
            snr_db=float(snr_db[0]),
            impairments=impairments.select(0).to("cpu"),
            function=function,
            interpolation=interpolation,
        )


def _product(
    gains: Callable[[Tensor], Tensor], factor: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    """Return the product of two functions of the times (time,) [s]."""

    def product(times_s: Tensor) -> Tensor:
        return gains(times_s) * factor(times_s)

    return product
