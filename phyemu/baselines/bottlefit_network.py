"""A residual network whose first stage ends in a bottleneck (BottleFit, as the paper uses it).

The last convolution of the first stage is narrowed to one or two kernels (paper, Sec. IV-B), and
its maps are what is sent. Its block loses the shortcut, which would carry all maps past the
bottleneck. On the server two convolutions restore the maps that the second stage expects, as the
decoder of BottleFit does (Matsubara et al., "BottleFit", WoWMoM 2022, arXiv:2201.02693).
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.dnn import Normalise, ResNet
from phyemu.dnn.resnet import BasicBlock
from phyemu.errors import ConfigError

__all__ = ["BottleFitHead", "BottleFitNet", "BottleFitTail", "stage_features"]


class BottleFitHead(nn.Module):
    """What runs on the device: the first stage of a residual network, narrowed at its end."""

    def __init__(self, backbone: ResNet, normalise: Normalise, maps: int) -> None:
        super().__init__()
        *blocks, last = backbone.layer1.children()
        self.normalise = normalise
        self.conv1, self.bn1 = backbone.conv1, backbone.bn1
        self.blocks = nn.Sequential(*blocks)
        if not isinstance(last, BasicBlock):
            raise ConfigError(
                f"the first stage must end in a BasicBlock, not {type(last).__name__}"
            )
        self.last_conv1, self.last_bn1 = last.conv1, last.bn1
        self.narrowed = nn.Conv2d(backbone.config.width, maps, 3, padding=1, bias=False)
        self.narrowed_bn = nn.BatchNorm2d(maps)

    def forward(self, images: Tensor) -> Tensor:
        """Return what is sent, (batch, maps, height, width) float32, of uint8 images."""
        x = functional.relu(self.bn1(self.conv1(self.normalise(images))))
        x = functional.relu(self.last_bn1(self.last_conv1(self.blocks(x))))
        sent: Tensor = self.narrowed_bn(self.narrowed(x))
        return sent.float()


class BottleFitTail(nn.Module):
    """What runs on the server: the restorer and the stages behind it."""

    def __init__(self, backbone: ResNet, maps: int) -> None:
        super().__init__()
        planes = backbone.config.width
        self.restorer = nn.Sequential(_restoring(maps, planes), _restoring(planes, planes))
        self.layer2, self.layer3 = backbone.layer2, backbone.layer3
        self.linear = backbone.linear

    def inherited(self) -> tuple[nn.Module, ...]:
        """Return what the trained network has, too: all but the restorer."""
        return self.layer2, self.layer3, self.linear

    def features(self, sent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what stands for the outputs of the three stages of the trained network."""
        first = self.restorer(sent)
        second = self.layer2(first)
        return first, second, self.layer3(second)

    def forward(self, sent: Tensor) -> Tensor:
        """Return logits (batch, num_classes) of what was sent."""
        pooled = functional.adaptive_avg_pool2d(self.features(sent)[-1], 1).flatten(1)
        logits: Tensor = self.linear(pooled)
        return logits.float()


class BottleFitNet(nn.Module):
    """Head and tail of a residual network with a bottleneck.

    Args:
        backbone: The trained network; its weights are copied, but for the narrowed convolution.
        normalise: What it was trained with; copied.
        maps: Kernels of the bottleneck, >= 1 and fewer than the first stage has.
        generator: CPU source of the new weights (He-normal); it is advanced. None: PyTorch's own
            start, for weights that are to be loaded.

    Raises:
        ConfigError: The backbone is no residual network of phyemu's, or `maps` is out of range.
    """

    def __init__(
        self,
        backbone: nn.Module,
        normalise: Normalise,
        *,
        maps: int,
        generator: torch.Generator | None,
    ) -> None:
        super().__init__()
        if not isinstance(backbone, ResNet):
            raise ConfigError(
                "BottleFit narrows the first stage of a CIFAR residual network, and "
                f"{type(backbone).__name__} is none; take resnet20, resnet56 ..."
            )
        if not 1 <= maps < backbone.config.width:
            raise ConfigError(
                f"the bottleneck of this network has 1 to {backbone.config.width - 1} maps, got "
                f"{maps}"
            )
        own = copy.deepcopy(backbone)
        with torch.random.fork_rng(devices=[]):  # layers draw their defaults from the global one
            self.head = BottleFitHead(own, copy.deepcopy(normalise), maps)
            self.tail = BottleFitTail(own, maps)
        if generator is not None:
            fresh = [self.head.narrowed, *self.tail.restorer.modules()]
            for layer in fresh:
                if isinstance(layer, nn.Conv2d):
                    nn.init.kaiming_normal_(layer.weight, generator=generator)

    def mimicking_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the weights of head and restorer, which the first stage of training fits."""
        yield from self.head.parameters()
        yield from self.tail.restorer.parameters()

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) of uint8 images, as over a link without errors."""
        logits: Tensor = self.tail(self.head(images))
        return logits


def _restoring(in_planes: int, planes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_planes, planes, 3, padding=1, bias=False), nn.BatchNorm2d(planes), nn.ReLU()
    )


def stage_features(backbone: ResNet, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the outputs of the three stages of a residual network for normalised images."""
    first = backbone.layer1(functional.relu(backbone.bn1(backbone.conv1(images))))
    second = backbone.layer2(first)
    return first, second, backbone.layer3(second)
