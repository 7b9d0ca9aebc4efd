"""What a device is timed with to learn its rates: single layers, and small networks of them.

The single layers tell kinds of operations apart; the networks hold what layers cost in company: the
caches are cold, and the interpreter has modules to walk through. All are small, so that the lowest
of repeated times is one without interruption on a computer that others use, too.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Case", "calibration_layers", "calibration_networks", "unseen_networks"]

_BATCHES = (1, 4, 16)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Case:
    """A network and the shape of its input, batch first."""

    name: str
    network: nn.Module
    shape: tuple[int, ...]


class _ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which halves the sides where the maps double."""

    def __init__(self, inputs: int, maps: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == maps else 2
        self.conv1 = nn.Conv2d(inputs, maps, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(maps)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (batch, maps, height / stride, width / stride)."""
        residual = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, 0, residual.shape[1] - x.shape[1]))
        return functional.relu(x + residual)


def _residual(maps: int, blocks: int, stages: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, maps, 3, padding=1, bias=False)]
    layers += [nn.BatchNorm2d(maps), nn.ReLU()]
    for stage in range(stages):
        for block in range(blocks):
            inputs = maps << (stage - 1 if stage and not block else stage)
            layers.append(_ResidualBlock(inputs, maps << stage))
    return nn.Sequential(*layers)


def calibration_layers() -> Iterator[Case]:
    """Yield single layers: convolutions, linear layers, and those that memory bounds."""
    with torch.random.fork_rng(devices=[]):
        for batch in _BATCHES:
            for inputs, outputs, size, side in (
                (3, 16, 3, 32),
                (16, 16, 3, 32),
                (32, 32, 3, 16),
                (64, 64, 3, 8),
                (128, 128, 3, 8),
                (16, 64, 1, 32),
                (128, 128, 1, 8),
            ):
                convolution = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
                shape = (batch, inputs, side, side)
                yield Case(
                    name=f"{size}x{size} convolution, {inputs} to {outputs} maps of {side}",
                    network=convolution,
                    shape=shape,
                )
            yield Case(
                name="depthwise convolution, 32 maps of 32",
                network=nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
                shape=(batch, 32, 32, 32),
            )
            for inputs, outputs in ((64, 10), (512, 512), (1024, 1024)):
                yield Case(
                    name=f"linear, {inputs} to {outputs}",
                    network=nn.Linear(inputs, outputs),
                    shape=(batch, inputs),
                )
            yield Case(
                name="transformer layer, 16 tokens of 64",
                network=nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
                shape=(batch, 16, 64),
            )
            for maps, side in ((16, 32), (64, 8)):
                for name, layer in (("batch norm", nn.BatchNorm2d(maps)), ("ReLU", nn.ReLU())):
                    yield Case(
                        name=f"{name}, {maps} maps of {side}",
                        network=layer,
                        shape=(batch, maps, side, side),
                    )
            yield Case(
                name="largest of 2x2, 16 maps of 32",
                network=nn.MaxPool2d(2),
                shape=(batch, 16, 32, 32),
            )
            yield Case(
                name="mean of 64 maps of 8",
                network=nn.AdaptiveAvgPool2d(1),
                shape=(batch, 64, 8, 8),
            )


def calibration_networks() -> Iterator[Case]:
    """Yield residual networks without classifiers."""
    with torch.random.fork_rng(devices=[]):
        for maps, blocks, stages, batch in (
            (8, 1, 1, 4),
            (8, 3, 1, 1),
            (8, 2, 2, 2),
            (8, 1, 3, 2),
            (16, 1, 1, 4),
            (16, 3, 1, 1),
            (16, 1, 2, 2),
            (16, 2, 3, 1),
            (24, 2, 1, 1),
            (32, 1, 2, 1),
        ):
            yield Case(
                name=f"{stages} stages of {blocks} residual blocks, {maps} maps in the first",
                network=_residual(maps, blocks, stages),
                shape=(batch, 3, 32, 32),
            )


def unseen_networks() -> Iterator[Case]:
    """Yield networks of other kinds, which no fit sees: what a profile is checked with."""

    def convolved(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]

    def inverted(maps: int) -> list[nn.Module]:
        wide = 4 * maps
        depthwise = nn.Conv2d(wide, wide, 3, padding=1, groups=wide, bias=False)
        return [
            nn.Conv2d(maps, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            depthwise,
            nn.BatchNorm2d(wide),
            nn.ReLU6(),
            nn.Conv2d(wide, maps, 1, bias=False),
            nn.BatchNorm2d(maps),
        ]

    with torch.random.fork_rng(devices=[]):
        plain = [*convolved(3, 32), *convolved(32, 32), nn.MaxPool2d(2), *convolved(32, 64)]
        yield Case(
            name="plain convolutions with a pooling",
            network=nn.Sequential(*plain),
            shape=(1, 3, 32, 32),
        )
        yield Case(
            name="inverted bottlenecks (depthwise)",
            network=nn.Sequential(*inverted(16), *inverted(16)),
            shape=(1, 16, 16, 16),
        )
        layers = (nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU())
        yield Case(
            name="three linear layers",
            network=nn.Sequential(*layers, nn.Linear(512, 10)),
            shape=(8, 256),
        )
        layer = nn.TransformerEncoderLayer(96, 3, 192, batch_first=True)
        yield Case(
            name="two transformer layers, 32 tokens of 96",
            network=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
            shape=(2, 32, 96),
        )
