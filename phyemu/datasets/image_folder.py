"""Image trees train/CLASS/IMAGE and test/CLASS/IMAGE, as folders or tar archives."""

from pathlib import Path

from .dataset import ImageSet

__all__ = ["load_image_folder"]


def load_image_folder(path: Path) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test images."""
    raise NotImplementedError
