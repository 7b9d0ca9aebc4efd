"""Precision, memory layout and compilation of the forward pass."""

import contextlib

import torch
from torch import nn

from .config import Precision

__all__ = ["compiled_in_place", "forward_precision", "set_memory_format"]


def forward_precision(
    precision: Precision, device: torch.device
) -> contextlib.AbstractContextManager[object]:
    """Return the context in which a forward pass has this precision; no loss scaling is needed."""
    if precision is Precision.FLOAT32:
        return contextlib.nullcontext()
    return torch.autocast(device_type=device.type, dtype=torch.bfloat16)


def set_memory_format(module: nn.Module, *, channels_last: bool) -> None:
    """Set the layout of convolution weights, in place; images and features follow."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    module.to(memory_format=layout)  # type: ignore[call-overload]


def compiled_in_place(*modules: nn.Module) -> None:
    """Let `torch.compile` run these modules; their names, tensors and classes stay.

    Compilation itself comes at the first call in each mode, and takes minutes on a CPU.
    """
    for module in modules:
        module.compile()
