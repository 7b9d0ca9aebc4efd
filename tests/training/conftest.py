"""A dataset that a small network learns in a second."""

import pytest
import torch

from phyemu.datasets import Dataset, ImageSet
from phyemu.training import BackboneConfig, DataConfig, LinkConfig, PhyDnnConfig, TrainConfig


def bars(num_images: int, seed: int) -> ImageSet:
    """Return noisy 8x8 pictures of a horizontal bar, a vertical bar, or a cross."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_images) % 3
    images = torch.randint(0, 90, (num_images, 1, 8, 8), generator=generator)
    images[labels != 1, :, 3:5, :] += 120
    images[labels != 0, :, :, 3:5] += 40
    return ImageSet(images.clamp(max=255).to(torch.uint8), labels, ("row", "column", "cross"))


@pytest.fixture
def dataset() -> Dataset:
    """Return 96 images to train on, 30 to choose by, 30 to test."""
    return Dataset(
        name="bars",
        train=bars(96, 1),
        validation=bars(30, 2),
        test=bars(30, 3),
        mean=(0.3,),
        std=(0.2,),
    )


@pytest.fixture
def config() -> TrainConfig:
    """Return settings with two stages, four steps an epoch."""
    return TrainConfig(
        seed=5,
        checkpoint_interval_s=0.0,
        data=DataConfig(augment=False),
        backbone=BackboneConfig(depth=8, width=4, epochs=2, batch_size=24, learning_rate=0.05),
        phydnn=PhyDnnConfig(
            split="layer3",
            orders=(8, 4),
            epochs=(2, 1),
            batch_size=24,
            freeze_epochs=1,
            backbone_learning_rate=1e-3,
            embedding_learning_rate=1e-2,
        ),
        link=LinkConfig(channel="awgn:12"),
    )
