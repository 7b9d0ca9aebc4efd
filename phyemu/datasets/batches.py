"""Mini-batches of an image set, in an order that a seed fixes."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError

from .augmentation import Augmentation, augment
from .dataset import ImageSet

__all__ = ["Batch", "num_shuffled_batches", "ordered_batches", "shuffled_batches"]


@dataclass(frozen=True, eq=False, slots=True)
class Batch:
    """Images (batch, channels, height, width) uint8 and labels (batch,) int64, on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def ordered_batches(image_set: ImageSet, batch_size: int) -> Iterator[Batch]:
    """Yield all images once, in order and unchanged; the last batch may be smaller.

    Raises:
        ConfigError: `batch_size` is below 1.
    """
    _check_size(batch_size)
    for start in range(0, len(image_set), batch_size):
        stop = start + batch_size
        yield Batch(image_set.images[start:stop], image_set.labels[start:stop])


def shuffled_batches(
    image_set: ImageSet,
    batch_size: int,
    *,
    generator: torch.Generator,
    augmentation: Augmentation | None = None,
) -> Iterator[Batch]:
    """Yield one epoch in random order.

    The draws come batch by batch, so an epoch stopped and begun again with the same generator
    state gives the same batches. A remainder smaller than `batch_size` is left out (it would
    disturb batch-norm statistics) unless it is all there is.

    Args:
        image_set: Images; kept on their device.
        batch_size: Images a batch, >= 1.
        generator: CPU source of order and augmentation; it is advanced.
        augmentation: What is done to the images; None leaves them as they are.

    Raises:
        ConfigError: `batch_size` is below 1.
    """
    _check_size(batch_size)
    order = torch.randperm(len(image_set), generator=generator).to(image_set.images.device)
    num_batches = num_shuffled_batches(len(image_set), batch_size)
    for index in range(num_batches):
        chosen = order[index * batch_size : (index + 1) * batch_size]
        images = image_set.images[chosen]
        if augmentation is not None:
            images = augment(images, augmentation, generator=generator)
        yield Batch(images, image_set.labels[chosen])


def num_shuffled_batches(num_images: int, batch_size: int) -> int:
    """Return how many batches an epoch of `shuffled_batches` has."""
    return max(num_images // batch_size, min(num_images, 1))


def _check_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
