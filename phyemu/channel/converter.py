"""What an imperfect receiver does after the mixer, in torch: IQ, DC, clipping, quantiser."""

import torch
from torch import Tensor

from phyemu.channel.impairments import Impairments
from phyemu.errors import SignalError

__all__ = ["apply_converter"]


def apply_converter(iq: Tensor, impairments: Impairments) -> Tensor:
    """Return the samples behind IQ imbalance, DC offset, clipping and quantisation, in that order.

    I' = I,  Q' = g (Q cos phi - I sin phi),  g = 10^(iq_gain_db / 20), phi = iq_phase_rad;
    then + dc_offset; then I and Q limited to +-clip_level; then rounded to steps of
    2 clip_level / 2^bits.

    Args:
        iq: Samples, (batch, num_samples), complex.
        impairments: Of the batch.

    Returns:
        Samples like `iq`; differentiable to it: clipping passes no gradient where it clips, the
        quantiser passes it unchanged (straight through).
    """
    if not iq.is_complex() or iq.ndim != 2 or iq.shape[0] != impairments.cfo_hz.numel():
        raise SignalError(
            f"iq must be complex ({impairments.cfo_hz.numel()}, num_samples) like the batch of "
            f"impairments, got {iq.dtype} {tuple(iq.shape)}"
        )

    def column(value: Tensor) -> Tensor:
        return value.to(iq.device)[:, None]

    received = iq
    if bool(impairments.iq_gain_db.any()) or bool(impairments.iq_phase_rad.any()):
        # The same as a x + b x*: the signal and its image.
        ratio = 10 ** (column(impairments.iq_gain_db) / 20)
        turned = torch.polar(ratio, column(impairments.iq_phase_rad).to(ratio))
        signal, image = (1 + turned.conj()) / 2, (1 - turned) / 2
        received = signal.to(iq.dtype) * iq + image.to(iq.dtype) * iq.conj()
    if bool(impairments.dc_offset.any()):
        received = received + column(impairments.dc_offset).to(iq.dtype)
    level = column(impairments.clip_level)
    bits = column(impairments.bits)
    limited = torch.isfinite(level) | (bits > 0)
    if not bool(limited.any()):
        return received
    in_phase, quadrature = received.real, received.imag
    full_scale = torch.where(torch.isfinite(level), level, torch.ones_like(level)).to(in_phase)
    in_phase = torch.where(limited, in_phase.clamp(-full_scale, full_scale), in_phase)
    quadrature = torch.where(limited, quadrature.clamp(-full_scale, full_scale), quadrature)
    if bool(bits.any()):
        steps = torch.where(bits > 0, 2.0 ** (bits - 1) / full_scale, 0).to(in_phase)
        in_phase = _quantised(in_phase, steps)
        quadrature = _quantised(quadrature, steps)
    return torch.complex(in_phase, quadrature)


def _quantised(values: Tensor, steps: Tensor) -> Tensor:
    """Return values rounded to 1 / steps (where steps > 0), with the gradient of the identity."""
    rounded = torch.where(steps > 0, torch.round(values * steps) / steps.clamp(min=1e-30), values)
    return values + (rounded - values).detach()
