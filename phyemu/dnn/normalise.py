"""From pixels to what a network was trained on; part of the head, so that no device can forget."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError, SignalError

__all__ = ["Normalise"]


class Normalise(nn.Module):
    """(x - mean) / std for each channel, of bytes or of floats in [0, 1].

    Args:
        mean: Mean of each channel, full scale 1.
        std: Standard deviation of each channel, > 0.

    Raises:
        ConfigError: Lengths differ, or a standard deviation is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean or min(std) <= 0:
            raise ConfigError(f"need one mean and one positive std a channel, got {mean=}, {std=}")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    def forward(self, images: Tensor) -> Tensor:
        """Return normalised float32 images, (batch, channels, height, width).

        Args:
            images: uint8 (0..255), or floating point in [0, 1].

        Raises:
            SignalError: The number of channels is not that of `mean`, or the type is another.
        """
        if images.ndim != 4 or images.shape[1] != len(self.mean):
            raise SignalError(
                f"images must be (batch, {len(self.mean)}, height, width), got "
                f"{tuple(images.shape)}"
            )
        if images.dtype == torch.uint8:
            full_scale = 255.0
        elif images.is_floating_point():
            full_scale = 1.0
        else:
            raise SignalError(f"images must be uint8 or floating point, got {images.dtype}")
        gain = 1 / (full_scale * self.std)
        offset = self.mean / self.std
        return images.float() * gain[:, None, None] - offset[:, None, None]
