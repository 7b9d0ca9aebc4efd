"""Finished cells, asked for by what they are about."""

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .cell import Cell
from .transfer_means import is_partial

__all__ = ["CellSet", "Spread", "mean_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A figure over several seeds.

    Attributes:
        mean: Of the seeds.
        deviation: Sample standard deviation; NaN of one value.
        count: Values.
        modelled: A model stands behind at least one.
        partial: At least one is a mean of transfers that leaves failed ones out.
    """

    mean: float
    deviation: float
    count: int
    modelled: bool = False
    partial: bool = False

    @classmethod
    def of(
        cls, values: Sequence[float], *, modelled: bool = False, partial: bool = False
    ) -> "Spread | None":
        """Return the spread of values, or None of none."""
        if not values:
            return None
        deviation = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(
            mean=statistics.fmean(values),
            deviation=deviation,
            count=len(values),
            modelled=modelled,
            partial=partial,
        )


class CellSet:
    """Cells, filtered by the fields of their keys."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        """Hold the cells in the order of their keys."""
        self._cells = tuple(sorted(cells, key=lambda cell: cell.key))

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def where(self, **wanted: Any) -> "CellSet":
        """Return the cells whose keys have these values; a tuple allows each of several."""
        return CellSet(
            cell
            for cell in self._cells
            if all(
                getattr(cell.key, name) in (value if isinstance(value, tuple) else (value,))
                for name, value in wanted.items()
            )
        )

    def values(self, field: str) -> list[Any]:
        """Return the distinct values of a field of the keys, in the order of the cells."""
        return list(dict.fromkeys(getattr(cell.key, field) for cell in self._cells))

    def spread(self, figure: str, **wanted: Any) -> Spread | None:
        """Return a figure over the cells that remain, which should differ in their seed alone."""
        found = [cell for cell in self.where(**wanted) if figure in cell.figures]
        return Spread.of(
            [cell.figures[figure] for cell in found],
            modelled=any(figure in cell.modelled for cell in found),
            partial=any(is_partial(cell, figure) for cell in found),
        )

    def mean(self, figure: str, **wanted: Any) -> float | None:
        """Return the mean of a figure over the cells that remain, or None where there is none."""
        spread = self.spread(figure, **wanted)
        return None if spread is None else spread.mean


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean, or None where a value is missing or there is none."""
    found = list(values)
    known = [value for value in found if value is not None]
    return statistics.fmean(known) if known and len(known) == len(found) else None
