"""Modes and hooks that are restored when a `with` block ends, however it ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from phyemu.errors import ConfigError

__all__ = ["captured_output", "evaluating", "untracked_batch_norm"]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode without gradients; then give each module its own back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def untracked_batch_norm(model: nn.Module) -> Iterator[None]:
    """Keep batch norms from learning running statistics; they normalise by batch as before.

    The running statistics serve the path that is deployed, through the link; other passes over
    the same layers must not move them.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def captured_output(model: nn.Module, name: str) -> Iterator[list[Tensor]]:
    """Collect the outputs of submodule `name`, one entry a call, while the block runs.

    Raises:
        ConfigError: There is no such submodule.
    """
    try:
        module = model.get_submodule(name)
    except AttributeError as exc:
        raise ConfigError(f"{type(model).__name__} has no submodule {name!r}") from exc
    outputs: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)

    handle = module.register_forward_hook(keep)
    try:
        yield outputs
    finally:
        handle.remove()
