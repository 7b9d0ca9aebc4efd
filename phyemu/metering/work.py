"""What a network does for an input: multiply-accumulates, bytes moved, operations.

The operations are seen where torch carries them out (a dispatch mode), not where modules are
written, so those of functions count as well: `functional.relu`, `a + b`, attention. One forward
pass is made, on the CPU or wherever the module is.

Definitions:

* A MAC is one multiplication with its addition, in a convolution, a linear layer, a matrix product
  or attention; biases, normalisation, pooling and activations have none. It is what fvcore counts
  as a flop for these layers, and half of what `torch.utils.flop_counter` counts.
* `norm_operations` are two for each element that a normalisation gives (a factor and an offset, as
  fvcore and thop count a batch norm in evaluation), `pooling_operations` one for each element that
  a pooling reads.
* Bytes are what an operation would move between memory and processor were nothing in a cache: its
  tensors read and written. Views move nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from phyemu.errors import ConfigError

__all__ = [
    "Inputs",
    "OperationKind",
    "Work",
    "WorkShare",
    "count_macs",
    "count_parameters",
    "count_work",
]

Inputs = Tensor | tuple[int, ...]
"""What a module is called with, or the shape of it, the batch first (zeros, float32)."""


class OperationKind(StrEnum):
    """Operations that take their time alike."""

    CONVOLUTION = "convolution"
    PRODUCT = "product"  # linear layers and matrix products, attention among them
    NORM = "norm"
    POOLING = "pooling"
    OTHER = "other"  # activations, sums, copies, look-ups: bound by memory


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkShare:
    """What the operations of one kind do together.

    Attributes:
        num_operations: Operations that move data.
        macs: Multiply-accumulates.
        bytes_moved: Read and written [bytes].
        elements: Written; read in a pooling.
    """

    num_operations: int = 0
    macs: int = 0
    bytes_moved: int = 0
    elements: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What a network does for an input, by kind of operation."""

    shares: Mapping[OperationKind, WorkShare]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of convolutions, linear layers, matrix products and attention."""
        return sum(share.macs for share in self.shares.values())

    @property
    def bytes_moved(self) -> int:
        """Read and written by all operations [bytes]."""
        return sum(share.bytes_moved for share in self.shares.values())

    @property
    def num_operations(self) -> int:
        """Operations that move data."""
        return sum(share.num_operations for share in self.shares.values())

    @property
    def norm_operations(self) -> int:
        """Two for each element of a normalisation."""
        return 2 * self.shares.get(OperationKind.NORM, WorkShare()).elements

    @property
    def pooling_operations(self) -> int:
        """One for each element that a pooling reads."""
        return self.shares.get(OperationKind.POOLING, WorkShare()).elements


def count_parameters(module: nn.Module) -> int:
    """Return the learnable numbers of a module, each once however often it is shared."""
    return sum(parameter.numel() for parameter in module.parameters())


def count_macs(module: Callable[..., Any], inputs: Inputs) -> int:
    """Return the multiply-accumulates of a forward pass; see `count_work`.

    >>> count_macs(nn.Linear(10, 4), (2, 10))
    80
    """
    return count_work(module, inputs).macs


def count_work(module: Callable[..., Any], inputs: Inputs) -> Work:
    """Return what a forward pass does, in evaluation mode; modes are restored.

    Args:
        module: A module, or any callable on tensors.
        inputs: What it is called with, or a shape with the batch first.

    Raises:
        ConfigError: A shape that is none, or the module refuses an input of that shape.
    """
    tensor = example_input(module, inputs)
    counter = _Counter()
    with _inference(module), _unfused_attention():
        try:
            with counter:
                module(tensor)
        except (RuntimeError, ValueError, TypeError, IndexError) as exc:
            raise ConfigError(
                f"{_name(module)} takes no input of shape {tuple(tensor.shape)} and "
                f"{tensor.dtype}: {str(exc).splitlines()[0]}"
            ) from exc
    return Work(shares=dict(counter.shares))


def example_input(module: Callable[..., Any], inputs: Inputs) -> Tensor:
    """Return the input itself, or zeros of its shape where the module's parameters are.

    Raises:
        ConfigError: A shape that is none.
    """
    if isinstance(inputs, Tensor):
        return inputs
    if not inputs or any(not isinstance(size, int) or size < 1 for size in inputs):
        raise ConfigError(f"an input's shape is of positive integers, batch first; got {inputs}")
    parameters = module.parameters() if isinstance(module, nn.Module) else iter(())
    return torch.zeros(inputs, device=next(parameters, torch.empty(0)).device)


def _name(module: Callable[..., Any]) -> str:
    return type(module).__name__ if isinstance(module, nn.Module) else repr(module)


@contextmanager
def _inference(module: Callable[..., Any]) -> Iterator[None]:
    # Without gradients, but not in inference mode: it hands composite operations on whole.
    modules = list(module.modules()) if isinstance(module, nn.Module) else []
    modes = [(part, part.training) for part in modules]
    for part in modules:
        part.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def _unfused_attention() -> Iterator[None]:
    # nn.MultiheadAttention and nn.TransformerEncoder have one operation for all of a layer, whose
    # products could not be seen.
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@dataclass(slots=True)
class _Seen:
    num_operations: int = 0
    macs: int = 0
    bytes_moved: int = 0
    elements: int = 0


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up every operation that passes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._seen: dict[OperationKind, _Seen] = {}

    @property
    def shares(self) -> dict[OperationKind, WorkShare]:
        return {
            kind: WorkShare(
                num_operations=seen.num_operations,
                macs=seen.macs,
                bytes_moved=seen.bytes_moved,
                elements=seen.elements,
            )
            for kind, seen in self._seen.items()
        }

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        # In inference mode torch hands composite operations on whole: a linear layer, a conv2d.
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        if parts is not NotImplemented:
            return parts
        result = func(*args, **(kwargs or {}))
        sources = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        name = func.overloadpacket.__name__
        if written and not name.startswith("empty") and not _is_view(func, sources, written):
            kind = _kind(name)
            seen = self._seen.setdefault(kind, _Seen())
            seen.num_operations += 1
            seen.macs += _macs(name, args, written[0])
            seen.bytes_moved += sum(_num_bytes(tensor) for tensor in (*sources, *written))
            counted = sources[0] if kind is OperationKind.POOLING and sources else written[0]
            seen.elements += counted.numel()
        return result


def _is_view(func: Any, sources: list[Tensor], written: list[Tensor]) -> bool:
    if func._schema.is_mutable:
        return False
    places = {_place(tensor) for tensor in sources}
    return bool(places) and all(_place(tensor) in places for tensor in written)


def _place(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _num_bytes(tensor: Tensor) -> int:
    # An expanded tensor has more elements than memory.
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear", "matmul")


def _kind(name: str) -> OperationKind:
    if "convolution" in name:
        return OperationKind.CONVOLUTION
    if name in _PRODUCTS or "scaled_dot_product" in name:
        return OperationKind.PRODUCT
    if "norm" in name and "linalg" not in name:
        return OperationKind.NORM
    if "pool" in name:
        return OperationKind.POOLING
    return OperationKind.OTHER


def _macs(name: str, args: tuple[Any, ...], written: Tensor) -> int:
    if "convolution" in name:
        weight, source = args[1], args[0]
        # Each element of a transposed convolution's input meets a whole kernel, as each element of
        # another's output does.
        transposed = bool(args[6]) if len(args) > 6 and isinstance(args[6], bool) else False
        return int((source if transposed else written).numel() * math.prod(weight.shape[1:]))
    if "scaled_dot_product" in name:
        query, key, value = args[:3]
        pairs = math.prod(query.shape[:-1]) * key.shape[-2]
        return int(pairs * (query.shape[-1] + value.shape[-1]))
    if name in _PRODUCTS:
        # The last operand but the scalars is (..., inner, columns); its rows are summed over.
        first = args[1] if name in ("addmm", "baddbmm", "addmv") else args[0]
        return int(written.numel() * first.shape[-1])
    return 0
