"""Energy: what every meter of it offers, whatever it reads."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from phyemu.errors import MeterError

__all__ = ["Energy", "EnergyMeter", "EnergyPerCall", "energy_per_call"]


class Energy:
    """What a stretch of time has cost; known once its `with` block has ended."""

    def __init__(self) -> None:
        self._found: tuple[float, float] | None = None

    def finish(self, *, energy_j: float, duration_s: float) -> None:
        """Set what was found; for meters.

        Raises:
            MeterError: It is negative or no number.
        """
        if not (math.isfinite(energy_j) and energy_j >= 0 and duration_s >= 0):
            raise MeterError(
                f"a meter found {energy_j} J in {duration_s} s; neither can be below 0"
            )
        self._found = energy_j, duration_s

    def _value(self) -> tuple[float, float]:
        if self._found is None:
            raise MeterError("the energy is known once the block it is measured over has ended")
        return self._found

    @property
    def energy_j(self) -> float:
        """Energy of the block [J].

        Raises:
            MeterError: The block has not ended.
        """
        return self._value()[0]

    @property
    def duration_s(self) -> float:
        """Length of the block [s].

        Raises:
            MeterError: The block has not ended.
        """
        return self._value()[1]

    @property
    def power_w(self) -> float:
        """Mean power of the block [W]; 0 for one without length.

        Raises:
            MeterError: The block has not ended.
        """
        energy_j, duration_s = self._value()
        return energy_j / duration_s if duration_s > 0 else 0.0


class EnergyMeter(Protocol):
    """Something that tells what a stretch of time has cost.

    Whatever else the machine does meanwhile is in it, too.
    """

    @property
    def name(self) -> str:
        """What it reads, for people and results."""

    @property
    def modelled(self) -> bool:
        """Whether the energy is computed from stated powers, and not measured."""

    @property
    def resolution_s(self) -> float:
        """How often its source changes [s]: what is much shorter is not resolved."""

    def measure(self) -> AbstractContextManager[Energy]:
        """Measure the block of a `with`.

        Raises:
            MeterError: The source cannot be read, or could not be at some time in the block.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class EnergyPerCall:
    """What a call costs.

    Attributes:
        energy_j: Of a call, in the mean [J].
        duration_s: Of a call, in the mean [s].
        num_calls: Calls that were measured together.
        meter: Name of the meter.
        modelled: Whether the energy is computed from stated powers.
    """

    energy_j: float
    duration_s: float
    num_calls: int
    meter: str
    modelled: bool


_CHANGES = 20
_MOST_CALLS = 100_000


def energy_per_call(
    call: Callable[[], Any], meter: EnergyMeter, *, min_duration_s: float = 0.0
) -> EnergyPerCall:
    """Return what a call costs, from as many as the meter needs to resolve one.

    The first call is not measured. Then calls double in number until they last for twenty changes
    of the meter's source, so that the first and the last change err by no more than a tenth.

    Args:
        call: What is measured; on a GPU it waits for the result itself.
        meter: Measures it.
        min_duration_s: Measured time at least [s].

    Raises:
        MeterError: The meter fails.
    """
    call()
    wanted_s = max(min_duration_s, _CHANGES * meter.resolution_s)
    num_calls = 1
    while True:
        with meter.measure() as energy:
            for _ in range(num_calls):
                call()
        if energy.duration_s >= wanted_s or num_calls >= _MOST_CALLS:
            break
        missing = wanted_s / max(energy.duration_s, 1e-9)
        num_calls = min(_MOST_CALLS, math.ceil(num_calls * min(max(1.2 * missing, 2.0), 100.0)))
    return EnergyPerCall(
        energy_j=energy.energy_j / num_calls,
        duration_s=energy.duration_s / num_calls,
        num_calls=num_calls,
        meter=meter.name,
        modelled=meter.modelled,
    )
