"""Linear MMSE equaliser, fractionally spaced, in the frequency domain.

The best linear equaliser of r[n] = sum_k x_k g[n - k P] + white noise (g: pulse convolved with the
channel, P samples per symbol) is the filter matched to g, sampled once a symbol, behind it
1 / (S + sigma^2 / E), where S is the spectrum of the samples:

    W(f) = G*(f) / (S(f) + sigma^2 / E),  S(f) = 1/P sum_i |G(f + i/T)|^2,  E = mean |x|^2

It works on overlapping blocks, so a block can have a delay of its own: that is how a sampling clock
offset is followed. Whatever needs no more than W is written once here for the receiver and for
training; all of it is differentiable.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.frame_format import FrameFormat

__all__ = [
    "BLOCK_HOP_SYMBOLS",
    "BLOCK_MARGIN_SYMBOLS",
    "BLOCK_SYMBOLS",
    "Equaliser",
    "block_spectra",
    "delay_ramps",
    "equalise",
    "mmse_equaliser",
    "pulse_spectrum",
    "symbols_of_spectra",
]

BLOCK_SYMBOLS = 512
"""Symbols of a block of the equaliser."""

BLOCK_MARGIN_SYMBOLS = 64
"""Symbols at either end of a block that its neighbours contribute."""

_RAMP = 32
BLOCK_HOP_SYMBOLS = BLOCK_SYMBOLS - 2 * BLOCK_MARGIN_SYMBOLS
"""Symbols that a block contributes: the rest, half on either side, overlaps its neighbours."""


@dataclass(frozen=True, eq=False, slots=True)
class Equaliser:
    """An equaliser, scaled so that a symbol comes out with the gain 1 (unbiased).

    Attributes:
        weights: W at the frequencies of a block's FFT, (..., BLOCK_SYMBOLS x samples_per_symbol).
        error_variance: Variance of the error of a symbol that theory predicts, (...), relative to
            peak power 1: noise and interference that is left.
        matched_snr: Energy of a symbol at peak over the noise variance, (...): the SNR behind a
            filter matched to pulse and channel.
    """

    weights: Tensor
    error_variance: Tensor
    matched_snr: Tensor


def mmse_equaliser(
    response: Tensor,
    *,
    first_delay: int,
    noise_variance: Tensor,
    symbol_power: float,
    frame_format: FrameFormat,
) -> Equaliser:
    """Return the equaliser of a channel.

    Args:
        response: Channel on the sample grid, (..., num_taps), complex; at most half a block.
        first_delay: Delay of its first tap [samples], <= 0.
        noise_variance: Total complex variance of the noise on a sample, (...), > 0.
        symbol_power: E, mean power of the symbols, 0..1 for peak power 1.
        frame_format: Pulse and rate.

    Raises:
        SignalError: `response` is not complex.
        ConfigError: The response is too long for a block, or the power is out of range.
    """
    sps = frame_format.samples_per_symbol
    size = BLOCK_SYMBOLS * sps
    num_taps = response.shape[-1]
    if not response.is_complex():
        raise SignalError(f"response must be complex, got {response.dtype}")
    if num_taps > size // 2 or not 0 < symbol_power <= 1:
        raise ConfigError(
            f"need at most {size // 2} taps and 0 < symbol_power <= 1, got {num_taps}, "
            f"{symbol_power}"
        )
    padded = torch.nn.functional.pad(response, (0, size - num_taps))
    channel = torch.fft.fft(torch.roll(padded, first_delay, dims=-1))
    pulse = pulse_spectrum(frame_format, size).to(channel)
    spectrum = channel * pulse
    folded = spectrum.abs().square().reshape(*spectrum.shape[:-1], sps, BLOCK_SYMBOLS).sum(-2) / sps
    noise = noise_variance[..., None] / symbol_power
    ratio = folded / (folded + noise)
    gain = ratio.mean(-1)
    inverse = (1.0 / (folded + noise)).repeat(*([1] * (folded.ndim - 1)), sps)
    weights = spectrum.conj() * inverse / gain[..., None]
    error = symbol_power * (1.0 - gain) / gain
    return Equaliser(weights, error, folded.mean(-1) / noise_variance)


@lru_cache(maxsize=8)
def pulse_spectrum(frame_format: FrameFormat, size: int) -> Tensor:
    """Return the FFT of the pulse, its peak at sample 0, (size,), complex128; it is real.

    Args:
        frame_format: Pulse and rate.
        size: Of the FFT [samples].
    """
    taps = frame_format.pulse_taps()
    padded = torch.nn.functional.pad(taps, (0, size - len(taps)))
    spectrum: Tensor = torch.fft.fft(torch.roll(padded, -(len(taps) // 2)))
    return spectrum


def block_spectra(iq: Tensor, *, first_peak: int | Tensor, num_symbols: int, sps: int) -> Tensor:
    """Return the FFTs of overlapping blocks, (..., num_blocks, BLOCK_SYMBOLS x sps).

    Block b begins 64 + b x 384 - 128 symbols behind the first; samples outside count as zero.

    Args:
        iq: (..., num_samples), complex.
        first_peak: Sample at which symbol 0 peaks; may be negative. A number, or one of each row,
            (...), int64.
        num_symbols: Symbols to cover, >= 1.
        sps: Samples per symbol.

    Raises:
        SignalError: `iq` is not complex.
    """
    if not iq.is_complex():
        raise SignalError(f"iq must be complex, got {iq.dtype}")
    num_blocks = math.ceil(num_symbols / BLOCK_HOP_SYMBOLS)
    size, hop = BLOCK_SYMBOLS * sps, BLOCK_HOP_SYMBOLS * sps
    length = (num_blocks - 1) * hop + size
    if isinstance(first_peak, Tensor):
        begins = first_peak - BLOCK_MARGIN_SYMBOLS * sps
        low, high = int(begins.min()), int(begins.max()) + length
        begin, end = min(low, 0), max(high, iq.shape[-1])
    else:
        begin = first_peak - BLOCK_MARGIN_SYMBOLS * sps
        end = begin + length
    inside = iq[..., max(begin, 0) : max(min(end, iq.shape[-1]), 0)]
    before = min(max(-begin, 0), end - begin)
    after = end - begin - before - inside.shape[-1]
    covered = torch.nn.functional.pad(inside, (before, after))
    if isinstance(first_peak, Tensor):
        places = (begins - begin)[..., None] + torch.arange(length, device=iq.device)
        covered = covered.gather(-1, places)
    spectra: Tensor = torch.fft.fft(covered.unfold(-1, size, hop))
    return spectra


def symbols_of_spectra(
    spectra: Tensor, *, num_symbols: int, sps: int, delays: Tensor | None = None
) -> Tensor:
    """Return the symbols in equalised block spectra, (..., num_symbols).

    Args:
        spectra: `block_spectra` times the weights, (..., num_blocks, BLOCK_SYMBOLS x sps).
        num_symbols: Symbols wanted.
        sps: Samples per symbol.
        delays: How much later than nominal the symbols of each block are, (..., num_blocks)
            [samples]; None for not at all.
    """
    if delays is not None:
        spectra = spectra * delay_ramps(delays, spectra.shape[-1]).to(spectra)
    folded = spectra.reshape(*spectra.shape[:-1], sps, BLOCK_SYMBOLS).sum(-2) / sps
    blocks: Tensor = torch.fft.ifft(folded)[..., BLOCK_MARGIN_SYMBOLS:-BLOCK_MARGIN_SYMBOLS]
    return blocks.flatten(-2)[..., :num_symbols]


def delay_ramps(delays: Tensor, size: int) -> Tensor:
    """Return exp(2 pi j delay f) at the frequencies f of an FFT, (..., size), complex64.

    f = (32 a + b) / size for a = -size / 64 .., b = 0..31: two short tables and one product, as an
    exponential for each value costs ten times more.
    """
    angles = (2.0 * math.pi / size) * delays.to(torch.float64)[..., None]
    half = size // (2 * _RAMP)
    coarse = angles * (_RAMP * torch.arange(-half, half, device=delays.device))
    fine = angles * torch.arange(_RAMP, device=delays.device)
    high = torch.polar(torch.ones_like(coarse), coarse).to(torch.complex64)
    low = torch.polar(torch.ones_like(fine), fine).to(torch.complex64)
    ramps = (high[..., :, None] * low[..., None, :]).flatten(-2)
    shifted: Tensor = torch.fft.ifftshift(ramps, dim=-1)
    return shifted


def equalise(
    iq: Tensor, equaliser: Equaliser, *, first_peak: int, num_symbols: int, sps: int
) -> Tensor:
    """Return the equalised symbols, (..., num_symbols), complex.

    Args:
        iq: (..., num_samples), complex, without carrier offset.
        equaliser: Of the channel.
        first_peak: Sample at which symbol 0 peaks (pulse delay included).
        num_symbols: Symbols wanted.
        sps: Samples per symbol.

    Raises:
        SignalError: `iq` is not complex.
    """
    spectra = block_spectra(iq, first_peak=first_peak, num_symbols=num_symbols, sps=sps)
    weighted = spectra * equaliser.weights[..., None, :].to(spectra)
    return symbols_of_spectra(weighted, num_symbols=num_symbols, sps=sps)
