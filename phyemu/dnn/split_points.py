"""Where a network can be cut, and what each cut would send and leave to the device."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError
from phyemu.metering import count_macs, count_parameters

from .modes import evaluating
from .slices import SliceLayout
from .split import split_model

__all__ = ["SplitPoint", "split_points"]


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitPoint:
    """A submodule behind which a network may be cut.

    Attributes:
        name: As in `named_modules`: what `split_model` takes.
        feature_shape: Of one image at the cut: (D, H, W) or (tokens, D); None where it cannot be
            cut.
        parameter_share: Learnable parameters of the head over those of the network, in [0, 1].
        mac_share: Multiply-accumulates likewise.
        refusal: Why it cannot be cut there; None where it can.
    """

    name: str
    feature_shape: tuple[int, ...] | None = None
    parameter_share: float | None = None
    mac_share: float | None = None
    refusal: str | None = None

    @property
    def symbols_per_image(self) -> int | None:
        """Slices an image, N_s: symbols, where a slice is sent as one."""
        return None if self.feature_shape is None else SliceLayout(self.feature_shape).num_slices

    def payload_bytes(self, order: int, *, num_images: int = 64) -> float | None:
        """Return what so many images take at `order` embeddings, without frames [bytes]."""
        symbols = self.symbols_per_image
        return None if symbols is None else num_images * symbols * math.log2(order) / 8

    def to_dict(self, orders: tuple[int, ...] = (16, 8, 4)) -> dict[str, Any]:
        """Return it as JSON values, with the bytes of 64 images by order."""
        return {
            "name": self.name,
            "feature_shape": None if self.feature_shape is None else list(self.feature_shape),
            "symbols_per_image": self.symbols_per_image,
            "bytes_per_64_images": {str(order): self.payload_bytes(order) for order in orders},
            "parameter_share": self.parameter_share,
            "mac_share": self.mac_share,
            "refusal": self.refusal,
        }


def split_points(model: nn.Module, image_shape: tuple[int, int, int]) -> list[SplitPoint]:
    """Return every submodule as a split point, in the order in which they finish.

    A submodule whose output is that of one around it (the last block of a stage) is left out: both
    are the same cut.

    Args:
        model: Normalised images to logits; evaluated on one image of zeros.
        image_shape: (channels, height, width).

    Raises:
        ConfigError: The model takes no such images.
    """
    total_macs = count_macs(model, (1, *image_shape))
    total_parameters = count_parameters(model)
    found = []
    for name, seen in _observe(model, image_shape).items():
        try:
            layout = _layout(name, seen)
            head, _ = split_model(model, name)
        except ConfigError as exc:
            reason = str(exc).removeprefix(f"split point {name!r}").lstrip(": ")
            found.append(SplitPoint(name=name, refusal=reason))
            continue
        point = SplitPoint(
            name=name,
            feature_shape=layout.shape,
            parameter_share=count_parameters(head) / max(total_parameters, 1),
            mac_share=count_macs(head, (1, *image_shape)) / max(total_macs, 1),
        )
        found.append(point)
    return found


@dataclass(slots=True)
class _Seen:
    outputs: list[Any] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)

    def is_same_tensor(self, other: "_Seen") -> bool:
        """Return whether both gave one and the same tensor, not written to in between."""
        if len(self.outputs) != 1 or len(other.outputs) != 1:
            return False
        same = self.outputs[0] is other.outputs[0] and isinstance(self.outputs[0], Tensor)
        return same and self.versions == other.versions


def _layout(name: str, seen: _Seen) -> SliceLayout:
    if len(seen.outputs) != 1:
        raise ConfigError(
            f"split point {name!r} is called {len(seen.outputs)} times; it must be once"
        )
    output = seen.outputs[0]
    if not isinstance(output, Tensor):
        raise ConfigError(f"split point {name!r} gives {type(output).__name__}, no tensor")
    return SliceLayout(tuple(output.shape[1:]))


def _observe(model: nn.Module, image_shape: tuple[int, int, int]) -> dict[str, _Seen]:
    """Return what each submodule gave, but for those that one around them passes on."""
    device = next(model.parameters(), torch.empty(0)).device
    with _watched(model) as seen, evaluating(model):
        model(torch.zeros((1, *image_shape), device=device))
    modules = {name for name, _ in model.named_modules() if name}
    everything = seen | {name: _Seen() for name in modules - set(seen)}
    return {
        name: entry
        for name, entry in everything.items()
        if not any(entry.is_same_tensor(seen[outer]) for outer in _around(name) if outer in seen)
    }


def _around(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


@contextmanager
def _watched(model: nn.Module) -> Iterator[dict[str, _Seen]]:
    """Keep the outputs of all submodules, by name, in the order in which the first one ends."""
    seen: dict[str, _Seen] = {}
    handles = []
    for name, module in model.named_modules():

        def keep(_module: nn.Module, _inputs: Any, output: Any, name: str = name) -> None:
            entry = seen.setdefault(name, _Seen())
            entry.outputs.append(output)
            entry.versions.append(output._version if isinstance(output, Tensor) else 0)

        if name:
            handles.append(module.register_forward_hook(keep))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
