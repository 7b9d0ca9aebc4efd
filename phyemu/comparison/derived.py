"""A number that is computed from cells, and what it is of."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from .cell import CellKey

__all__ = ["Derived", "derive", "mean_derived"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Derived:
    """A number, and the networks behind it.

    Attributes:
        value: The number.
        backbones: Those of the cells that it was computed from.
        partial: Cells among these whose figure is a mean that leaves failed transfers out.
    """

    value: float
    backbones: frozenset[str]
    partial: frozenset[CellKey] = frozenset()

    def map(self, function: Callable[[float], float]) -> "Derived":
        """Return another number of the same cells."""
        return replace(self, value=function(self.value))


def derive(function: Callable[..., float], *parts: Derived | None) -> Derived | None:
    """Return a number of several others, which is of all their cells; None where one is missing."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return Derived(
        value=function(*(part.value for part in known)),
        backbones=frozenset[str]().union(*(part.backbones for part in known)),
        partial=frozenset[CellKey]().union(*(part.partial for part in known)),
    )


def mean_derived(parts: Iterable[Derived | None]) -> Derived | None:
    """Return the mean, or None where a part is missing or there is none."""
    return derive(lambda *values: statistics.fmean(values), *parts)
