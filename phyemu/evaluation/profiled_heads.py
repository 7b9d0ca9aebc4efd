"""Heads as they are deployed, which the profile of a device is checked with."""

from collections.abc import Iterator

import torch

from phyemu.dnn import ResNetConfig, resnet, split_model
from phyemu.metering import Case

__all__ = ["profiled_heads"]


def profiled_heads() -> Iterator[Case]:
    """Yield heads of residual networks, cut where the paper and our presets cut them."""
    for depth, width, split, batch in (
        (8, 8, "layer1", 1),
        (8, 8, "layer2", 2),
        (8, 24, "layer2", 1),
        (14, 12, "layer3", 1),
        (14, 16, "layer1", 1),
        (20, 8, "layer2", 2),
        (20, 16, "layer1", 1),
        (20, 16, "layer2", 1),
    ):
        config = ResNetConfig(depth=depth, num_classes=10, width=width)
        head, _ = split_model(resnet(config, generator=torch.Generator().manual_seed(0)), split)
        yield Case(
            name=f"ResNet-{depth} of width {width} up to {split}, {batch} images",
            network=head,
            shape=(batch, 3, 32, 32),
        )
