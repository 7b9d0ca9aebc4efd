"""Slices: what one symbol stands for.

The output of the head is a stack of D feature maps. A slice is the vector of all D values at one
position (paper, Fig. 3), so a permutation comes before the reshape. For D = 2 maps of 2x2:

    map 0: a b    map 1: e f    slices, row by row: (a, e) (b, f) (c, g) (d, h)
           c d           g h
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError

__all__ = ["SliceLayout", "from_slices", "to_slices"]


@dataclass(frozen=True, slots=True)
class SliceLayout:
    """How slices and the head's output correspond.

    Attributes:
        shape: Shape of the head's output for one image: (D, H, W) of a convolutional network, or
            (num_tokens, D) of a transformer.
    """

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise ConfigError(
                "the cut must carry (D, H, W) feature maps or (tokens, D) vectors of each image, "
                f"got shape {self.shape}; choose another split point"
            )

    @property
    def num_slices(self) -> int:
        """Symbols an image, N_s in the paper."""
        return self.shape[0] if len(self.shape) == 2 else self.shape[1] * self.shape[2]

    @property
    def dim(self) -> int:
        """Length D of a slice."""
        return self.shape[1] if len(self.shape) == 2 else self.shape[0]


def to_slices(features: Tensor) -> Tensor:
    """Return the slices of the head's output.

    Args:
        features: (batch, D, H, W), or (batch, num_tokens, D), which are slices already.

    Returns:
        (batch, num_slices, D); slice h * W + w is the vector at row h, column w. A view.

    Raises:
        SignalError: `features` has another number of dimensions.
    """
    if features.ndim == 4:
        return features.permute(0, 2, 3, 1).flatten(1, 2)
    if features.ndim == 3:
        return features
    raise SignalError(
        f"features must be (batch, D, H, W) or (batch, tokens, D), got {tuple(features.shape)}"
    )


def from_slices(
    slices: Tensor,
    layout: SliceLayout,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Return features from slices, the inverse of `to_slices`.

    Args:
        slices: (batch, num_slices, D).
        layout: The shape the tail expects.
        memory_format: Of feature maps; `channels_last` is that of slices, and a view.

    Raises:
        SignalError: `slices` does not fit `layout`.
    """
    expected = (layout.num_slices, layout.dim)
    if slices.ndim != 3 or slices.shape[1:] != expected:
        raise SignalError(
            f"slices must be (batch, {expected[0]}, {expected[1]}), got {tuple(slices.shape)}"
        )
    if len(layout.shape) == 2:
        return slices
    _, height, width = layout.shape
    maps = slices.reshape(-1, height, width, layout.dim)
    return maps.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
