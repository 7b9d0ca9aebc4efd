"""Domain randomisation around a channel model: training on more than was measured."""

import dataclasses
import math
from dataclasses import dataclass
from typing import assert_never

import torch

from phyemu.channel.awgn import Awgn, AwgnRange
from phyemu.channel.distribution import Distribution
from phyemu.channel.drift import LargeScaleDrift
from phyemu.channel.empirical import EmpiricalChannel
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.measured import MeasuredChannel
from phyemu.channel.mixture import Mixture
from phyemu.channel.model import ChannelDraw, ChannelModel, ChannelRealisation
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.response import ImpulseResponse
from phyemu.channel.tapped_delay_line import TappedDelayLine
from phyemu.errors import ConfigError

__all__ = ["Widened"]

_NUM_VARIANTS = 4

_Widenable = Awgn | AwgnRange | TappedDelayLine | EmpiricalChannel | MeasuredChannel | Mixture


@dataclass(frozen=True, slots=True)
class Widened:
    """A channel model whose quantities vary more widely than they were measured to.

    With w the factor, two things happen to the model.

    1. Each distribution of a scalar (SNR or C/N0 in dB, CFO, SFO, linewidth, IQ imbalance, DC) is
       spread about its mean: x becomes mean + w (x - mean), so its standard deviation and its ends
       grow by w; so does that of the large-scale drift. Clipping level, quantiser and the families
       of fading stay.
    2. Around that, variants of the model are drawn. A variant multiplies, by scales u that are each
       log-uniform in [1/w, w] and independent:

       * all delays, counted from the first path: the RMS delay spread becomes u times as large;
       * the mean power of each path, by a u of its own, before all are scaled to sum one;
       * the K factor of each path, by a u of its own (0 and infinity stay);
       * all Doppler frequencies (of a measured record: the speed at which it is played);
       * SNR or C/N0, as a power: up to +-10 log10(w) dB;
       * each impairment of the front end, by a u of its own.

    A batch holds links of four variants, each link following one by chance; a realisation is one
    variant. With w = 1 draws and realisations are those of the model itself, generator and all.

    Attributes:
        model: The channel around which draws spread: AWGN, a tapped delay line, a fitted or
            measured channel, or a mixture of such (each part is widened).
        factor: w, 1 to 10.

    Raises:
        ConfigError: The factor is out of range, or the model is of another type.
    """

    model: ChannelModel
    factor: float

    def __post_init__(self) -> None:
        """Refuse what cannot be widened."""
        if not 1 <= self.factor <= 10:
            raise ConfigError(f"a channel is widened by a factor of 1 to 10, got {self.factor:g}")
        _widenable(self.model)

    @property
    def name(self) -> str:
        """Return "widen:FACTOR:NAME"."""
        return f"widen:{self.factor:g}:{self.model.name}"

    def variant(self, generator: torch.Generator) -> ChannelModel:
        """Return a variant of the model as step 2 says; the generator advances."""
        return _variant(_widenable(self.model), _Scales(self.factor, generator))

    def draw(
        self,
        batch_size: int,
        *,
        num_steps: int,
        interval_s: float,
        symbol_rate_hz: float,
        generator: torch.Generator,
    ) -> ChannelDraw:
        """Return `batch_size` links of four variants; the generator advances."""
        model = self.model
        if self.factor > 1:
            model = Mixture(tuple(self.variant(generator) for _ in range(_NUM_VARIANTS)))
        return model.draw(
            batch_size,
            num_steps=num_steps,
            interval_s=interval_s,
            symbol_rate_hz=symbol_rate_hz,
            generator=generator,
        )

    def realise(self, *, symbol_rate_hz: float, generator: torch.Generator) -> ChannelRealisation:
        """Return one endless channel of a variant; the generator advances."""
        model = self.variant(generator) if self.factor > 1 else self.model
        return model.realise(symbol_rate_hz=symbol_rate_hz, generator=generator)


def _widenable(model: ChannelModel) -> _Widenable:
    """Return the model, its type checked, with the parts of a mixture."""
    match model:
        case Mixture():
            for part in model.models:
                _widenable(part)
            return model
        case Awgn() | AwgnRange() | TappedDelayLine() | EmpiricalChannel() | MeasuredChannel():
            return model
        case _:
            raise ConfigError(
                f"a {type(model).__name__} cannot be widened; give a fitted, measured or standard "
                "channel, or a mixture of such"
            )


class _Scales:
    """The random scales of one variant."""

    def __init__(self, factor: float, generator: torch.Generator) -> None:
        self.factor = factor
        self._generator = generator

    def several(self, count: int) -> list[float]:
        """Return independent scales, log-uniform in [1 / factor, factor]."""
        uniform = torch.rand(
            count, dtype=torch.float64, generator=self._generator, device=self._generator.device
        )
        scales: list[float] = torch.exp((2 * uniform - 1) * math.log(self.factor)).tolist()
        return scales

    def one(self) -> float:
        """Return one scale."""
        return self.several(1)[0]


