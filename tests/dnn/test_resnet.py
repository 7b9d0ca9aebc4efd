"""CIFAR residual networks are those of the paper and of the public checkpoints."""

import pytest
import torch
from torch.nn import functional

from phyemu.dnn import ResNetConfig, evaluating, resnet
from phyemu.errors import ConfigError


# He et al., Table 6: 0.27, 0.46, 0.66, 0.85, 1.7 million parameters.
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_parameters_are_as_many_as_published(
    depth: int, millions: float, generator: torch.Generator
) -> None:
    model = resnet(ResNetConfig(depth=depth, num_classes=10), generator=generator)
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(millions, abs=0.05 if depth == 110 else 0.01)


def test_the_forward_pass_is_the_textbook_one(generator: torch.Generator) -> None:
    model = resnet(ResNetConfig(depth=14, num_classes=5, width=4), generator=generator)
    images = torch.randn(3, 3, 32, 32, generator=generator)
    model(images)  # moves the running statistics off their start
    state = model.state_dict()

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        parts = (state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts)

    x = functional.relu(norm(functional.conv2d(images, state["conv1.weight"], padding=1), "bn1"))
    for stage in (1, 2, 3):
        for block in (0, 1):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = functional.conv2d(x, state[f"{name}.conv1.weight"], padding=1, stride=stride)
            y = functional.relu(norm(y, f"{name}.bn1"))
            y = norm(functional.conv2d(y, state[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            if stride == 2:  # option A: every other pixel, zeros for half as many maps either side
                zeros = torch.zeros(3, x.shape[1] // 2, x.shape[2] // 2, x.shape[3] // 2)
                x = torch.cat([zeros, x[:, :, ::2, ::2], zeros], 1)
            x = functional.relu(x + y)
    logits = x.mean((2, 3)) @ state["linear.weight"].T + state["linear.bias"]
    with evaluating(model):
        # float32 sums of some hundred products.
        torch.testing.assert_close(model(images), logits, atol=1e-4, rtol=1e-4)


def test_weights_come_from_the_generator_alone() -> None:
    before = torch.get_rng_state()
    config = ResNetConfig(depth=8, num_classes=10, in_channels=1, width=8)
    first, same, other = (
        resnet(config, generator=torch.Generator().manual_seed(seed)).state_dict()
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["linear.weight"], other["linear.weight"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 18, "num_classes": 10}, "6n"),
        ({"depth": 20, "num_classes": 1}, r"num_classes in 2\.\."),
        ({"depth": 20, "num_classes": 10, "width": 3}, "width must be even"),
        ({"depth": 20, "num_classes": 10, "width": 2048}, "at most 1024"),
        ({"depth": 20.0, "num_classes": 10}, "depth must be an integer"),
    ],
)
def test_impossible_networks_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ResNetConfig(**settings)  # type: ignore[arg-type]
