"""Least-squares channel estimate from known symbols, without the taps that are only noise.

    r = S h + n,   S[n, d] = s[n - d],   n ~ CN(0, sigma^2 I)

s is the waveform of the known symbols, h the channel on the sample grid. Least squares over all
taps would give each of some fifty the same error, which costs more than a decibel behind the
equaliser. So taps are taken one after the other, at each step the one that explains most of what is
left, all taken ones solved anew (orthogonal matching pursuit), until the best one left explains no
more than the largest of as many draws of noise would: |s_d^H r|^2 / |s_d|^2 < eta sigma^2, where
noise exceeds eta with probability exp(-eta). An AWGN channel is left with one tap.

The pursuit itself is compiled code (`phyemu.waveform.matching_pursuit`).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.matching_pursuit import Pursuit, pursue_taps

__all__ = [
    "ChannelEstimate",
    "KnownWaveform",
    "estimate_channel",
    "known_waveform",
    "pursue_projections",
]

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
        conjugate: S*, (num_rows, num_taps), complex.
    """

    matrix: Tensor
    gram: Tensor
    conjugate: Tensor


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
    return KnownWaveform(matrix, matrix.mH @ matrix, matrix.conj().resolve_conj())


@torch.no_grad()
def estimate_channel(
    iq: Tensor, known: KnownWaveform, *, nuisance: Tensor | None = None
) -> ChannelEstimate:
    """Return the channel that turned the known waveform into the samples.

    No gradients flow: to training, what a receiver estimates is a constant.

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
        part = tone @ known.conjugate
        freedom -= 1
    found = pursue_projections(
        _numbers(flat @ known.conjugate),
        _numbers(part),
        (flat.real.square() + flat.imag.square()).sum(-1).cpu().double().numpy(),
        _numbers(known.gram),
        num_rows=num_rows,
    )
    response = torch.from_numpy(found.response).to(iq)
    noise = torch.from_numpy(found.energy / (freedom - found.counts)).to(iq.real)
    return ChannelEstimate(response.reshape(*iq.shape[:-1], num_taps), noise.reshape(iq.shape[:-1]))


def pursue_projections(
    projected: NDArray[np.complex128],
    part: NDArray[np.complex128],
    energy: NDArray[np.float64],
    gram: NDArray[np.complex128],
    *,
    num_rows: int,
) -> Pursuit:
    """Return the taps that stand out of the noise, of projections; as `pursue_taps`.

    Args:
        projected: S^H r, (rows, num_taps).
        part: S^H of what else is fitted with unit energy, (rows, num_taps); 0: nothing.
        energy: |r|^2, (rows,).
        gram: S^H S, (num_taps, num_taps).
        num_rows: Length of r.
    """
    num_taps = projected.shape[-1]
    return pursue_taps(
        projected,
        energy,
        gram,
        part,
        degrees_of_freedom=num_rows,
        threshold=math.log(num_taps) + _MARGIN,
        most_taps=max(min(_MOST_TAPS, num_taps // 2), 1),
    )


def _numbers(values: Tensor) -> NDArray[np.complex128]:
    """Return complex values on the CPU, where a pursuit of a few kilobytes a row is done."""
    numbers: NDArray[np.complex128] = values.cpu().to(torch.complex128).resolve_conj().numpy()
    return numbers