def _variant(model: _Widenable, scales: _Scales) -> ChannelModel:
    match model:
        case Awgn():
            return Awgn(model.snr_db + 10 * math.log10(scales.one()))
        case AwgnRange():
            lowest_db, highest_db = model.lowest_snr_db, model.highest_snr_db
            mean_db = (lowest_db + highest_db) / 2 + 10 * math.log10(scales.one())
            reach_db = scales.factor * (highest_db - lowest_db) / 2
            return AwgnRange(mean_db - reach_db, mean_db + reach_db)
        case EmpiricalChannel():
            doppler = scales.one()
            noise = _noise(model.noise, scales)
            return dataclasses.replace(
                model,
                delays_s=_delays(model.delays_s, scales),
                powers=_powers(model.powers, scales),
                k_factor=_k_factors(model.k_factor, scales),
                doppler_hz=tuple(doppler * value for value in model.doppler_hz),
                snr_db=noise.snr_db,
                cn0_dbhz=noise.cn0_dbhz,
                front_end=_front_end(model.front_end, scales),
                drift=_drift(model.drift, scales),
            )
        case TappedDelayLine():
            profile = model.profile
            doppler = scales.one()
            return dataclasses.replace(
                model,
                profile=dataclasses.replace(
                    profile,
                    delays_s=_delays(profile.delays_s, scales),
                    powers=_powers(profile.powers, scales),
                    k_factor=_k_factors(profile.k_factor, scales),
                ),
                noise=_noise(model.noise, scales),
                doppler_hz=doppler * model.doppler_hz,
                specular_doppler_hz=doppler * model.specular_doppler_hz,
                front_end=_front_end(model.front_end, scales),
            )
        case MeasuredChannel():
            responses = model.responses
            delays_s = _delays(tuple(responses.delays_s.tolist()), scales)
            gains = responses.gains
            powers = torch.tensor(scales.several(responses.num_paths), device=gains.device)
            return dataclasses.replace(
                model,
                responses=ImpulseResponse(
                    gains * powers.sqrt().to(gains.real.dtype),
                    torch.tensor(delays_s, dtype=torch.float64, device=gains.device),
                    responses.interval_s / scales.one(),
                ),
                noise=_noise(model.noise, scales),
                front_end=_front_end(model.front_end, scales),
            )
        case Mixture():
            parts = tuple(_variant(_widenable(part), scales) for part in model.models)
            return Mixture(parts, model.weights)
        case _:
            assert_never(model)


def _delays(delays_s: tuple[float, ...], scales: _Scales) -> tuple[float, ...]:
    first, scale = min(delays_s), scales.one()
    return tuple(first + scale * (delay - first) for delay in delays_s)


def _powers(powers: tuple[float, ...], scales: _Scales) -> tuple[float, ...]:
    scaled = [
        power * scale for power, scale in zip(powers, scales.several(len(powers)), strict=True)
    ]
    return tuple(power / sum(scaled) for power in scaled)


def _k_factors(k_factor: tuple[float, ...], scales: _Scales) -> tuple[float, ...]:
    return tuple(
        k * scale for k, scale in zip(k_factor, scales.several(len(k_factor)), strict=True)
    )


def _noise(noise: NoiseLevel, scales: _Scales) -> NoiseLevel:
    level = noise.snr_db or noise.cn0_dbhz
    if level is None:  # pragma: no cover - NoiseLevel refuses it
        raise ConfigError("state exactly one of snr_db and cn0_dbhz")
    level = level.widened(scales.factor).shifted(10 * math.log10(scales.one()))
    return NoiseLevel(snr_db=level) if noise.snr_db is not None else NoiseLevel(cn0_dbhz=level)


def _drift(drift: LargeScaleDrift | None, scales: _Scales) -> LargeScaleDrift | None:
    if drift is None:
        return None
    return dataclasses.replace(drift, std_db=scales.factor * drift.std_db)


def _front_end(front_end: FrontEnd, scales: _Scales) -> FrontEnd:
    each = scales.several(6)

    def widened(distribution: Distribution, index: int) -> Distribution:
        return distribution.widened(scales.factor).scaled(each[index])

    return dataclasses.replace(
        front_end,
        cfo_hz=widened(front_end.cfo_hz, 0),
        sfo_ppm=widened(front_end.sfo_ppm, 1),
        linewidth_hz=widened(front_end.linewidth_hz, 2),
        iq_gain_db=widened(front_end.iq_gain_db, 3),
        iq_phase_rad=widened(front_end.iq_phase_rad, 4),
        dc_offset=widened(front_end.dc_offset, 5),
    )
