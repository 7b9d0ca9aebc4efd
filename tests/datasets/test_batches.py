"""Batches cover the set, in an order that the seed fixes."""

import pytest
import torch

from phyemu.datasets import (
    Augmentation,
    ImageSet,
    num_shuffled_batches,
    ordered_batches,
    shuffled_batches,
)
from phyemu.errors import ConfigError


@pytest.fixture
def image_set() -> ImageSet:
    images = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(10, 1, 4, 4)
    return ImageSet(images.contiguous(), torch.arange(10), tuple(map(str, range(10))))


def test_ordered_batches_hold_every_image_once_in_order(image_set: ImageSet) -> None:
    batches = list(ordered_batches(image_set, 4))
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert torch.cat([batch.labels for batch in batches]).tolist() == list(range(10))


def test_shuffled_batches_hold_different_images_with_their_labels(
    image_set: ImageSet, generator: torch.Generator
) -> None:
    batches = list(shuffled_batches(image_set, 3, generator=generator))
    assert len(batches) == num_shuffled_batches(10, 3) == 3
    labels = torch.cat([batch.labels for batch in batches])
    assert len(set(labels.tolist())) == 9
    assert labels.tolist() != sorted(labels.tolist())
    for batch in batches:
        assert batch.images[:, 0, 0, 0].tolist() == batch.labels.tolist()


def test_a_set_smaller_than_a_batch_is_one_batch(
    image_set: ImageSet, generator: torch.Generator
) -> None:
    batches = list(shuffled_batches(image_set, 64, generator=generator))
    assert [len(batch) for batch in batches] == [10]
    assert num_shuffled_batches(10, 64) == 1


def test_the_same_seed_gives_the_same_augmented_epoch(image_set: ImageSet) -> None:
    augmentation = Augmentation(max_shift_pixels=1, flip=True)
    epochs = [
        torch.cat(
            [
                batch.images
                for batch in shuffled_batches(
                    image_set,
                    5,
                    generator=torch.Generator().manual_seed(seed),
                    augmentation=augmentation,
                )
            ]
        )
        for seed in (3, 3, 4)
    ]
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])


def test_the_global_generator_is_left_alone(
    image_set: ImageSet, generator: torch.Generator
) -> None:
    before = torch.get_rng_state()
    list(
        shuffled_batches(
            image_set,
            5,
            generator=generator,
            augmentation=Augmentation(max_shift_pixels=1, flip=True),
        )
    )
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_of_nothing_are_refused(image_set: ImageSet, generator: torch.Generator) -> None:
    with pytest.raises(ConfigError, match="batch_size must be at least 1, got 0"):
        list(ordered_batches(image_set, 0))
    with pytest.raises(ConfigError, match="batch_size"):
        list(shuffled_batches(image_set, 0, generator=generator))
