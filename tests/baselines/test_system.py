import pytest
import torch
from torch import Tensor, nn

from phyemu.baselines import SystemName, Transport, network_system
from phyemu.channel import Awgn
from phyemu.datasets import ImageSet
from phyemu.dnn import Normalise, ResNet, ResNetConfig, resnet, split_model
from phyemu.errors import ConfigError

NORMALISE = Normalise([0.5] * 3, [0.2] * 3)
CIFAR = (3, 32, 32)


class Brightness(nn.Module):
    """Says class 0 of dark images and class 1 of bright ones."""

    def forward(self, values: Tensor) -> Tensor:
        """Return logits (batch, 2)."""
        mean = values.float().flatten(1).mean(1)
        return torch.stack([127.5 - mean, mean - 127.5], dim=1)


@pytest.fixture(scope="module")
def resnet20() -> ResNet:
    generator = torch.Generator().manual_seed(0)
    return resnet(ResNetConfig(depth=20, num_classes=10), generator=generator)


def test_split_computing_sends_the_4096_kilobytes_of_the_paper(resnet20: ResNet) -> None:
    head, tail = split_model(resnet20, "layer1")
    system = network_system(
        SystemName.SPLIT_COMPUTING, nn.Sequential(NORMALISE, head), tail, image_shape=CIFAR
    )
    assert system.transport is Transport.FULL_STACK
    assert 64 * system.payload_bytes_per_image == 4096 * 1024
    assert system.symbols_per_image is system.constellation is system.frame_format is None
    images = torch.randint(0, 256, (2, *CIFAR), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(system.logits(images), resnet20(NORMALISE(images)))


def test_the_edge_gets_the_pixels_and_the_device_sends_nothing(resnet20: ResNet) -> None:
    whole = nn.Sequential(NORMALISE, resnet20)
    edge = network_system(SystemName.EDGE_ONLY, None, whole, image_shape=CIFAR)
    assert (edge.transport, edge.payload_bytes_per_image) == (Transport.FULL_STACK, 3 * 32 * 32)
    device = network_system(SystemName.DEVICE_ONLY, whole, None, image_shape=CIFAR)
    assert (device.transport, device.payload_bytes_per_image) == (Transport.NONE, 0.0)
    images = torch.randint(0, 256, (2, *CIFAR), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(edge.logits(images), device.logits(images))


def test_a_system_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a head, a tail or both"):
        network_system(SystemName.EDGE_ONLY, None, None, image_shape=CIFAR)


def test_accuracy_is_the_share_of_images_and_no_channel_changes_bytes() -> None:
    images = torch.zeros(5, 1, 2, 2, dtype=torch.uint8)
    images[2:] = 255
    labels = torch.tensor([0, 1, 1, 1, 0])
    some = ImageSet(images, labels, ("dark", "bright"))
    system = network_system(SystemName.EDGE_ONLY, None, Brightness(), image_shape=(1, 2, 2))
    assert system.accuracy(some, None, 0) == pytest.approx(60.0)
    assert system.accuracy(some, Awgn(-20.0), 0) == pytest.approx(60.0)


def test_the_head_of_a_phydnn_has_the_weights_of_table_iii() -> None:
    """And 42.9 M multiply-accumulates, a seventh of DT-JSCC's; Table III has 291.65 M."""
    with torch.device("meta"):
        head, _ = split_model(ResNet(ResNetConfig(depth=56, num_classes=10)), "layer1")
    weights = sum(parameter.numel() for parameter in head.parameters())
    assert weights == 9 * (3 * 16 + 18 * 16 * 16) + 19 * 2 * 16 == 42_512
    macs = sum(1024 * m.weight.numel() for m in head.modules() if isinstance(m, nn.Conv2d))
    assert macs == 42_909_696
