"""The images of a set, batch by batch, as often as somebody goes through them."""

from collections.abc import Iterator

from torch import Tensor

from phyemu.datasets import ImageSet, ordered_batches

__all__ = ["OrderedImages"]

_BATCH = 256


class OrderedImages:
    """Batches of images in the order of the set; each iteration begins anew.

    Args:
        image_set: Whose images.
    """

    def __init__(self, image_set: ImageSet) -> None:
        self._image_set = image_set

    def __iter__(self) -> Iterator[Tensor]:
        """Yield (batch, channels, height, width) uint8."""
        for batch in ordered_batches(self._image_set, _BATCH):
            yield batch.images
