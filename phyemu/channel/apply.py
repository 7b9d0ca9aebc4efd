"""Multipath on batches of samples, in torch: time-varying gains, fractional delays, gradients."""

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from phyemu.channel.fractional_delay import delay_filters
from phyemu.channel.model import Interpolation
from phyemu.channel.response import ImpulseResponse
from phyemu.errors import ConfigError, SignalError

__all__ = ["apply_response"]


def apply_response(
    iq: Tensor,
    response: ImpulseResponse,
    *,
    sample_rate_hz: float,
    interpolation: Interpolation = Interpolation.LINEAR,
) -> Tensor:
    """Return the samples behind a time-varying multipath channel.

    y[n] = sum over p of g_p(n) sum over k of h(k - d_p) x[n - k],  d_p = delays_s[p] * rate

    with the windowed-sinc h of `fractional_delay` (delays on the sample grid are exact) and the
    gains at sample n on a straight line between two steps of the response, or held. Samples
    before the first and after the last are taken as 0; beyond its last step the response stays.

    Args:
        iq: Samples x, (..., num_samples), complex64 or complex128.
        response: Gains (..., time, path) whose leading dimensions broadcast with those of `iq`;
            its interval is rounded to whole samples.
        sample_rate_hz: Rate of the samples [Hz], > 0.
        interpolation: What the gains do between two steps.

    Returns:
        y, (..., num_samples), dtype and device of `iq`; differentiable to `iq` and to the gains.

    Raises:
        SignalError: `iq` is not complex or holds no sample.
        ConfigError: The rate is not positive.
    """
    if not iq.is_complex() or iq.ndim == 0 or iq.shape[-1] == 0:
        raise SignalError(
            f"iq must be complex (..., num_samples), got {iq.dtype} {tuple(iq.shape)}"
        )
    if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
        raise ConfigError(f"sample_rate_hz must be positive, got {sample_rate_hz}")
    num_samples = iq.shape[-1]
    lags, filters = delay_filters(response.delays_s * sample_rate_hz)
    # Coefficients over the lags, on a contiguous range so that one FFT does them all.
    first, last = int(lags[0]), int(lags[-1])
    interval = max(1, round(response.interval_s * sample_rate_hz))
    held = interpolation is Interpolation.HOLD
    num_knots = -(-num_samples // interval) + (0 if held else 1)
    if response.num_steps == 1:
        interval, num_knots, held = num_samples, 1, True
    knots = torch.arange(num_knots).clamp(max=response.num_steps - 1)
    gains = response.gains[..., knots.to(response.gains.device), :].to(iq.dtype)
    taps = gains @ filters.to(gains.device, gains.dtype)
    span = last - first + 1
    dense = torch.zeros((*taps.shape[:-1], span), dtype=taps.dtype, device=taps.device)
    dense = dense.index_copy(-1, (lags - first).to(taps.device), taps)

    interval = min(interval, num_samples)
    num_intervals = -(-num_samples // interval)
    padding = num_intervals * interval - num_samples
    # Segment s of x with the history that its outputs need: x[n - last] ... x[n - first].
    padded = torch.nn.functional.pad(iq, (max(last, 0), padding + max(-first, 0)))
    offset = max(last, 0) - last
    padded = padded[..., offset : offset + num_intervals * interval + span - 1]
    if padded.shape[-1] < num_intervals * interval + span - 1:  # every lag is negative
        missing = num_intervals * interval + span - 1 - padded.shape[-1]
        padded = torch.nn.functional.pad(padded, (0, missing))
    segments = padded.unfold(-1, interval + span - 1, interval)
    length = _fast_length(interval + span - 1)
    spectrum = torch.fft.fft(segments, length)
    begin = dense[..., :num_intervals, :] if not held else dense
    y = torch.fft.ifft(spectrum * torch.fft.fft(begin, length))[..., span - 1 : span - 1 + interval]
    if not held:
        rise = dense[..., 1:, :] - dense[..., :-1, :]
        moved = torch.fft.ifft(spectrum * torch.fft.fft(rise, length))
        moved = moved[..., span - 1 : span - 1 + interval]
        share = torch.arange(interval, device=iq.device, dtype=iq.real.dtype)
        interval_samples = max(1, round(response.interval_s * sample_rate_hz))
        y = torch.addcmul(y, moved, (share / interval_samples).to(y))
    flat: Tensor = y.flatten(-2)
    return flat[..., :num_samples]


def _fast_length(minimum: int) -> int:
    """Return the smallest 16 x 2^a 3^b 5^c that is at least `minimum`.

    A power of two fills vector registers: 3125 takes twice the time of 3200.
    """
    return 16 * int(next_fast_len(-(-minimum // 16)))
