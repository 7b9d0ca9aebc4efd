"""A backbone can be described and built from its description."""

import pytest
import torch
from torch import nn

from phyemu.dnn import ResNet, ResNetConfig, build_architecture, describe_architecture, resnet
from phyemu.errors import ConfigError


def test_a_description_builds_the_same_architecture(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=14, num_classes=7, width=8), generator=generator)
    before = torch.get_rng_state()
    built = build_architecture(describe_architecture(model))
    assert isinstance(built, ResNet)
    assert built.config == model.config
    assert torch.equal(torch.get_rng_state(), before)


def test_a_network_of_the_user_needs_a_name() -> None:
    assert describe_architecture(nn.Linear(2, 2), name="mine") == {"name": "mine"}
    with pytest.raises(ConfigError, match="Linear needs a name"):
        describe_architecture(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"name": "mine"}, "pass the network as backbone="),
        ({}, "architecture None"),
        ({"name": "cifar-resnet", "depth": 20}, "num_classes"),
        ({"name": "cifar-resnet", "depth": 20, "num_classes": 10, "heads": 3}, "heads"),
        ({"name": "cifar-resnet", "depth": 21, "num_classes": 10}, "6n"),
    ],
)
def test_other_descriptions_are_refused(description: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_architecture(description)
