"""CIFAR-10 and CIFAR-100 as published."""

from pathlib import Path

from .dataset import ImageSet

__all__ = ["load_cifar"]


def load_cifar(path: Path, *, num_classes: int) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test images."""
    raise NotImplementedError
