"""Images that a small network learns in a second, and a trained network for them."""

import pytest
import torch

from phyemu.baselines import BottleFitConfig, DtJsccConfig, SystemConfig
from phyemu.datasets import Dataset, ImageSet
from phyemu.dnn import ResNet, ResNetConfig, resnet
from phyemu.training import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    TrainConfig,
    train_backbone,
)


def bars(num_images: int, seed: int) -> ImageSet:
    """Return noisy 8x8 pictures of a horizontal bar, a vertical bar, or a cross."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(num_images) % 3
    images = torch.randint(0, 90, (num_images, 1, 8, 8), generator=generator)
    images[labels != 1, :, 3:5, :] += 120
    images[labels != 0, :, :, 3:5] += 40
    return ImageSet(images.clamp(max=255).to(torch.uint8), labels, ("row", "column", "cross"))


@pytest.fixture(scope="session")
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
def config() -> SystemConfig:
    """Return settings of four steps an epoch."""
    return SystemConfig(
        seed=5,
        checkpoint_interval_s=0.0,
        data=DataConfig(augment=False),
        bottlefit=BottleFitConfig(mimic_epochs=2, epochs=2, batch_size=24, learning_rate=0.01),
        dt_jscc=DtJsccConfig(maps=16, order=4, epochs=2, halve_epochs=1, batch_size=24),
        link=LinkConfig(channel="awgn:12"),
    )


@pytest.fixture
def untrained() -> ResNet:
    """Return a network of random weights."""
    generator = torch.Generator().manual_seed(1)
    shape = ResNetConfig(depth=14, num_classes=3, in_channels=1, width=4)
    return resnet(shape, generator=generator)


@pytest.fixture(scope="session")
def backbone(dataset: Dataset) -> ResNet:
    """Return a network that knows the three pictures."""
    settings = TrainConfig(
        seed=5,
        data=DataConfig(augment=False),
        backbone=BackboneConfig(depth=8, width=4, batch_size=24, learning_rate=0.05, epochs=8),
        link=LinkConfig(channel="awgn:12"),
    )
    result = train_backbone(dataset, settings)
    assert isinstance(result.backbone, ResNet)
    return result.backbone
