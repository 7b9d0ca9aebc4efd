"""Networks as torchvision and timm write them become PhyDNNs: functional layers, work in place,
inverted residuals, transformers with a class token.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.dnn import (
    ArtefactInfo,
    LossWeights,
    Normalise,
    PhyDnn,
    Score,
    describe_architecture,
    evaluating,
    export_head,
    export_tail,
    load_head,
    load_tail,
    noiseless_link,
    split_model,
    split_points,
    total_loss,
)


class _BasicBlock(nn.Module):
    def __init__(self, planes_in: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride > 1 or planes_in != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(planes_in, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += identity
        return self.relu(out)


class ResNetStyle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = nn.Sequential(_BasicBlock(8, 8, 1), _BasicBlock(8, 8, 1))
        self.layer2 = nn.Sequential(_BasicBlock(8, 16, 2))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = functional.max_pool2d(x, 3, 2, 1)
        x = self.layer2(functional.relu(self.layer1(x)))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x.view(x.size(0), -1))


class _InvertedResidual(nn.Module):
    def __init__(self, planes: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(planes, 2 * planes, 1, bias=False),
            nn.BatchNorm2d(2 * planes),
            nn.Hardswish(inplace=True),
            nn.Conv2d(2 * planes, 2 * planes, 3, padding=1, groups=2 * planes, bias=False),
            nn.BatchNorm2d(2 * planes),
            nn.ReLU6(inplace=True),
            nn.Conv2d(2 * planes, planes, 1, bias=False),
            nn.BatchNorm2d(planes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x)


class MobileNetStyle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 4, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        )
        self.features = nn.Sequential(stem, _InvertedResidual(8), _InvertedResidual(8))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = functional.adaptive_avg_pool2d(x, (1, 1)).reshape(x.shape[0], -1)
        return self.classifier(x)


class _EncoderBlock(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, 2, batch_first=True)
        self.ln_2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        torch._assert(x.dim() == 3, "need (batch, tokens, dim)")
        y = self.ln_1(x)
        y, _ = self.attention(y, y, y, need_weights=False)
        x = x + y
        return x + self.mlp(self.ln_2(x))


class VitStyle(nn.Module):
    def __init__(self, dim: int = 12) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, dim, 8, 8)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, 17, dim) * 0.02)
        self.blocks = nn.Sequential(_EncoderBlock(dim), _EncoderBlock(dim), _EncoderBlock(dim))
        self.head = nn.Linear(dim, 5)

    def forward(self, x: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
        n, _, height, _ = x.shape
        torch._assert(height == 32, "wrong height")
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1) + self.position
        if mask is not None or causal:
            x = x + mask
        return self.head(self.blocks(x)[:, 0])


CUTS = [
    (ResNetStyle, "layer1.0", (8, 8, 8)),
    (ResNetStyle, "layer1", (8, 8, 8)),
    (ResNetStyle, "bn1", (8, 16, 16)),
    (MobileNetStyle, "features.1", (8, 8, 8)),
    (MobileNetStyle, "features.0.1", (8, 8, 8)),
    (VitStyle, "blocks.1", (17, 12)),
]


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8, generator=generator)


def network(kind: type[nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind()


def phydnn(backbone: nn.Module, split: str, generator: torch.Generator) -> PhyDnn:
    return PhyDnn.from_backbone(
        backbone,
        split=split,
        image_shape=(3, 32, 32),
        normalise=Normalise((0.4, 0.5, 0.6), (0.2, 0.3, 0.2)),
        num_embeddings=8,
        generator=generator,
        score=Score.DISTANCE,
    )


@pytest.mark.parametrize(("kind", "split", "shape"), CUTS)
def test_head_then_tail_is_the_network(
    kind: type[nn.Module], split: str, shape: tuple[int, ...], images: Tensor
) -> None:
    model, x = network(kind), images.float() / 255
    head, tail = split_model(model, split)
    with evaluating(model):
        expected = model(x)
        features = head(x)
        assert features.shape[1:] == shape
        torch.testing.assert_close(tail(features), expected)


@pytest.mark.parametrize(("kind", "split", "shape"), CUTS)
def test_a_step_of_algorithm_1_moves_head_tail_and_dictionary(
    kind: type[nn.Module],
    split: str,
    shape: tuple[int, ...],
    images: Tensor,
    generator: torch.Generator,
) -> None:
    model = phydnn(network(kind), split, generator)
    output = model(images, noiseless_link, generator)
    weights = LossWeights(beta=1e-3, commitment=0.1)
    labels = torch.arange(4)
    total_loss(output, labels, weights, embedding=model.embedding).total.backward()
    assert model.embedding.vectors.grad is not None
    for part in (model.head, model.tail):
        gradients = [p.grad for p in part.parameters()]
        assert all(g is not None and torch.isfinite(g).all() for g in gradients)
        assert any(bool(g.abs().sum() > 0) for g in gradients if g is not None)


@pytest.mark.parametrize(("kind", "split", "shape"), CUTS)
def test_the_losses_see_the_slices_as_they_left_the_head(
    kind: type[nn.Module],
    split: str,
    shape: tuple[int, ...],
    images: Tensor,
    generator: torch.Generator,
) -> None:
    model = phydnn(network(kind), split, generator)
    with evaluating(model):
        expected = model.slices(images)
        output = model(images, noiseless_link, generator)
    assert torch.equal(output.slices, expected)


@pytest.mark.parametrize(("kind", "split", "shape"), CUTS)
def test_exported_sides_meet_again_in_a_network_of_other_weights(
    kind: type[nn.Module],
    split: str,
    shape: tuple[int, ...],
    images: Tensor,
    generator: torch.Generator,
    tmp_path: Path,
) -> None:
    model = phydnn(network(kind), split, generator)
    info = ArtefactInfo(
        architecture=describe_architecture(network(kind), name=f"nets:{kind.__name__}"),
        split=split,
        image_shape=(3, 32, 32),
        class_names=tuple("abcde"),
        constellation={"name": "psk", "order": 8, "points": [[1, 0]] * 8},
        frame={},
        provenance={},
    )
    export_head(model, tmp_path / "head.safetensors", info)
    export_tail(model, tmp_path / "tail.safetensors", info)
    head = load_head(tmp_path / "head.safetensors", backbone=kind())
    tail = load_tail(tmp_path / "tail.safetensors", backbone=kind())
    with evaluating(model):
        symbols = head(images)
        assert torch.equal(symbols, model.encode(images))
        posteriors = functional.one_hot(symbols, 8).float()
        torch.testing.assert_close(tail(posteriors), model.decode(posteriors))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # layer1 and layer1.1 are one tensor; bn1 and relu are, too, but it was written to between.
        (ResNetStyle, "conv1 bn1 relu layer1.0 layer1 layer2 avgpool"),
        (MobileNetStyle, "features.0.0 features.0.1 features.0 features.1 features"),
        (VitStyle, "blocks.0 blocks.1 blocks"),
    ],
)
def test_the_split_points_are_the_blocks(kind: type[nn.Module], expected: str) -> None:
    points = split_points(network(kind), (3, 32, 32))
    assert [point.name for point in points if point.refusal is None] == expected.split()
