"""What imperfect oscillators do to samples, in torch: clock offset, carrier offset, phase noise."""

import torch
from torch import Tensor

from phyemu.channel.counter_random import counter_normals_of, stream_keys
from phyemu.channel.fractional_delay import (
    NUM_TAPS,
    TABLE_MARGIN,
    TABLE_STEPS,
    interpolator_table,
)
from phyemu.channel.impairments import Impairments
from phyemu.channel.phase_noise import PHASE_KNOT_SAMPLES, PHASE_STREAM, phase_step_turns
from phyemu.errors import SignalError

__all__ = ["offset_clock", "phase_knots", "rotate_carrier"]


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


def phase_knots(num_samples: int, impairments: Impairments, *, sample_rate_hz: float) -> Tensor:
    """Return the Wiener phase noise of each link [turns], (batch, num_knots), float64.

    A random walk over the samples 0, 16, 32, ... up to the first that is not below `num_samples`,
    var(phi(t + T) - phi(t)) = 2 pi linewidth T rad^2; between them the phase moves on straight
    lines. Its normals come from a counter under the key `impairments.seed`, so that any executor
    draws the same walk.
    """
    device = impairments.linewidth_hz.device
    num_steps = -(-num_samples // PHASE_KNOT_SAMPLES)
    counters = torch.arange((num_steps + 1) // 2, device=device)
    deviations = [
        phase_step_turns(linewidth_hz, sample_rate_hz)
        for linewidth_hz in impairments.linewidth_hz.tolist()
    ]
    keys = [stream_keys(seed, PHASE_STREAM) for seed in impairments.seed.tolist()]
    pairs = torch.view_as_real(counter_normals_of(keys, counters)) * 2**0.5
    sigma = torch.tensor(deviations, dtype=torch.float64, device=device)
    steps = sigma[:, None] * pairs.flatten(1)[:, :num_steps]
    return torch.nn.functional.pad(steps.cumsum(-1), (1, 0))


def rotate_carrier(iq: Tensor, impairments: Impairments, *, sample_rate_hz: float) -> Tensor:
    """Return the samples turned by carrier offset and phase noise.

    y[n] = x[n] exp(j 2 pi (cfo_hz n / rate + phi(n))), phi from `phase_knots`.

    Args:
        iq: Samples x, (batch, num_samples), complex.
        impairments: Of the batch; `cfo_hz`, `linewidth_hz` and `seed` count.
        sample_rate_hz: Rate of the samples [Hz].

    Returns:
        y, like `iq`; differentiable to it.
    """
    _check(iq, impairments)
    wanders = bool(impairments.linewidth_hz.any())
    if not wanders and not bool(impairments.cfo_hz.any()):
        return iq
    num_samples = iq.shape[-1]
    # The phase is piecewise linear, so it is known at its knots; whole turns leave it there, in
    # double precision, and the type of the samples does for what is left.
    num_steps = -(-num_samples // PHASE_KNOT_SAMPLES)
    per_knot = impairments.cfo_hz.to(iq.device)[:, None] / sample_rate_hz * PHASE_KNOT_SAMPLES
    turns = per_knot * torch.arange(num_steps, dtype=torch.float64, device=iq.device)
    slopes = per_knot.expand(-1, num_steps)
    if wanders:
        walk = phase_knots(num_samples, impairments, sample_rate_hz=sample_rate_hz).to(iq.device)
        turns = turns + walk[:, :-1]
        slopes = slopes + (walk[:, 1:] - walk[:, :-1])
    real = iq.real.dtype
    share = torch.arange(PHASE_KNOT_SAMPLES, dtype=real, device=iq.device) / PHASE_KNOT_SAMPLES
    start = (turns - turns.floor()).to(real)
    angles = 2 * torch.pi * (start[:, :, None] + slopes.to(real)[:, :, None] * share)
    angles = angles.flatten(1)[:, :num_samples]
    return iq * torch.complex(torch.cos(angles), torch.sin(angles))


def _check(iq: Tensor, impairments: Impairments) -> None:
    if not iq.is_complex() or iq.ndim != 2 or iq.shape[0] != impairments.cfo_hz.numel():
        raise SignalError(
            f"iq must be complex ({impairments.cfo_hz.numel()}, num_samples) like the batch of "
            f"impairments, got {iq.dtype} {tuple(iq.shape)}"
        )
