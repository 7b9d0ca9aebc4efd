"""Energy where nothing measures it: the time of a block at a stated power."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from phyemu.errors import ConfigError

from .energy import Energy

__all__ = ["PowerModel", "assumed_power"]

# Server and desktop processors of 2017 to 2024 have a thermal design power of 3 to 15 W a core, and
# are near it while their vector units are busy. Nobody measured the machine this runs on.
_ASSUMED_W_PER_THREAD = 8.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PowerModel:
    """A meter that takes the time and believes a power.

    Attributes:
        power_w: While the block runs [W], > 0.
        source: Where the power comes from.
    """

    power_w: float
    source: str

    def __post_init__(self) -> None:
        """Check the power."""
        if not 0 < self.power_w < float("inf"):
            raise ConfigError(f"power_w must be positive, got {self.power_w}")

    @property
    def name(self) -> str:
        """The power and where it comes from."""
        return f"{self.power_w:g} W ({self.source})"

    @property
    def modelled(self) -> bool:
        """True."""
        return True

    @property
    def resolution_s(self) -> float:
        """The clock is read whenever it is asked."""
        return 0.0

    @contextmanager
    def measure(self) -> Iterator[Energy]:
        """Measure the block of a `with`: its duration times the power."""
        energy = Energy()
        start_s = time.perf_counter()
        yield energy
        duration_s = time.perf_counter() - start_s
        energy.finish(energy_j=self.power_w * duration_s, duration_s=duration_s)


def assumed_power() -> PowerModel:
    """Return the power assumed of a processor: 8 W for each thread that torch has.

    A factor of two either way is possible.
    """
    threads = torch.get_num_threads()
    return PowerModel(
        power_w=_ASSUMED_W_PER_THREAD * threads,
        source=f"assumed: {_ASSUMED_W_PER_THREAD:g} W for each of {threads} threads",
    )
