"""Image sets refuse what is no set of images."""

import pytest
import torch

from phyemu.datasets import ImageSet
from phyemu.datasets.dataset import channel_statistics
from phyemu.errors import DatasetError


def _images(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 4, 5), dtype=torch.uint8, generator=generator)


def test_a_subset_keeps_images_and_labels_together(generator: torch.Generator) -> None:
    images = _images(6, generator)
    part = ImageSet(images, torch.arange(6), tuple("abcdef")).subset(torch.tensor([4, 1]))
    assert torch.equal(part.images, images[[4, 1]])
    assert part.labels.tolist() == [4, 1]
    assert (len(part), part.num_classes, part.image_shape) == (2, 6, (3, 4, 5))


def test_channel_statistics_are_those_of_the_float_images(generator: torch.Generator) -> None:
    images = _images(7, generator)
    mean, std = channel_statistics(images)
    pixels = images.double() / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), rel=1e-12)
    assert std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), rel=1e-12)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.zeros(2, 3, 4, 4), torch.zeros(2, dtype=torch.int64), "must be uint8"),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), "images"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64), "labels"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 2]), r"0\.\.1, got 0\.\.2"),
    ],
)
def test_images_and_labels_of_another_kind_are_refused(
    images: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        ImageSet(images, labels, ("a", "b"))
