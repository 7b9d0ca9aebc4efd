"""Residual networks for 32x32 images (He et al., "Deep Residual Learning", Sec. 4.2).

Depth 6n + 2: a 3x3 convolution, three stages of n blocks with w, 2w, 4w maps of side 32, 16, 8,
global average, one linear layer. Shortcuts that change the size have no parameters (option A).
Names of the layers are those of the public CIFAR checkpoints, so their state dicts load.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.errors import ConfigError

__all__ = ["ResNet", "ResNetConfig", "resnet"]

_MAX_DEPTH = 1202  # the deepest of the paper
_MAX_WIDTH = 1024
_MAX_CLASSES = 100_000


@dataclass(frozen=True, kw_only=True, slots=True)
class ResNetConfig:
    """A CIFAR residual network.

    Attributes:
        depth: 8, 14, 20, 32, 44, 56, 110: any 6n + 2.
        num_classes: Outputs, >= 2.
        in_channels: 3 for colour, 1 for grey.
        width: Feature maps of the first stage; 16 in the paper.
    """

    depth: int
    num_classes: int
    in_channels: int = 3
    width: int = 16

    def __post_init__(self) -> None:
        for name in ("depth", "num_classes", "in_channels", "width"):
            if not isinstance(getattr(self, name), int):
                raise ConfigError(f"ResNet {name} must be an integer, got {getattr(self, name)!r}")
        if not 8 <= self.depth <= _MAX_DEPTH or (self.depth - 2) % 6:
            raise ConfigError(
                f"ResNet depth must be 6n + 2 (8, 20, 32, 44, 56, 110, ...), got {self.depth}"
            )
        if not (2 <= self.num_classes <= _MAX_CLASSES and 1 <= self.in_channels <= _MAX_WIDTH):
            raise ConfigError(
                f"need num_classes in 2..{_MAX_CLASSES} and in_channels in 1..{_MAX_WIDTH}, got "
                f"{self.num_classes} and {self.in_channels}"
            )
        if not 2 <= self.width <= _MAX_WIDTH or self.width % 2:
            raise ConfigError(f"ResNet width must be even, at most {_MAX_WIDTH}, got {self.width}")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.num_new_planes = planes - in_planes

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, planes, height / stride, width / stride)."""
        residual = functional.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        shortcut = x
        if self.num_new_planes or self.stride > 1:
            half = self.num_new_planes // 2
            shortcut = x[:, :, :: self.stride, :: self.stride]
            shortcut = functional.pad(shortcut, (0, 0, 0, 0, half, self.num_new_planes - half))
        return functional.relu(residual + shortcut)


class ResNet(nn.Module):
    """A CIFAR residual network; see `resnet` for seeded weights."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width, blocks = config.width, (config.depth - 2) // 6
        self.conv1 = nn.Conv2d(config.in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, blocks, stride=1)
        self.layer2 = _stage(width, 2 * width, blocks, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, blocks, stride=2)
        self.linear = nn.Linear(4 * width, config.num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) of normalised images (batch, channels, H, W)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.linear(x)
        return logits


def resnet(config: ResNetConfig, *, generator: torch.Generator) -> ResNet:
    """Return a network with He-normal weights and zero biases.

    Args:
        config: Which network.
        generator: CPU source of the weights; it is advanced. The global one is not.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their defaults from the global generator
        model = ResNet(config)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def _stage(in_planes: int, planes: int, blocks: int, *, stride: int) -> nn.Sequential:
    layers = [BasicBlock(in_planes, planes, stride)]
    layers += [BasicBlock(planes, planes, 1) for _ in range(blocks - 1)]
    return nn.Sequential(*layers)
