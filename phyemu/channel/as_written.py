"""Signal code inside a model that others compile or run in mixed precision."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

__all__ = ["as_written", "in_full_precision"]

F = TypeVar("F", bound=Callable[..., Any])


def as_written(function: F) -> F:
    """Return the function so that it runs as written: not traced, and in the precision it states.

    * `torch.compile` does not look into it: draws from a `torch.Generator`, estimates that decide
      what is done next and compiled kernels are no part of a graph. A compiled model breaks its
      graph here, once, and gradients pass; `fullgraph=True` is refused by torch.
    * `torch.autocast` does not reach into it: the phase of a sample in bfloat16 would be off by
      half a degree.

    Args:
        function: One of its arguments is a tensor, whose device type counts.
    """

    @functools.wraps(function)
    def outside(*args: Any, **kwargs: Any) -> Any:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, Tensor))
        with torch.autocast(next(tensors).device.type, enabled=False):
            return function(*args, **kwargs)

    return cast(F, cast(Callable[..., Any], torch.compiler.disable)(outside))


def in_full_precision(values: Tensor) -> Tensor:
    """Return values of half precision (float16, bfloat16, complex32) in single; others as they are.

    Gradients come back in the type of `values`.
    """
    if values.dtype in (torch.float16, torch.bfloat16):
        return values.float()
    if values.dtype == torch.complex32:
        return values.to(torch.complex64)
    return values
