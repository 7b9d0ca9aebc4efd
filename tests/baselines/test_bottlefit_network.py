import pytest
import torch
from torch import nn

from phyemu.baselines.bottlefit_network import BottleFitNet, stage_features
from phyemu.dnn import Normalise, ResNet, ResNetConfig, captured_output, evaluating, resnet
from phyemu.errors import ConfigError

NORMALISE = Normalise([0.3], [0.2])


def narrowed(backbone: nn.Module, maps: int = 1) -> BottleFitNet:
    generator = torch.Generator().manual_seed(7)
    return BottleFitNet(backbone, NORMALISE, maps=maps, generator=generator)


@pytest.mark.parametrize("maps", [1, 2])
def test_what_is_sent_is_as_many_maps_as_the_bottleneck_has(untrained: ResNet, maps: int) -> None:
    network = narrowed(untrained, maps)
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    sent = network.head(images)
    assert sent.shape == (5, maps, 8, 8)
    assert sent.dtype == torch.float32
    assert network.tail(sent).shape == (5, 3)


def test_only_the_bottleneck_passes_the_cut(untrained: ResNet) -> None:
    """A narrowed convolution of zeros sends the same for every image: no shortcut goes by it."""
    network = narrowed(untrained)
    nn.init.zeros_(network.head.narrowed.weight)
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    with evaluating(network):
        sent = network.head(images)
        logits = network(images)
    assert bool((sent == sent[0]).all())
    assert bool((logits == logits[0]).all())


def test_what_the_trained_network_has_is_copied_and_left_alone(untrained: ResNet) -> None:
    before = {name: value.clone() for name, value in untrained.state_dict().items()}
    network = narrowed(untrained)
    assert torch.equal(network.head.conv1.weight, untrained.conv1.weight)
    assert torch.equal(network.head.blocks[0].conv2.weight, untrained.layer1[0].conv2.weight)
    assert torch.equal(network.head.last_conv1.weight, untrained.layer1[1].conv1.weight)
    assert torch.equal(network.tail.linear.weight, untrained.linear.weight)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    for name, value in untrained.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_stage_features_are_those_that_the_network_computes(untrained: ResNet) -> None:
    images = torch.randn(2, 1, 8, 8)
    with (
        evaluating(untrained),
        captured_output(untrained, "layer1") as first,
        captured_output(untrained, "layer2") as second,
        captured_output(untrained, "layer3") as third,
    ):
        untrained(images)
    with evaluating(untrained):
        found = stage_features(untrained, images)
    for own, expected in zip(found, (first[0], second[0], third[0]), strict=True):
        assert torch.equal(own, expected)


def test_features_of_the_tail_have_the_shapes_of_the_stages(untrained: ResNet) -> None:
    network = narrowed(untrained)
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with evaluating(network):
        own = network.tail.features(network.head(images))
        stages = stage_features(untrained, NORMALISE(images))
    assert [f.shape for f in own] == [f.shape for f in stages]


def test_the_seed_makes_the_new_weights_and_the_global_generator_stays(untrained: ResNet) -> None:
    state = torch.get_rng_state()
    first, second = narrowed(untrained), narrowed(untrained)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def test_another_network_is_refused(untrained: ResNet) -> None:
    with pytest.raises(ConfigError, match="Linear is none; take resnet20"):
        narrowed(nn.Linear(3, 3))
    with pytest.raises(ConfigError, match="1 to 3 maps, got 4"):
        narrowed(untrained, 4)


def test_resnet20_sends_the_bytes_of_the_paper() -> None:
    backbone = resnet(
        ResNetConfig(depth=20, num_classes=10), generator=torch.Generator().manual_seed(0)
    )
    images = torch.zeros(64, 3, 32, 32, dtype=torch.uint8)
    for maps, kilobytes in ((1, 256), (2, 512)):
        network = BottleFitNet(backbone, Normalise([0.5] * 3, [0.2] * 3), maps=maps, generator=None)
        with evaluating(network):
            sent = network.head(images)
        assert sent.numel() * sent.element_size() == kilobytes * 1024
