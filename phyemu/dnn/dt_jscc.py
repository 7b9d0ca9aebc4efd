"""The network of DT-JSCC, a discrete joint source-channel code (Xie et al., JSAC 2023, CIFAR-10).

S. Xie et al., "Robust Information Bottleneck for Task-Oriented Communication With Digital
Modulation", IEEE JSAC 41(8), 2577-2591 (arXiv:2209.10382). Encoder: four 3x3 convolutions, D/8,
D/4, D/2 and D maps wide, and two residual blocks, D/4 and D wide; the last three convolutions halve
height and width, so a 32x32 image becomes 4x4 slices of D = 512 values. Decoder: two residual
blocks, the maximum over all positions, one linear layer. Between them lies the dictionary
(`Embedding`), so a DT-JSCC is a `PhyDnn` cut at `encoder`, and goes on the air as one.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.errors import ConfigError

__all__ = ["DtJscc", "DtJsccShape", "dt_jscc"]


@dataclass(frozen=True, kw_only=True, slots=True)
class DtJsccShape:
    """Sizes of a DT-JSCC network.

    Attributes:
        num_classes: Outputs, >= 2.
        in_channels: 3 for colour, 1 for grey.
        maps: D, feature maps of the latent and length of an embedding; a multiple of 8, 512 in the
            paper.
    """

    num_classes: int
    in_channels: int = 3
    maps: int = 512

    def __post_init__(self) -> None:
        for name in ("num_classes", "in_channels", "maps"):
            if not isinstance(getattr(self, name), int):
                raise ConfigError(f"DT-JSCC {name} must be an integer, got {getattr(self, name)!r}")
        if not (2 <= self.num_classes <= 100_000 and 1 <= self.in_channels <= 1024):
            raise ConfigError(
                "need num_classes in 2..100000 and in_channels in 1..1024, got "
                f"{self.num_classes} and {self.in_channels}"
            )
        if not 8 <= self.maps <= 4096 or self.maps % 8:
            raise ConfigError(f"DT-JSCC maps must be a multiple of 8 to 4096, got {self.maps}")


class ResidualBlock(nn.Module):
    """A 3x3 and a 1x1 convolution, each behind batch norm and ReLU, beside a shortcut."""

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv1 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        residual = self.conv1(functional.relu(self.bn1(x)))
        residual = self.conv2(functional.relu(self.bn2(residual)))
        features: Tensor = x + residual
        return features


class DtJscc(nn.Module):
    """Encoder and decoder, for images of 8x8 and more; see `dt_jscc` for seeded weights."""

    def __init__(self, config: DtJsccShape) -> None:
        super().__init__()
        self.config = config
        maps = config.maps
        self.encoder = nn.Sequential(
            _convolution(config.in_channels, maps // 8, pool=False),
            _convolution(maps // 8, maps // 4, pool=True),
            ResidualBlock(maps // 4),
            _convolution(maps // 4, maps // 2, pool=True),
            _convolution(maps // 2, maps, pool=True),
            ResidualBlock(maps),
        )
        self.decoder = nn.Sequential(
            ResidualBlock(maps),
            ResidualBlock(maps),
            nn.BatchNorm2d(maps),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(maps, config.num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) of normalised images, with nothing quantised."""
        logits: Tensor = self.decoder(self.encoder(images))
        return logits


def dt_jscc(config: DtJsccShape, *, generator: torch.Generator) -> DtJscc:
    """Return a network with He-normal weights and zero biases.

    Args:
        config: Its sizes.
        generator: CPU source of the weights; it is advanced. The global one is not.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their defaults from the global generator
        model = DtJscc(config)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def _convolution(in_planes: int, planes: int, *, pool: bool) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.Conv2d(in_planes, planes, 3, padding=1, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU(),
    ]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
