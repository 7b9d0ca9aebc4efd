"""The waveform fidelity: frames as they are sent, the channel on samples, the real receiver."""

import math

import torch
from torch import Tensor

from phyemu.channel import ChannelLayer, ChannelModel
from phyemu.channel.as_written import as_written, in_full_precision
from phyemu.errors import ConfigError
from phyemu.receiver import ReceiverConfig, receive_aligned
from phyemu.waveform import (
    Constellation,
    FrameFormat,
    build_frame,
    modulate_probabilities,
    symbol_posteriors,
)

__all__ = ["WaveformLink"]

_FRAME_SYMBOLS = 1024  # payload that frames are filled to when images are small
_LEAD_SAMPLES = 64
_TRAIL_SAMPLES = 256


class WaveformLink:
    """A link that builds frames, sends their samples, and receives them; meets `phyemu.dnn.Link`.

    Each frame goes through a draw of its own. What the receiver estimates is a constant to the
    gradients; through derotation, equaliser and phase correction they flow back to the symbols. A
    frame whose preamble is not found leaves equal posteriors, and no gradient.

    Args:
        model: The channel.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
        images_per_frame: Rows of a batch that share a frame; None: as many as fill some 1024
            symbols, at least one.
        amplitude: Of a symbol at the transmitter [full scale], in (0, 1].
        config: Settings of the receiver; None for the defaults.

    Raises:
        ConfigError: An argument is out of range.
    """

    def __init__(
        self,
        model: ChannelModel,
        constellation: Constellation,
        frame_format: FrameFormat,
        *,
        images_per_frame: int | None = None,
        amplitude: float = 0.5,
        config: ReceiverConfig | None = None,
    ) -> None:
        if images_per_frame is not None and images_per_frame < 1:
            raise ConfigError(f"images_per_frame must be at least 1, got {images_per_frame}")
        if not (math.isfinite(amplitude) and 0 < amplitude <= 1):
            raise ConfigError(f"amplitude must lie in (0, 1], got {amplitude}")
        self.model = model
        self.constellation = constellation
        self.frame_format = frame_format
        self.images_per_frame = images_per_frame
        self.amplitude = amplitude
        self._config = config
        self._layer = ChannelLayer(
            model,
            sample_rate_hz=frame_format.sample_rate_hz,
            symbol_rate_hz=frame_format.symbol_rate_hz,
            reference_power=frame_format.reference_power(amplitude),
        )

    @as_written
    def __call__(self, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Return the posteriors of symbols that went through the link.

        Args:
            probabilities: (batch, num_symbols, M), floating, nearly one-hot; gradients flow to
                them. The link computes in float32, autocast or not.
            generator: Of channel and noise, on the device of `probabilities`; it is advanced.

        Returns:
            (batch, num_symbols, M), float32, rows sum to one.

        Raises:
            ConfigError: A frame is longer than the format allows.
        """
        constellation = self.constellation.to(probabilities.device)
        points = modulate_probabilities(in_full_precision(probabilities), constellation)
        batch, num_symbols = points.shape
        together = self.images_per_frame or max(1, _FRAME_SYMBOLS // num_symbols)
        whole = batch // together * together
        parts = []
        if whole:
            frames = points[:whole].reshape(-1, together * num_symbols)
            parts.append(self._send(frames, constellation, generator))
        if whole < batch:
            parts.append(self._send(points[whole:].reshape(1, -1), constellation, generator))
        parts = [part.reshape(-1, num_symbols, part.shape[-1]) for part in parts]
        posteriors = torch.cat(parts) if len(parts) > 1 else parts[0]
        return posteriors

    def _send(
        self, points: Tensor, constellation: Constellation, generator: torch.Generator
    ) -> Tensor:
        """Return the posteriors of frames with these payloads, (num_frames, S, M)."""
        frames = build_frame(points, frame_index=0, frame_format=self.frame_format)
        padded = torch.nn.functional.pad(self.amplitude * frames, (_LEAD_SAMPLES, _TRAIL_SAMPLES))
        received = receive_aligned(
            self._layer(padded.to(torch.complex64), generator),
            sample_start=_LEAD_SAMPLES,
            payload_symbols=points.shape[-1],
            frame_index=0,
            frame_format=self.frame_format,
            constellation=constellation.detach(),
            config=self._config,
        )
        variance = torch.where(
            received.detected, received.noise_variance, torch.ones_like(received.noise_variance)
        )
        arrived = received.points
        if not bool(received.detected.any()):
            # Where no frame at all is found, the gradient is 0 rather than absent.
            arrived = arrived + 0.0 * points
        posteriors = symbol_posteriors(arrived, constellation, noise_variance=variance[:, None])
        if bool(received.detected.all()):
            return posteriors
        equal = torch.full_like(posteriors, 1 / constellation.order)
        return torch.where(received.detected[:, None, None], posteriors, equal)
