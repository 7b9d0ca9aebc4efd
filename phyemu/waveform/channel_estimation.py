"""Least-squares channel estimate from known symbols, without the taps that are only noise.

    r = S h + n,   S[n, d] = s[n - d],   n ~ CN(0, sigma^2 I)

s is the waveform of the known symbols, h the channel on the sample grid. Least squares over all
taps would give each of some fifty the same error, which costs more than a decibel behind the
equaliser. So taps are taken one after the other, at each step the one that explains most of what is
left, all taken ones solved anew (orthogonal matching pursuit), until the best one left explains no
more than the largest of as many draws of noise would: |s_d^H r|^2 / |s_d|^2 < eta sigma^2, where
noise exceeds eta with probability exp(-eta). An AWGN channel is left with one tap.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError

__all__ = ["ChannelEstimate", "KnownWaveform", "estimate_channel", "known_waveform"]

_MARGIN = 1.0  # eta is ln(taps) + this: e^-1 taps of noise are taken on average
_MOST_TAPS = 32


@dataclass(frozen=True, eq=False, slots=True)
class ChannelEstimate:
    """A channel as known symbols show it.

    Attributes:
        response: Channel on the sample grid, (..., num_taps), complex.
        noise_variance: Total complex variance of the noise on a sample, (...), real.
    """

    response: Tensor
    noise_variance: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class KnownWaveform:
    """What known symbols send, at every delay considered.

    Attributes:
        matrix: S, (num_rows, num_taps), complex.
        gram: S^H S, (num_taps, num_taps), complex.
    """

    matrix: Tensor
    gram: Tensor


def known_waveform(
    waveform: Tensor, *, first_row: int, num_rows: int, first_delay: int, num_delays: int
) -> KnownWaveform:
    """Return S with S[i, j] = waveform[first_row + i - (first_delay + j)], zero outside.

    With first_row 0 and delays -1, 0, 1, the waveform a b c gives the rows b a 0, c b a, 0 c b.

    Args:
        waveform: What the known symbols send, (n,), complex.
        first_row: Sample of the waveform that the first row shows; may be negative.
        num_rows: Samples received, more than the delays.
        first_delay: Delay of the first column [samples]; may be negative.
        num_delays: Columns, >= 1.

    Raises:
        SignalError: `waveform` is not complex and one-dimensional.
        ConfigError: There are not more rows than delays.
    """
    if not waveform.is_complex() or waveform.ndim != 1:
        raise SignalError(f"waveform must be complex, (n,), got {tuple(waveform.shape)}")
    if num_delays < 1 or num_rows <= num_delays:
        raise ConfigError(
            f"{num_rows} samples cannot show {num_delays} taps; consider fewer delays"
        )
    rows = torch.arange(num_rows, device=waveform.device) + first_row
    columns = torch.arange(num_delays, device=waveform.device) + first_delay
    index = rows[:, None] - columns[None, :]
    inside = (index >= 0) & (index < len(waveform))
    values = waveform[index.clamp(0, len(waveform) - 1)]
    matrix = torch.where(inside, values, torch.zeros_like(values))
    return KnownWaveform(matrix, matrix.mH @ matrix)


def estimate_channel(iq: Tensor, known: KnownWaveform) -> ChannelEstimate:
    """Return the channel that turned the known waveform into the samples.

    Gradients flow to `iq`: least squares is linear in it, for the taps that were taken.

    Args:
        iq: Samples received, (..., num_rows), complex.
        known: What was sent, on the device and of the type of `iq`.

    Raises:
        SignalError: Types or shapes do not fit.
    """
    num_rows, num_taps = known.matrix.shape
    if not iq.is_complex() or iq.shape[-1:] != (num_rows,) or iq.dtype != known.matrix.dtype:
        raise SignalError(
            f"need iq (..., {num_rows}) of {known.matrix.dtype}, got {iq.dtype} {tuple(iq.shape)}"
        )
    flat = iq.reshape(-1, num_rows)
    projected = flat @ known.matrix.conj()
    with torch.no_grad():
        taken, counts = _choose(flat, projected, known.gram)
    values, residual = _solve(flat, projected, known.gram, taken, counts)
    # Rows that stopped early hold zeros behind their last tap; adding them changes nothing.
    response = torch.zeros_like(projected).scatter_add(1, taken, values)
    noise = residual / (num_rows - counts)
    return ChannelEstimate(response.reshape(*iq.shape[:-1], num_taps), noise.reshape(iq.shape[:-1]))


def _solve(
    iq: Tensor, projected: Tensor, gram: Tensor, taken: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the least squares over the first `counts` taps taken, and what they leave."""
    energy = iq.abs().square().sum(-1)
    least = 1e-12 * energy.detach() + torch.finfo(energy.dtype).tiny
    if taken.shape[1] == 1:  # as on every AWGN channel: no system to solve
        right = projected.gather(1, taken)
        values = right / gram.diagonal().real[taken]
        explained = (right.conj() * values).real.sum(-1)
        return values, torch.maximum(energy - explained, least)
    active = torch.arange(taken.shape[1], device=taken.device) < counts[:, None]
    both = active[:, :, None] & active[:, None, :]
    part = gram[taken[:, :, None], taken[:, None, :]]
    identity = torch.eye(taken.shape[1], dtype=gram.dtype, device=gram.device)
    part = torch.where(both, part, identity * gram.diagonal().real.max())
    right = torch.where(active, projected.gather(1, taken), torch.zeros_like(projected[:, :1]))
    values = torch.linalg.solve(part, right)
    explained = (right.conj() * values).real.sum(-1)
    return values, torch.maximum(energy - explained, least)


def _choose(iq: Tensor, projected: Tensor, gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return the taps taken, in order, (rows, most), and how many, (rows,)."""
    num_rows, num_taps = iq.shape[-1], gram.shape[-1]
    norms = gram.diagonal().real
    threshold = math.log(num_taps) + _MARGIN
    taken = (projected.abs().square() / norms).argmax(-1, keepdim=True)
    counts = torch.ones(len(iq), dtype=torch.int64, device=iq.device)
    running = torch.ones(len(iq), dtype=torch.bool, device=iq.device)
    for _ in range(min(_MOST_TAPS, num_taps // 2) - 1):
        values, residual = _solve(iq, projected, gram, taken, counts)
        rest = projected - (gram[taken].conj() * values[:, :, None]).sum(1)
        scores = rest.abs().square() / norms
        scores = scores.scatter(1, taken, -1.0)
        best, tap = scores.max(-1, keepdim=True)
        running = running & (best[:, 0] > threshold * residual / (num_rows - counts))
        if not bool(running.any()):
            break
        taken = torch.cat([taken, tap], dim=1)
        counts = counts + running
    return taken, counts
