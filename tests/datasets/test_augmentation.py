"""Augmentation shifts and mirrors, and does nothing else."""

import pytest
import torch

from phyemu.datasets import Augmentation, augment
from phyemu.errors import ConfigError


def _naive(image: torch.Tensor, dy: int, dx: int, mirror: bool) -> torch.Tensor:
    """Shift (and mirror) one image pixel by pixel."""
    channels, height, width = image.shape
    shifted = torch.zeros_like(image)
    for c in range(channels):
        for y in range(height):
            for x in range(width):
                sy, sx = y + dy, x + dx
                if 0 <= sy < height and 0 <= sx < width:
                    shifted[c, y, x] = image[c, sy, sx]
    return shifted.flip(2) if mirror else shifted


def test_every_image_is_a_shifted_maybe_mirrored_original(generator: torch.Generator) -> None:
    images = torch.randint(1, 256, (40, 2, 5, 6), dtype=torch.uint8, generator=generator)
    before = images.clone()
    changed = augment(images, Augmentation(max_shift_pixels=1, flip=True), generator=generator)
    seen = set()
    for original, result in zip(images, changed, strict=True):
        matches = [
            (dy, dx, mirror)
            for dy in (-1, 0, 1)
            for dx in (-1, 0, 1)
            for mirror in (False, True)
            if torch.equal(result, _naive(original, dy, dx, mirror))
        ]
        assert len(matches) == 1
        seen.add(matches[0])
    # 40 draws of 18 equally likely cases leave 18 (17/18)^40 = 1.8 unseen on average.
    assert len(seen) > 9
    assert torch.equal(images, before)


def test_digits_are_never_mirrored(generator: torch.Generator) -> None:
    augmentation = Augmentation.for_dataset("digits")
    ramp = torch.arange(1, 11, dtype=torch.uint8).repeat(64, 1, 9, 1)
    changed = augment(ramp, augmentation, generator=generator)
    inner = changed[:, 0, 4, 2:-2].int()
    assert bool((inner.diff(dim=1) == 1).all())
    assert Augmentation.for_dataset("cifar10").flip


def test_no_shift_and_no_flip_leave_the_images(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8, generator=generator)
    same = augment(images, Augmentation(max_shift_pixels=0, flip=False), generator=generator)
    assert torch.equal(same, images)


def test_a_negative_shift_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_shift_pixels must be >= 0, got -1"):
        Augmentation(max_shift_pixels=-1, flip=False)
