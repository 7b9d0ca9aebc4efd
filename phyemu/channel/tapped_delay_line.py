"""Tapped delay lines: a power delay profile whose paths fade, with noise and a front end."""

from dataclasses import dataclass, field

import torch

from phyemu.channel.doppler import DopplerSpectrum
from phyemu.channel.fading import FadingProcess
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.model import ChannelDraw, ChannelRealisation, check_steps
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.profiles import DelayProfile, tdl_profile, tgn_profile
from phyemu.channel.realisation import FunctionRealisation
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError

__all__ = ["TappedDelayLine", "tdl", "tgn"]

# TGn Sec. 4.7.1: fd = v0 / lambda with v0 = 1.2 km/h, at 2.4 GHz.
_TGN_DOPPLER_HZ = 1.2 / 3.6 / (299_792_458.0 / 2.4e9)
# TR 38.901 Sec. 7.7.2: the specular path of TDL-D and TDL-E has the Doppler shift 0.7 fd.
_TDL_SPECULAR_RATIO = 0.7


@dataclass(frozen=True, kw_only=True, slots=True)
class TappedDelayLine:
    """A profile from a standard, or one's own, made to fade.

    Attributes:
        profile: Delays, powers and K factors.
        noise: Noise level.
        doppler_hz: Doppler scale fd of every path [Hz], >= 0; 0: frozen within a draw.
        spectrum: Doppler spectrum.
        specular_doppler_hz: Doppler shift of the specular parts [Hz].
        front_end: Impairments of the radios.
    """

    profile: DelayProfile
    noise: NoiseLevel
    doppler_hz: float
    spectrum: DopplerSpectrum = DopplerSpectrum.JAKES
    specular_doppler_hz: float = 0.0
    front_end: FrontEnd = field(default_factory=FrontEnd)

    def __post_init__(self) -> None:
        """Refuse what is no fading process."""
        _ = self.fading

    @property
    def name(self) -> str:
        """Return the profile's name."""
        return self.profile.name

    @property
    def fading(self) -> FadingProcess:
        """Return the process that the paths follow."""
        num_paths = len(self.profile.delays_s)
        specular = tuple(
            self.specular_doppler_hz if k_factor > 0 else 0.0 for k_factor in self.profile.k_factor
        )
        return FadingProcess(
            powers=self.profile.powers,
            k_factor=self.profile.k_factor,
            doppler_hz=(self.doppler_hz,) * num_paths,
            spectrum=self.spectrum,
            specular_doppler_hz=specular,
        )

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` independent channels; the generator advances."""
        check_steps(batch_size, num_steps, interval_s)
        snr_db = self.noise.draw_snr_db(
            batch_size, symbol_rate_hz=symbol_rate_hz, generator=generator
        )
        impairments = self.front_end.draw(batch_size, generator=generator)
        gains = self.fading.draw(
            batch_size, num_steps=num_steps, interval_s=interval_s, generator=generator
        )
        delays_s = torch.tensor(self.profile.delays_s, dtype=torch.float64, device=generator.device)
        return ChannelDraw(ImpulseResponse(gains, delays_s, interval_s), snr_db, impairments)

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel; the generator advances."""
        snr_db = self.noise.draw_snr_db(1, symbol_rate_hz=symbol_rate_hz, generator=generator)
        impairments = self.front_end.draw(1, generator=generator)
        return FunctionRealisation(
            delays_s=torch.tensor(self.profile.delays_s, dtype=torch.float64),
            snr_db=float(snr_db[0]),
            impairments=impairments.select(0).to("cpu"),
            function=self.fading.realise(generator).gains,
        )


def tgn(
    model: str,
    *,
    snr_db: float,
    line_of_sight: bool = False,
    doppler_hz: float = _TGN_DOPPLER_HZ,
) -> TappedDelayLine:
    """Return a TGn channel with the bell-shaped Doppler spectrum of IEEE 802.11-03/940r4.

    Args:
        model: "A" to "F".
        snr_db: Peak symbol power over noise variance [dB]; infinity: no noise.
        line_of_sight: Whether the first tap is Rician (`tgn_profile`).
        doppler_hz: fd [Hz]; by default 2.67 Hz, people at 1.2 km/h and 2.4 GHz.
    """
    return TappedDelayLine(
        profile=tgn_profile(model, line_of_sight=line_of_sight),
        noise=NoiseLevel.of_snr_db(snr_db),
        doppler_hz=doppler_hz,
        spectrum=DopplerSpectrum.BELL,
    )


def tdl(
    model: str, *, rms_delay_spread_s: float, snr_db: float, doppler_hz: float
) -> TappedDelayLine:
    """Return a 3GPP TR 38.901 tapped delay line with Jakes Doppler.

    Args:
        model: "A" to "E".
        rms_delay_spread_s: Scales the delays [s].
        snr_db: Peak symbol power over noise variance [dB]; infinity: no noise.
        doppler_hz: Maximum Doppler shift fd [Hz]; the specular path of D and E has 0.7 fd.
    """
    if not doppler_hz >= 0:
        raise ConfigError(f"doppler_hz must be >= 0, got {doppler_hz}")
    return TappedDelayLine(
        profile=tdl_profile(model, rms_delay_spread_s=rms_delay_spread_s),
        noise=NoiseLevel.of_snr_db(snr_db),
        doppler_hz=doppler_hz,
        specular_doppler_hz=_TDL_SPECULAR_RATIO * doppler_hz,
    )
