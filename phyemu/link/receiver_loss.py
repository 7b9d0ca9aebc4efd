"""What a real receiver loses against one that knows the channel, in closed form."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel import Impairments
from phyemu.errors import ConfigError
from phyemu.waveform import FrameFormat

__all__ = ["ReceiverLoss", "converter_noise", "image_ratio", "phase_error_variance"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverLoss:
    """How well the channel is estimated.

    Attributes:
        estimated_taps: Degrees of freedom of the channel estimate [symbols], >= 0: each costs the
            noise of one preamble symbol, so the noise behind the equaliser grows by
            estimated_taps / preamble symbols. 0: the channel is known.
        track_phase: Whether phase noise, and the pilots' error in following it, are modelled.
    """

    estimated_taps: float
    track_phase: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.estimated_taps) and self.estimated_taps >= 0):
            raise ConfigError(f"estimated_taps must be >= 0, got {self.estimated_taps}")


def phase_error_variance(linewidth_hz: Tensor, sinr: Tensor, frame_format: FrameFormat) -> Tensor:
    """Return the variance of the phase left at the pilots by the best smoother, (batch,) [rad^2].

    Wiener phase noise moves by Q = 2 pi linewidth T_pilot from pilot to pilot, and a pilot measures
    the phase with variance R = 1 / (2 SINR). The steady state of the Rauch-Tung-Striebel smoother
    of that random walk is P = 1 / (1 / P_before + 1 / P_after), P_before = (Q + sqrt(Q^2 + 4QR))/2
    before a measurement, P_after = P_before R / (P_before + R) behind it. Between two pilots the
    walk adds Q / 6 on average, which is included.

    Args:
        linewidth_hz: (batch,), >= 0.
        sinr: (batch,), linear, > 0.
        frame_format: Gives the distance of the pilots.
    """
    pilot_interval_s = frame_format.pilot_interval / frame_format.symbol_rate_hz
    walk = 2 * math.pi * linewidth_hz * pilot_interval_s
    measured = 1 / (2 * sinr)
    before = (walk + (walk.square() + 4 * walk * measured).sqrt()) / 2
    after = before * measured / (before + measured)
    smoothed = before * after / (before + after).clamp_min(torch.finfo(before.dtype).tiny)
    return smoothed + walk / 6


def image_ratio(impairments: Impairments) -> Tensor:
    """Return the power of the IQ image over that of the signal, (batch,), linear.

    With Q' = g (Q cos phi - I sin phi) a signal x becomes a x + b x*, a = (1 + g e^{-j phi}) / 2,
    b = (1 - g e^{j phi}) / 2; the ratio is |b|^2 / |a|^2.
    """
    gain = 10 ** (impairments.iq_gain_db / 20)
    product = 2 * gain * torch.cos(impairments.iq_phase_rad)
    return (1 + gain.square() - product) / (1 + gain.square() + product)


def converter_noise(impairments: Impairments, frame_format: FrameFormat) -> Tensor:
    """Return the variance that DC and quantiser add at the matched filter, (batch,), full scale^2.

    The quantiser with steps D adds D^2 / 12 to I and to Q. DC is a tone, and the unit-energy pulse
    passes the power |dc|^2 samples_per_symbol of it to each symbol.
    """
    tone = impairments.dc_offset.abs().double().square() * frame_format.samples_per_symbol
    level = torch.where(
        torch.isfinite(impairments.clip_level), impairments.clip_level, torch.ones_like(tone)
    )
    step = 2 * level / 2.0 ** impairments.bits.double()
    quantiser = torch.where(impairments.bits > 0, step.square() / 6, torch.zeros_like(step))
    return tone + quantiser
