"""Slices: what the embeddings stand for.

The output of the head is a stack of D feature maps. A slice is the vector of all D values at one
position (paper, Fig. 3), so a permutation comes before the reshape. For D = 2 maps of 2x2:

    map 0: a b    map 1: e f    slices, row by row: (a, e) (b, f) (c, g) (d, h)
           c d           g h

Neighbouring positions look alike, which an embedding can only use if its slice covers several. A
slice of size (h, w) holds the D values of each of its h * w positions, row by row; of size (1, 2),
the maps above have the slices (a, e, b, f) and (c, g, d, h).
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
        slice_size: Positions that a slice covers, (height, width), which divide H and W; (1, 1) in
            the paper. Of tokens, (n, 1): n tokens that follow each other.
    """

    shape: tuple[int, ...]
    slice_size: tuple[int, int] = (1, 1)

    def __post_init__(self) -> None:
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise ConfigError(
                "the cut must carry (D, H, W) feature maps or (tokens, D) vectors of each image, "
                f"got shape {self.shape}; choose another split point"
            )
        height, width = self.slice_size
        rows, columns = self._positions
        if min(height, width) < 1 or rows % height or columns % width:
            raise ConfigError(
                f"slice_size must divide the {rows}x{columns} positions at the cut, got "
                f"{height}x{width}; 1x1 fits every cut"
            )

    @property
    def _positions(self) -> tuple[int, int]:
        """Rows and columns of positions; tokens are a column."""
        return (self.shape[0], 1) if len(self.shape) == 2 else (self.shape[1], self.shape[2])

    @property
    def num_slices(self) -> int:
        """Slices an image, N_s in the paper."""
        (rows, columns), (height, width) = self._positions, self.slice_size
        return (rows // height) * (columns // width)

    @property
    def positions_per_slice(self) -> int:
        """Positions that a slice covers, h * w."""
        return self.slice_size[0] * self.slice_size[1]

    @property
    def dim(self) -> int:
        """Length of a slice: D in the paper, h * w times as many in general."""
        depth = self.shape[1] if len(self.shape) == 2 else self.shape[0]
        return depth * self.positions_per_slice


def to_slices(features: Tensor, slice_size: tuple[int, int] = (1, 1)) -> Tensor:
    """Return the slices of the head's output.

    Args:
        features: (batch, D, H, W), or (batch, num_tokens, D).
        slice_size: Positions that a slice covers.

    Returns:
        (batch, num_slices, h * w * D), row by row. Of size (1, 1) a view.

    Raises:
        SignalError: `features` has another number of dimensions.
    """
    if features.ndim not in (3, 4):
        raise SignalError(
            f"features must be (batch, D, H, W) or (batch, tokens, D), got {tuple(features.shape)}"
        )
    positions = features[:, :, None] if features.ndim == 3 else features.permute(0, 2, 3, 1)
    if slice_size == (1, 1):
        return positions.flatten(1, 2)
    height, width = slice_size
    batch, rows, columns, depth = positions.shape
    blocks = positions.reshape(batch, rows // height, height, columns // width, width, depth)
    return blocks.transpose(2, 3).reshape(batch, -1, height * width * depth)


def from_slices(
    slices: Tensor,
    layout: SliceLayout,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Tensor:
    """Return features from slices, the inverse of `to_slices`.

    Args:
        slices: (batch, num_slices, h * w * D).
        layout: The shape the tail expects.
        memory_format: Of feature maps; `channels_last` is that of slices, and of size (1, 1) a
            view.

    Raises:
        SignalError: `slices` does not fit `layout`.
    """
    expected = (layout.num_slices, layout.dim)
    if slices.ndim != 3 or slices.shape[1:] != expected:
        raise SignalError(
            f"slices must be (batch, {expected[0]}, {expected[1]}), got {tuple(slices.shape)}"
        )
    if len(layout.shape) == 2:
        return slices.reshape(-1, *layout.shape)
    depth, rows, columns = layout.shape
    if layout.slice_size != (1, 1):
        height, width = layout.slice_size
        blocks = slices.reshape(-1, rows // height, columns // width, height, width, depth)
        slices = blocks.transpose(2, 3)
    maps = slices.reshape(-1, rows, columns, depth)
    return maps.permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
