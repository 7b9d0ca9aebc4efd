"""What each cut would send, and leave to the device."""

import json
import math

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import ResNetConfig, evaluating, resnet, split_model, split_points
from phyemu.errors import ConfigError


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, 1, 1), nn.ReLU(inplace=True))
        self.mix = nn.Conv2d(4, 6, 1, bias=False)
        self.twice = nn.BatchNorm2d(6)
        self.pair = _Pair()
        self.unused = nn.Linear(2, 2)
        self.out = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.mix(self.stem(x))))
        x, _ = self.pair(x)
        return self.out(x.mean((2, 3)))


class _Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


def test_shapes_bytes_and_shares_are_those_of_the_equations() -> None:
    points = {point.name: point for point in split_points(_Net(), (1, 8, 8))}
    stem, mix = points["stem"], points["mix"]
    # Convolutions: 8 * 8 * 4 * 9 and 8 * 8 * 6 * 4 multiply-accumulates; the classifier 6 * 3.
    macs = (8 * 8 * 4 * 9, 8 * 8 * 6 * 4, 6 * 3)
    parameters = (4 * 9 + 4, 6 * 4, 12, 2 * 2 + 2, 6 * 3 + 3)
    assert stem.feature_shape == (4, 8, 8)
    assert mix.symbols_per_image == 64
    assert mix.payload_bytes(8) == 64 * 64 * 3 / 8
    assert mix.payload_bytes(16, num_images=1) == pytest.approx(64 * math.log2(16) / 8)
    assert stem.mac_share == pytest.approx(macs[0] / sum(macs))
    assert mix.mac_share == pytest.approx(sum(macs[:2]) / sum(macs))
    assert mix.parameter_share == pytest.approx(sum(parameters[:2]) / sum(parameters))
    assert list(points)[:3] == ["stem.0", "stem", "mix"]  # stem.1 is the cut of stem


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("twice", "is called 2 times"),
        ("pair", "gives tuple, no tensor"),
        ("unused", "is called 0 times"),
        ("out", r"must carry \(D, H, W\)"),
    ],
)
def test_what_cannot_be_cut_is_listed_with_the_reason(name: str, reason: str) -> None:
    points = {point.name: point for point in split_points(_Net(), (1, 8, 8))}
    refusal = points[name].refusal
    assert refusal is not None
    assert reason.replace("\\", "") in refusal
    assert not refusal.startswith("split point")
    assert points[name].symbols_per_image is points[name].payload_bytes(4) is None
    json.dumps(points[name].to_dict(), allow_nan=False)


def test_every_point_that_is_offered_can_be_cut(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=14, num_classes=10, width=4), generator=generator)
    modes = [module.training for module in model.modules()]
    images = torch.randn(2, 3, 32, 32, generator=generator)
    with evaluating(model):
        expected = model(images)
        for point in split_points(model, (3, 32, 32)):
            if point.refusal is None:
                head, tail = split_model(model, point.name)
                features = head(images)
                assert features.shape[1:] == point.feature_shape
                assert torch.equal(tail(features), expected)
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks for module in model.modules())


def test_the_papers_cut_sends_what_the_paper_says(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=20, num_classes=10), generator=generator)
    point = next(p for p in split_points(model, (3, 32, 32)) if p.name == "layer1")
    # Table II: 32, 24 and 16 KB for 64 images at M = 16, 8 and 4.
    assert point.to_dict()["bytes_per_64_images"] == {"16": 32768, "8": 24576, "4": 16384}


def test_images_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="takes no input of shape"):
        split_points(_Net(), (3, 8, 8))
