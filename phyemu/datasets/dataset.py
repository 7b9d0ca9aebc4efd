"""Images with labels, held in memory as bytes, in three splits."""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from phyemu.errors import DatasetError

__all__ = ["Dataset", "ImageSet", "channel_statistics"]


@dataclass(frozen=True, eq=False, slots=True)
class ImageSet:
    """Images and their classes.

    Attributes:
        images: Pixels, (num_images, channels, height, width), uint8.
        labels: Class of each image, (num_images,), int64, in [0, len(class_names)).
        class_names: Name of each class, in the order of the labels.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DatasetError(
                "images must be uint8 (num_images, channels, height, width), got "
                f"{self.images.dtype} {tuple(self.images.shape)}"
            )
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DatasetError(
                f"labels must be int64 ({len(self.images)},), one an image, got "
                f"{self.labels.dtype} {tuple(self.labels.shape)}"
            )
        if len(self.labels):
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.class_names):
                raise DatasetError(
                    f"labels must lie in 0..{len(self.class_names) - 1}, got {low}..{high}"
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        channels, height, width = self.images.shape[1:]
        return int(channels), int(height), int(width)

    def subset(self, indices: Tensor) -> "ImageSet":
        """Return the images at `indices` (num_kept,) int64, in that order."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def sha256(self) -> str:
        """Return a hash of labels and pixels, in their order."""
        digest = hashlib.sha256(self.labels.cpu().numpy().tobytes())
        digest.update(self.images.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the set on `device`; batches are then cut and augmented there."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Dataset:
    """Three disjoint splits of one collection.

    Train fits weights, validation chooses (epoch, schedule, settings), test is looked at once.

    Attributes:
        name: The spec without its path: `digits`, `cifar10`, `cifar100`, `image-folder`.
        train: Images that weights are fitted to.
        validation: Images that choices are made on.
        test: Images that results are reported on.
        mean: Mean of each channel over the training images, in [0, 1].
        std: Standard deviation of each channel over the training images, in (0, 1].
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return self.train.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image: (channels, height, width)."""
        return self.train.image_shape

    def summary(self) -> dict[str, object]:
        """Return what a run record says of its data, as plain values."""
        return {
            "name": self.name,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "classes": list(self.train.class_names),
            "image_shape": list(self.image_shape),
            "mean": list(self.mean),
            "std": list(self.std),
        }


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of each channel of uint8 images, full scale 1."""
    # A histogram a channel is exact, and needs no float copy of the images.
    levels = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1).long().cpu(), minlength=256).double()
        share = counts / counts.sum()
        average = (share * levels).sum()
        mean.append(float(average))
        std.append(float(((levels - average).square() * share).sum().sqrt()))
    return tuple(mean), tuple(std)
