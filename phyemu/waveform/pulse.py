"""Root-raised-cosine pulses: shaping at the transmitter, the matched filter at the receiver."""

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import conv1d, pad

from phyemu.errors import ConfigError, SignalError

__all__ = ["matched_filter", "rrc_taps", "shape_pulses"]


def rrc_taps(samples_per_symbol: int, rolloff: float, span_symbols: int) -> Tensor:
    """Return a root-raised-cosine pulse of unit energy, (span x samples_per_symbol + 1,), float64.

    h(t) = [sin(pi t (1-a)) + 4 a t cos(pi t (1+a))] / [pi t (1 - (4 a t)^2)],  t in symbols
    (Proakis, Digital Communications, 4th ed., 9.2-30), cut to +-span/2 and scaled.

    Args:
        samples_per_symbol: >= 1.
        rolloff: a, 0 < a <= 1.
        span_symbols: Length, even, >= 2.

    Raises:
        ConfigError: A setting is out of range.
    """
    if samples_per_symbol < 1 or not 0 < rolloff <= 1 or span_symbols < 2 or span_symbols % 2:
        raise ConfigError(
            "a root-raised-cosine pulse needs samples_per_symbol >= 1, 0 < rolloff <= 1 and an "
            f"even span_symbols >= 2, got {samples_per_symbol=}, {rolloff=}, {span_symbols=}"
        )
    half = span_symbols * samples_per_symbol // 2
    t = torch.arange(-half, half + 1, dtype=torch.float64) / samples_per_symbol
    a = rolloff
    # Both singular points have a limit; elsewhere the formula holds.
    at_zero = t == 0
    at_pole = (4.0 * a * t.abs() - 1.0).abs() < 1e-9
    safe = torch.where(at_zero | at_pole, torch.full_like(t, 0.1 / a), t)
    numerator = torch.sin(math.pi * safe * (1 - a)) + 4 * a * safe * torch.cos(
        math.pi * safe * (1 + a)
    )
    taps = numerator / (math.pi * safe * (1 - (4 * a * safe) ** 2))
    taps[at_zero] = 1 - a + 4 * a / math.pi
    taps[at_pole] = (a / math.sqrt(2)) * (
        (1 + 2 / math.pi) * math.sin(math.pi / (4 * a))
        + (1 - 2 / math.pi) * math.cos(math.pi / (4 * a))
    )
    return taps / taps.square().sum().sqrt()


def _rails(signal: Tensor) -> Tensor:
    """Return the real and imaginary parts as rows, (rows, 1, n), for the real filters of torch."""
    return torch.view_as_real(signal).transpose(-1, -2).reshape(-1, 1, signal.shape[-1])


def _joined(rails: Tensor, shape: torch.Size) -> Tensor:
    """Return the complex signal of the rows that `_rails` made."""
    pairs = rails.reshape(*shape[:-1], 2, rails.shape[-1]).transpose(-1, -2)
    return torch.view_as_complex(pairs.contiguous())


def _check(signal: Tensor, taps: Tensor, name: str) -> None:
    if not signal.is_complex() or signal.ndim == 0 or signal.shape[-1] == 0:
        raise SignalError(
            f"{name} must be complex, (..., n) with n > 0, got {signal.dtype} {tuple(signal.shape)}"
        )
    if taps.ndim != 1 or taps.is_complex():
        raise SignalError(f"taps must be real, (num_taps,), got {taps.dtype} {tuple(taps.shape)}")


def shape_pulses(points: Tensor, taps: Tensor, *, samples_per_symbol: int) -> Tensor:
    """Return the pulses of the points added up, (..., (S - 1) samples_per_symbol + num_taps).

    x[n] = sum_s points[s] taps[n - s samples_per_symbol]; symbol s peaks at sample
    s x samples_per_symbol + (num_taps - 1) / 2 of a symmetric pulse. Gradients flow to `points`.

    Args:
        points: (..., S), complex.
        taps: The pulse, (num_taps,), real, any type.
        samples_per_symbol: Distance of two pulses [samples], >= 1.

    Raises:
        SignalError: Wrong shapes or types.
        ConfigError: `samples_per_symbol` is less than 1.
    """
    _check(points, taps, "points")
    if samples_per_symbol < 1:
        raise ConfigError(f"samples_per_symbol must be at least 1, got {samples_per_symbol}")
    # Each phase of the samples is the symbols behind a filter of its own: with two samples per
    # symbol, even samples take the taps 0 2 4, odd ones 1 3. FFTs do all phases at a fifth of the
    # time of torch's transposed convolution.
    num_samples = (points.shape[-1] - 1) * samples_per_symbol + len(taps)
    num_taps = -(-len(taps) // samples_per_symbol)
    padded = pad(taps.to(points.real), (0, num_taps * samples_per_symbol - len(taps)))
    phases = padded.reshape(num_taps, samples_per_symbol).T
    length = points.shape[-1] + num_taps - 1
    size = next_fast_len(length)
    spectra = torch.fft.fft(points, size)[..., None, :] * torch.fft.fft(phases, size)
    shaped = torch.fft.ifft(spectra)[..., :length]
    samples: Tensor = shaped.transpose(-1, -2).flatten(-2)[..., :num_samples]
    return samples


def matched_filter(iq: Tensor, taps: Tensor) -> Tensor:
    """Return the samples correlated with the pulse, of the same length.

    y[n] = sum_k iq[n + k - K] taps[k],  K = (num_taps - 1) / 2, zeros outside: a pulse that peaks
    at sample n peaks there again, with the value 1. Gradients flow to `iq`.

    Args:
        iq: (..., num_samples), complex.
        taps: The pulse, (num_taps,), real, an odd number of them.

    Raises:
        SignalError: Wrong shapes or types, or an even number of taps.
    """
    _check(iq, taps, "iq")
    if len(taps) % 2 == 0:
        raise SignalError(f"a matched filter without delay needs odd num_taps, got {len(taps)}")
    rails = _rails(iq)
    return _joined(conv1d(rails, taps.to(rails)[None, None, :], padding=len(taps) // 2), iq.shape)
