"""The endless realisation that models with path fading share."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from phyemu.channel.impairments import Impairments
from phyemu.channel.model import Interpolation

__all__ = ["FunctionRealisation", "block_index"]


def block_index(times_s: Tensor, block_s: float) -> Tensor:
    """Return the block in which each of `times_s` (time,) [s] lies, int64.

    Block k is centred at k `block_s`. So bursts that start at multiples of it, as those of a
    sounder or of a test set do, see one block each, whatever the latency of the executor or the
    drift of a clock; gains that change within a frame would be an artefact of the blocks.
    """
    # A step that should lie on a boundary may miss it by a rounding error.
    return torch.floor(times_s / block_s + 0.5 + 1e-9).long()


@dataclass(frozen=True, eq=False, slots=True)
class FunctionRealisation:
    """A `ChannelRealisation` whose gains are a function of the times (time,) [s]."""

    delays_s: Tensor
    snr_db: float
    impairments: Impairments
    function: Callable[[Tensor], Tensor]
    interpolation: Interpolation = Interpolation.LINEAR

    def gains(self, times_s: Tensor) -> Tensor:
        """Return the path gains at `times_s` (time,) float64 [s]: (time, path) complex64."""
        return self.function(times_s)
