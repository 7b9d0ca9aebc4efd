"""The endless realisation that models with path fading share."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from phyemu.channel.impairments import Impairments
from phyemu.channel.model import Interpolation

__all__ = ["FunctionRealisation"]


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
