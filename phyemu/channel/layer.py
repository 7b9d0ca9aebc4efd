"""The differentiable executor: batches of samples, each through a channel of its own."""

import math

import torch
from torch import Tensor, nn

from phyemu.channel.apply import apply_response
from phyemu.channel.as_written import as_written, in_full_precision
from phyemu.channel.awgn import add_awgn
from phyemu.channel.converter import apply_converter
from phyemu.channel.model import ChannelDraw, ChannelModel
from phyemu.channel.noise_level import noise_variance
from phyemu.channel.oscillator import offset_clock, rotate_carrier
from phyemu.errors import SignalError

__all__ = ["ChannelLayer", "apply_draw"]


@as_written
def apply_draw(
    iq: Tensor,
    draw: ChannelDraw,
    *,
    sample_rate_hz: float,
    symbol_rate_hz: float,
    reference_power: float,
    generator: torch.Generator,
) -> Tensor:
    """Return the samples as received through the drawn channels.

    In this order: sampling clock offset, multipath, carrier offset with phase noise, AWGN, IQ
    imbalance, DC, clipping, quantiser; what `ChannelStream` does, on the same draw.

    Args:
        iq: Samples, (batch, num_samples), complex, one row per link of the draw; complex32 is taken
            to complex64.
        draw: The channels.
        sample_rate_hz: Rate of the samples [Hz].
        symbol_rate_hz: Rate of the symbols that the SNR refers to [Hz].
        reference_power: Mean sample power while active with all symbols at peak, linear.
        generator: Source of the noise, on the device of `iq`; it is advanced.

    Returns:
        Samples like `iq`; differentiable to it.

    Raises:
        SignalError: `iq` does not fit the draw.
    """
    iq = in_full_precision(iq)
    if iq.ndim != 2 or iq.shape[0] != draw.batch_size:
        raise SignalError(
            f"iq must be ({draw.batch_size}, num_samples), one row per link of the draw; got "
            f"{tuple(iq.shape)}"
        )
    variance = noise_variance(
        draw.snr_db.to(iq.device),
        reference_power=reference_power,
        sample_rate_hz=sample_rate_hz,
        symbol_rate_hz=symbol_rate_hz,
    )
    received = offset_clock(iq, draw.impairments)
    received = apply_response(
        received,
        draw.response,
        sample_rate_hz=sample_rate_hz,
        interpolation=draw.interpolation,
    )
    received = rotate_carrier(received, draw.impairments, sample_rate_hz=sample_rate_hz)
    received = add_awgn(received, variance=variance, generator=generator)
    return apply_converter(received, draw.impairments)


class ChannelLayer(nn.Module):
    """Sends each row of a batch through its own draw of a channel model; no parameters.

    It runs in full precision within `torch.autocast`, and as one break of the graph within
    `torch.compile`. Under DDP each process passes a generator of its own.

    Args:
        model: The channel.
        sample_rate_hz: Rate of the samples [Hz].
        symbol_rate_hz: Rate of the symbols that the SNR refers to [Hz].
        reference_power: Mean sample power while active with all symbols at peak, linear.
        interval_s: Time between two steps of the gains [s].
    """

    def __init__(
        self,
        model: ChannelModel,
        *,
        sample_rate_hz: float,
        symbol_rate_hz: float,
        reference_power: float,
        interval_s: float = 1e-3,
    ) -> None:
        super().__init__()
        self.model = model
        self.sample_rate_hz = sample_rate_hz
        self.symbol_rate_hz = symbol_rate_hz
        self.reference_power = reference_power
        self.interval_s = interval_s

    @as_written
    def forward(self, iq: Tensor, generator: torch.Generator) -> Tensor:
        """Return (batch, num_samples) like `iq`, differentiable to it; the generator advances."""
        num_samples = iq.shape[-1]
        num_steps = math.ceil(num_samples / (self.interval_s * self.sample_rate_hz)) + 1
        draw = self.model.draw(
            iq.shape[0],
            num_steps=num_steps,
            interval_s=self.interval_s,
            symbol_rate_hz=self.symbol_rate_hz,
            generator=generator,
        )
        return apply_draw(
            iq,
            draw.to(iq.device),
            sample_rate_hz=self.sample_rate_hz,
            symbol_rate_hz=self.symbol_rate_hz,
            reference_power=self.reference_power,
            generator=generator,
        )
