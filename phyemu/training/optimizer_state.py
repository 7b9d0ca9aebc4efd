"""The state of an optimiser as tensors by name, for checkpoints."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["optimizer_state", "restore_optimizer"]


def optimizer_state(
    optimizer: torch.optim.Optimizer,
) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Return the tensors of the state, as INDEX/NAME, and what is no tensor, by index and name.

    Parameters are counted through the groups in order. Settings of the groups (learning rates) are
    not part of it: the schedule sets them at each step.
    """
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, parameter in enumerate(_parameters(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    return tensors, plain


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    plain: Mapping[str, Mapping[str, Any]],
) -> None:
    """Set the state that `optimizer_state` returned, on an optimiser with the same parameters.

    Raises:
        KeyError: The state is of more parameters.
        ValueError: A tensor has another shape than its parameter.
    """
    parameters = dict(enumerate(_parameters(optimizer)))
    optimizer.state.clear()
    for key, value in tensors.items():
        index, _, name = key.partition("/")
        parameter = parameters[int(index)]
        if value.ndim and value.shape != parameter.shape:
            raise ValueError(f"state {key} is {tuple(value.shape)}, not {tuple(parameter.shape)}")
        # Step counters (no dimension) stay on the CPU, where the optimisers keep them.
        moved = value.clone() if value.ndim == 0 else value.to(parameter.device).clone()
        optimizer.state[parameter][name] = moved
    for index, values in plain.items():
        optimizer.state[parameters[int(index)]].update(values)


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
