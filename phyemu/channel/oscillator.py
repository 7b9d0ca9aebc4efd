"""What imperfect oscillators do to samples, in torch: clock offset, carrier offset, phase noise."""

import torch
from torch import Tensor

from phyemu.channel.counter_random import counter_normals, stream_keys
from phyemu.channel.fractional_delay import (
    NUM_TAPS,
    TABLE_MARGIN,
    TABLE_STEPS,
    interpolator_table,
)
from phyemu.channel.impairments import Impairments
from phyemu.channel.phase_noise import PHASE_KNOT_SAMPLES, PHASE_STREAM, phase_step_turns
from phyemu.errors import SignalError

__all__ = ["offset_clock", "phase_walk", "rotate_carrier"]


def offset_clock(iq: Tensor, impairments: Impairments) -> Tensor:
    """Return the samples as a receiver with another sampling clock takes them.

    y[n] = x(n (1 + sfo_ppm 1e-6)), by windowed-sinc interpolation; 0 outside of the samples.

    Args:
        iq: Samples x, (batch, num_samples), complex.
        impairments: Of the batch; only `sfo_ppm` counts.

    Returns:
        y, like `iq`; differentiable to it.
    """
    _check(iq, impairments)
    if not bool(impairments.sfo_ppm.any()):
        return iq
    num_samples = iq.shape[-1]
    device = iq.device
    n = torch.arange(num_samples, dtype=torch.float64, device=device)
    drift = impairments.sfo_ppm.to(device)[:, None] * 1e-6 * n
    whole = drift.floor()
    place = (drift - whole) * TABLE_STEPS + TABLE_MARGIN
    row = place.floor().long()
    share = (place - row).to(iq.real.dtype)
    table = interpolator_table().to(device, iq.real.dtype)
    index = n.long() + whole.long() + NUM_TAPS // 2
    padded = torch.nn.functional.pad(iq, (NUM_TAPS // 2, NUM_TAPS // 2))
    y = torch.zeros_like(iq)
    for tap in range(NUM_TAPS):
        column = table[:, tap]
        weight = torch.lerp(column[row], column[row + 1], share)
        where = index + tap - NUM_TAPS // 2 + 1
        inside = (where >= 0) & (where < padded.shape[-1])
        taken = torch.gather(padded, -1, where.clamp(0, padded.shape[-1] - 1))
        y = y + weight * inside * taken
    return y


def phase_walk(num_samples: int, impairments: Impairments, *, sample_rate_hz: float) -> Tensor:
    """Return the Wiener phase noise of each link [turns], (batch, num_samples), float64.

    A random walk over knots of 16 samples, var(phi(t + T) - phi(t)) = 2 pi linewidth T rad^2, on
    straight lines between them; its normals come from a counter under the key
    `impairments.seed`, so that any executor draws the same walk.
    """
    linewidths_hz = impairments.linewidth_hz.tolist()
    num_knots = num_samples // PHASE_KNOT_SAMPLES + 2
    knots = torch.arange((num_knots + 1) // 2)
    place = torch.arange(num_samples, dtype=torch.float64) / PHASE_KNOT_SAMPLES
    index = place.floor().long()
    walks = torch.zeros((len(linewidths_hz), num_samples), dtype=torch.float64)
    for link, linewidth_hz in enumerate(linewidths_hz):
        sigma = phase_step_turns(linewidth_hz, sample_rate_hz)
        if sigma == 0:
            continue
        keys = stream_keys(int(impairments.seed[link]), PHASE_STREAM)
        pairs = torch.view_as_real(counter_normals(keys, knots)) * 2**0.5
        steps = sigma * pairs.flatten()
        walk = torch.cat([torch.zeros(1, dtype=torch.float64), steps.cumsum(0)])
        walks[link] = torch.lerp(walk[index], walk[index + 1], place - index)
    return walks.to(impairments.linewidth_hz.device)


def rotate_carrier(iq: Tensor, impairments: Impairments, *, sample_rate_hz: float) -> Tensor:
    """Return the samples turned by carrier offset and phase noise.

    y[n] = x[n] exp(j 2 pi (cfo_hz n / rate + phi(n))), phi from `phase_walk`.

    Args:
        iq: Samples x, (batch, num_samples), complex.
        impairments: Of the batch; `cfo_hz`, `linewidth_hz` and `seed` count.
        sample_rate_hz: Rate of the samples [Hz].

    Returns:
        y, like `iq`; differentiable to it.
    """
    _check(iq, impairments)
    if not bool(impairments.cfo_hz.any()) and not bool(impairments.linewidth_hz.any()):
        return iq
    num_samples = iq.shape[-1]
    n = torch.arange(num_samples, dtype=torch.float64, device=iq.device)
    turns = impairments.cfo_hz.to(iq.device)[:, None] / sample_rate_hz * n
    if bool(impairments.linewidth_hz.any()):
        walk = phase_walk(num_samples, impairments, sample_rate_hz=sample_rate_hz)
        turns = turns + walk.to(iq.device)
    turns = 2 * torch.pi * (turns - turns.floor())
    return iq * torch.polar(torch.ones_like(turns), turns).to(iq.dtype)


def _check(iq: Tensor, impairments: Impairments) -> None:
    if not iq.is_complex() or iq.ndim != 2 or iq.shape[0] != impairments.cfo_hz.numel():
        raise SignalError(
            f"iq must be complex ({impairments.cfo_hz.numel()}, num_samples) like the batch of "
            f"impairments, got {iq.dtype} {tuple(iq.shape)}"
        )
