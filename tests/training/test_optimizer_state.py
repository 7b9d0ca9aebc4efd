import copy

import pytest
import torch
from torch import nn

from phyemu.training.optimizer_state import optimizer_state, restore_optimizer


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_a_restored_optimizer_takes_the_same_step(
    kind: type[torch.optim.Optimizer], generator: torch.Generator
) -> None:
    settings = {"lr": 0.1} if kind is torch.optim.AdamW else {"lr": 0.1, "momentum": 0.9}
    model = nn.Linear(3, 2)
    optimizer = kind(model.parameters(), **settings)  # type: ignore[arg-type]

    def step(network: nn.Module, by: torch.optim.Optimizer, x: torch.Tensor) -> None:
        by.zero_grad()
        network(x).square().sum().backward()
        by.step()

    step(model, optimizer, torch.randn(4, 3, generator=generator))
    twin = copy.deepcopy(model)
    restored = kind(twin.parameters(), **settings)  # type: ignore[arg-type]
    tensors, plain = optimizer_state(optimizer)
    restore_optimizer(restored, {name: value.clone() for name, value in tensors.items()}, plain)
    x = torch.randn(4, 3, generator=generator)
    step(model, optimizer, x)
    step(twin, restored, x)
    assert torch.equal(model.weight, twin.weight)


def test_state_of_another_shape_is_refused() -> None:
    optimizer = torch.optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1)
    with pytest.raises(ValueError, match="not \\(2, 3\\)"):
        restore_optimizer(optimizer, {"0/momentum_buffer": torch.zeros(5, 5)}, {})
