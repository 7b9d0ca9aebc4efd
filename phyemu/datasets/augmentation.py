"""Random shifts and mirror images of whole batches, on bytes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = ["Augmentation", "augment"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """What may be done to a training image.

    Attributes:
        max_shift_pixels: Largest shift along each axis; the border is filled with zeros, which is
            a random crop of the image padded by as much. CIFAR: 4.
        flip: Mirror every other image left to right. Digits must not be.
    """

    max_shift_pixels: int
    flip: bool

    def __post_init__(self) -> None:
        if self.max_shift_pixels < 0:
            raise ConfigError(f"max_shift_pixels must be >= 0, got {self.max_shift_pixels}")

    @classmethod
    def for_dataset(cls, name: str) -> "Augmentation":
        """Return the customary augmentation: shifts by 2 for digits, crop and flip for the rest."""
        if name == "digits":
            return cls(max_shift_pixels=2, flip=False)
        return cls(max_shift_pixels=4, flip=True)


def augment(images: Tensor, augmentation: Augmentation, *, generator: torch.Generator) -> Tensor:
    """Return shifted and mirrored copies; each image has its own draw.

    Args:
        images: (batch, channels, height, width), any dtype.
        augmentation: What may be done.
        generator: CPU source of the draws, also when the images are elsewhere, so that every
            device sees the same images; it is advanced.

    Returns:
        Images with the shape, dtype and device of `images`.
    """
    batch, _, height, width = images.shape
    reach = augmentation.max_shift_pixels
    shifts = torch.randint(-reach, reach + 1, (2, batch), generator=generator)
    mirrored = torch.rand(batch, generator=generator) < (0.5 if augmentation.flip else 0.0)
    rows = torch.arange(height) + shifts[0, :, None]  # (batch, height): source of each row
    columns = torch.arange(width) + shifts[1, :, None]
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    padded = torch.nn.functional.pad(images, (reach, reach, reach, reach))
    # One gather along each axis; indices count from the padded border.
    rows = (rows + reach).to(images.device)[:, None, :, None]
    columns = (columns + reach).to(images.device)[:, None, None, :]
    taller = padded.gather(2, rows.expand(-1, padded.shape[1], -1, padded.shape[3]))
    return taller.gather(3, columns.expand(-1, padded.shape[1], height, -1))
