"""Any network is cut by name; the parts together are the network."""

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import ResNetConfig, evaluating, resnet, split_model
from phyemu.dnn.split import cut
from phyemu.errors import ConfigError


@pytest.mark.parametrize("split", ["conv1", "bn1", "layer1", "layer1.0", "layer2.0", "layer3"])
def test_head_then_tail_is_the_model(split: str, generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=14, num_classes=10, width=4), generator=generator)
    images = torch.randn(2, 3, 32, 32, generator=generator)
    head, tail = split_model(model, split)
    assert {*head.state_dict(), *tail.state_dict()} == set(model.state_dict())
    assert not set(head.state_dict()) & set(tail.state_dict())
    with evaluating(model):
        assert torch.equal(tail(head(images)), model(images))


def test_parameters_are_shared_with_the_model(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=8, num_classes=10, width=4), generator=generator)
    head, tail = split_model(model, "layer1")
    ours = {id(p) for part in (head, tail) for p in part.parameters()}
    assert ours == {id(p) for p in model.parameters()}


def test_a_tail_can_be_cut_again_for_three_devices(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=8, num_classes=10, width=4), generator=generator)
    first, rest = split_model(model, "layer1")
    second, third = split_model(rest, "layer2.0")
    images = torch.randn(2, 3, 32, 32, generator=generator)
    with evaluating(model):
        assert torch.equal(third(second(first(images))), model(images))


class _Attention(nn.Module):
    """A tail with a parameter of its own, and branching that only a whole block may have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Untraceable()
        self.position = nn.Parameter(torch.ones(1, 5, 4))
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x) + self.position
        for block in self.blocks:
            x = x + block(x)
        return self.out(x.mean(1) + self.position.sum(1))


class _Untraceable(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


def test_blocks_that_cannot_be_traced_stay_whole_and_parameters_go_where_they_are_used() -> None:
    model = _Attention()
    head, tail = split_model(model, "stem")
    assert not list(head.parameters())
    assert "position" in dict(tail.named_parameters())
    x = torch.rand(3, 5, 4)
    torch.testing.assert_close(tail(head(x)), model(x))


class _SkipsTheCut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        first = self.a(x)
        return self.b(first) + first


class _Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        self.b(x)
        return self.a(x)


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(self.a(x))


class _BranchesAtTheTop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) if x.sum() > 0 else x


class _FunctionalDropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(self.a(x), 0.5, training=self.training)


class _TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a(x + y)


@pytest.mark.parametrize(
    ("model", "split", "message"),
    [
        (_SkipsTheCut(), "b", "more than one tensor, a passes by it to add"),
        (_Unused(), "b", "no influence"),
        (_Twice(), "a", "called 2 times"),
        (_BranchesAtTheTop(), "a", "cannot be traced .*keep control flow"),
        (_FunctionalDropout(), "a", "training mode"),
        (_TwoInputs(), "a", "takes 2 inputs"),
        (_Twice(), "aa", "no such submodule; near names: a"),
        (_Twice(), "", "no such submodule"),
    ],
)
def test_a_cut_that_cannot_be_is_refused_with_the_reason(
    model: nn.Module, split: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        split_model(model, split)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (("layer1", "layer1"), "split point 'layer1' is named 2 times"),
        (("layer2", "layer1"), "'layer1' does not lie behind 'layer2'; name split points from the"),
        (("layer1", "layer1.0"), "'layer1.0' does not lie behind 'layer1'; name"),
        (("layer1", "layer9"), "behind split point 'layer1': .* no such submodule; near names"),
    ],
)
def test_cuts_in_another_order_are_refused_with_the_reason(
    splits: tuple[str, ...], message: str, generator: torch.Generator
) -> None:
    model = resnet(ResNetConfig(depth=8, num_classes=10, width=4), generator=generator)
    with pytest.raises(ConfigError, match=message):
        cut(model, splits)
