"""Least-squares channel estimate from known symbols, without the taps that are only noise.

    r = S h + n,   S[n, d] = s[n - d],   n ~ CN(0, sigma^2 I)

s is the waveform of the known symbols, h the channel on the sample grid. Least squares over all
taps would give each of some fifty the same error, which costs more than a decibel behind the
equaliser. So taps are taken one after the other, at each step the one that explains most of what is
left, all taken ones solved anew (orthogonal matching pursuit), until the best one left explains no
more than the largest of as many draws of noise would: |s_d^H r|^2 / |s_d|^2 < eta sigma^2, where
noise exceeds eta with probability exp(-eta). An AWGN channel is left with one tap.

Which taps are taken is decided in compiled code (`phyemu.waveform.matching_pursuit`); the least
squares over them is torch's, and differentiable.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.matching_pursuit import choose_taps

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


def estimate_channel(
    iq: Tensor, known: KnownWaveform, *, nuisance: Tensor | None = None
) -> ChannelEstimate:
    """Return the channel that turned the known waveform into the samples.

    Gradients flow to `iq`: least squares is linear in it, for the taps that were taken.

    Args:
        iq: Samples received, (..., num_rows), complex.
        known: What was sent, on the device and of the type of `iq`.
        nuisance: A waveform of unit energy and unknown amplitude beside the known one, such as the
            tone that DC becomes, (..., num_rows); it is fitted jointly. None: there is none.

    Raises:
        SignalError: Types or shapes do not fit.
    """
    num_rows, num_taps = known.matrix.shape
    if not iq.is_complex() or iq.shape[-1:] != (num_rows,) or iq.dtype != known.matrix.dtype:
        raise SignalError(
            f"need iq (..., {num_rows}) of {known.matrix.dtype}, got {iq.dtype} {tuple(iq.shape)}"
        )
    flat = iq.reshape(-1, num_rows)
    freedom = num_rows
    if nuisance is None:
        part = flat.new_zeros((1, num_taps)).expand(len(flat), -1)
    else:
        tone = nuisance.expand(iq.shape).reshape(-1, num_rows)
        flat = flat - tone * (tone.conj() * flat).sum(-1, keepdim=True)
        part = tone @ known.matrix.conj()
        freedom -= 1
    projected = flat @ known.matrix.conj()
    energy = flat.abs().square().sum(-1)
    with torch.no_grad():
        taken, counts = choose_taps(
            projected,
            energy,
            known.gram,
            part,
            degrees_of_freedom=num_rows,
            threshold=math.log(num_taps) + _MARGIN,
            most_taps=min(_MOST_TAPS, num_taps // 2),
        )
    values, residual = _solve(energy, projected, known.gram, part, taken, counts)
    # Rows that stopped early hold zeros behind their last tap; adding them changes nothing.
    response = torch.zeros_like(projected).scatter_add(1, taken, values)
    noise = residual / (freedom - counts)
    return ChannelEstimate(response.reshape(*iq.shape[:-1], num_taps), noise.reshape(iq.shape[:-1]))


def _solve(
    energy: Tensor, projected: Tensor, gram: Tensor, part: Tensor, taken: Tensor, counts: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the least squares over the first `counts` taps taken, and what they leave."""
    least = 1e-12 * energy.detach() + torch.finfo(energy.dtype).tiny
    chosen = part.gather(1, taken)
    if taken.shape[1] == 1:  # as on every AWGN channel: no system to solve
        right = projected.gather(1, taken)
        values = right / (gram.diagonal().real[taken] - chosen.abs().square())
        explained = (right.conj() * values).real.sum(-1)
        return values, torch.maximum(energy - explained, least)
    active = torch.arange(taken.shape[1], device=taken.device) < counts[:, None]
    both = active[:, :, None] & active[:, None, :]
    system = gram[taken[:, :, None], taken[:, None, :]]
    system = system - chosen[:, :, None] * chosen[:, None, :].conj()
    identity = torch.eye(taken.shape[1], dtype=gram.dtype, device=gram.device)
    system = torch.where(both, system, identity * gram.diagonal().real.max())
    right = torch.where(active, projected.gather(1, taken), torch.zeros_like(projected[:, :1]))
    values = torch.linalg.solve(system, right)
    explained = (right.conj() * values).real.sum(-1)
    return values, torch.maximum(energy - explained, least)
