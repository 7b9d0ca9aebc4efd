"""What a real receiver loses against one that knows the channel, in closed form."""

import math

import torch
from torch import Tensor

from phyemu.channel import Impairments, ImpulseResponse
from phyemu.waveform import FrameFormat

__all__ = ["converter_noise", "estimation_taps", "image_ratio", "phase_error_variance"]

_EARLY_SYMBOLS, _LATE_SYMBOLS = 10, 18  # where the receiver looks for taps
_TAP_THRESHOLD = 3.0  # energy at which it takes a tap, over the noise
_TAP_ERROR = 0.5  # of a symbol-spaced tap, when taps may lie between; measured


def estimation_taps(response: ImpulseResponse, snr: Tensor, frame_format: FrameFormat) -> Tensor:
    """Return how many symbols' noise the error of the channel estimate amounts to, (batch,).

    The receiver estimates, by least squares over N preamble symbols, the taps that stand out of the
    noise. With gamma_d = N snr |h_d|^2 the energy of tap d (symbol spaced, the strongest path on
    the grid) over the noise of its estimate, a tap taken has an error of 1, a tap left out one of
    gamma_d; the noise behind the equaliser grows by the sum over taps / N. The receiver of
    `phyemu.receiver` does better, as it puts few taps on a finer grid: half of that sum, with taps
    taken from gamma = 3 on, follows it within 0.5 dB on the worlds and on TGn B and D.

    Args:
        response: Gains (batch, time, path), of which the first step counts.
        snr: Linear, (batch,).
        frame_format: Symbol rate and preamble.
    """
    gains = response.gains[:, 0].to(torch.complex128)
    strongest = response.delays_s[gains.abs().argmax(-1)]
    places = (response.delays_s - strongest[:, None]) * frame_format.symbol_rate_hz
    grid = torch.arange(-_EARLY_SYMBOLS, _LATE_SYMBOLS + 1, device=gains.device)
    pulses = torch.sinc(grid[:, None] - places[:, None, :])  # (batch, tap, path)
    taps = (pulses.to(gains.dtype) @ gains[:, :, None]).squeeze(-1)
    energy = frame_format.preamble_symbols * snr[:, None] * taps.abs().square()
    errors = torch.where(energy < _TAP_THRESHOLD, energy, torch.ones_like(energy))
    return _TAP_ERROR * errors.sum(-1)


def phase_error_variance(linewidth_hz: Tensor, sinr: Tensor, frame_format: FrameFormat) -> Tensor:
    """Return the variance of the phase that is left behind the tracking, (batch,) [rad^2].

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
