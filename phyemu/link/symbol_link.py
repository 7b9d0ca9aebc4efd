"""The symbol fidelity: one gain and one noise variance a symbol, drawn from the channel model."""

import math
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from phyemu.channel import Awgn, AwgnRange, ChannelDraw, ChannelModel
from phyemu.channel.as_written import as_written, in_full_precision
from phyemu.errors import ConfigError
from phyemu.waveform import Constellation, FrameFormat, modulate_probabilities, symbol_posteriors

from .effective_sinr import folded_power, mmse_sinr
from .receiver_loss import converter_noise, estimation_taps, image_ratio, phase_error_variance

__all__ = ["EffectiveChannel", "ReceiverModel", "SymbolLink"]

_MAX_SNR = 1e9  # 90 dB stands for "no noise"
_MIN_SINR = 1e-3  # -30 dB: nothing is left to estimate a phase from


class ReceiverModel(StrEnum):
    """What is supposed of the receiver."""

    IDEAL = "ideal"
    """It knows the channel and the phase; equalisation alone costs."""

    ESTIMATING = "estimating"
    """It estimates the channel from the preamble and follows the phase by pilots."""


@dataclass(frozen=True, eq=False, slots=True)
class EffectiveChannel:
    """What the equaliser leaves of a batch of channels.

    Attributes:
        sinr: Peak symbol power over the variance of noise and interference, (batch,), linear.
        phase_variance: Of the common phase error [rad^2], (batch,).
    """

    sinr: Tensor
    phase_variance: Tensor

    @property
    def sinr_db(self) -> Tensor:
        """Return the SINR [dB], (batch,)."""
        return 10 * self.sinr.log10()


class SymbolLink:
    """A link that costs about as much as AWGN; meets `phyemu.dnn.Link`.

    For each draw of the channel: the SINR of the MMSE equaliser in closed form from the response
    over the band (`mmse_sinr`), less what channel estimation costs, with IQ image, DC and quantiser
    as further noise. Each image then gets y = x e^{j theta} + n, with theta the phase that is left
    behind the tracking, and the posteriors of a receiver that knows the variance. With `Awgn` and
    `AwgnRange` it is exactly the paper's y = x + n (Sec. III-A).

    Valid while the response stands still for the length of a frame (Doppler times frame duration
    well below 0.1) and is shorter than the preamble period; clipping and lost frames are not
    modelled. `WaveformLink` has all of these.

    Args:
        model: The channel.
        constellation: Point m is sent for symbol m.
        frame_format: Band, preamble and pilots.
        receiver: What is supposed of the receiver; None: ideal on `Awgn` and `AwgnRange`, which is
            the paper's abstraction, estimating on every other channel.
        images_per_draw: Rows of a batch that share a channel, as images of one frame do; 1 draws
            afresh for each, which serves training best and has the same distribution.
        amplitude: Of a symbol at the receiver [full scale], > 0; DC and quantiser count against it.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(
        self,
        model: ChannelModel,
        constellation: Constellation,
        frame_format: FrameFormat,
        *,
        receiver: ReceiverModel | None = None,
        images_per_draw: int = 1,
        amplitude: float = 0.5,
    ) -> None:
        if images_per_draw < 1:
            raise ConfigError(f"images_per_draw must be at least 1, got {images_per_draw}")
        if not (math.isfinite(amplitude) and amplitude > 0):
            raise ConfigError(f"amplitude must be positive, got {amplitude}")
        if receiver is None:
            ideal = isinstance(model, Awgn | AwgnRange)
            receiver = ReceiverModel.IDEAL if ideal else ReceiverModel.ESTIMATING
        self.model = model
        self.constellation = constellation
        self.frame_format = frame_format
        self.receiver = receiver
        self.images_per_draw = images_per_draw
        self.amplitude = amplitude

    def draw(self, num_draws: int, generator: torch.Generator) -> EffectiveChannel:
        """Return `num_draws` independent channels as the demodulator sees them."""
        draw = self.model.draw(
            num_draws,
            num_steps=1,
            interval_s=1e-3,
            symbol_rate_hz=self.frame_format.symbol_rate_hz,
            generator=generator,
        )
        return self.effective_channel(draw)

    def effective_channel(self, draw: ChannelDraw) -> EffectiveChannel:
        """Return what the demodulator sees of drawn channels; their first time step counts."""
        frame_format = self.frame_format
        snr = (10 ** (draw.snr_db / 10)).clamp(max=_MAX_SNR)
        if self.receiver is ReceiverModel.ESTIMATING:
            taps = estimation_taps(draw.response, snr, frame_format)
            snr = snr / (1 + taps / frame_format.preamble_symbols)
        folded = folded_power(
            draw.response,
            symbol_rate_hz=frame_format.symbol_rate_hz,
            rolloff=frame_format.rolloff,
        )
        # The equaliser trades noise against interference at the mean power of the symbols.
        # As a tensor: a number would be waited for in each step on a GPU.
        power = self.constellation.points.detach().abs().square().mean().double()
        sinr = mmse_sinr(folded[:, 0].double(), power * snr) / power
        front_end = image_ratio(draw.impairments)
        front_end = front_end + converter_noise(draw.impairments, frame_format) / self.amplitude**2
        sinr = (1 / (1 / sinr + front_end)).clamp(_MIN_SINR, _MAX_SNR)
        if self.receiver is ReceiverModel.ESTIMATING:
            variance = phase_error_variance(draw.impairments.linewidth_hz, sinr, frame_format)
        else:
            variance = torch.zeros_like(sinr)
        return EffectiveChannel(sinr, variance)

    @as_written
    def __call__(self, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Return the posteriors of symbols that went through the link.

        Args:
            probabilities: (batch, num_symbols, M), floating, nearly one-hot; gradients flow to
                them. The link computes in float32 or more, autocast or not.
            generator: Of channel and noise, on the device of `probabilities`; it is advanced.

        Returns:
            (batch, num_symbols, M), float32, rows sum to one.
        """
        constellation = self.constellation.to(probabilities.device)
        points = modulate_probabilities(in_full_precision(probabilities), constellation)
        batch = len(points)
        channel = self.draw(math.ceil(batch / self.images_per_draw), generator)
        real = points.real.dtype
        noise_variance = self._rows(1 / channel.sinr, batch).to(real)
        phase_variance = self._rows(channel.phase_variance, batch).to(real)
        received = points
        if self.receiver is ReceiverModel.ESTIMATING:
            phase = torch.empty_like(phase_variance).normal_(generator=generator)
            phase = phase * phase_variance.sqrt()
            received = received * torch.polar(torch.ones_like(phase), phase)
        noise = torch.empty_like(points).normal_(generator=generator)
        received = received + noise_variance.sqrt() * noise
        return symbol_posteriors(
            received, constellation, noise_variance=noise_variance + phase_variance
        )

    def _rows(self, values: Tensor, batch: int) -> Tensor:
        return values.repeat_interleave(self.images_per_draw)[:batch, None]
