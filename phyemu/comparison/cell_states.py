"""How the cells of a comparison stand before it goes on."""

from dataclasses import dataclass
from typing import Any

from .cell import CellKey

__all__ = ["PlannedCell", "PlannedCells"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCell:
    """A cell of a plan.

    Attributes:
        key: Which one.
        state: `done`, `to do`, or why it cannot be made.
        trainings: Folders of the runs that must be made first, or finished.
    """

    key: CellKey
    state: str
    trainings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedCells:
    """The cells of a plan, in its order."""

    cells: tuple[PlannedCell, ...]

    def in_state(self, state: str) -> int:
        """Return how many are in a state."""
        return sum(cell.state == state for cell in self.cells)

    @property
    def impossible(self) -> int:
        """Return how many cannot be made."""
        return len(self.cells) - self.in_state("done") - self.in_state("to do")

    @property
    def trainings(self) -> tuple[str, ...]:
        """Return the runs that must be made or finished, each once."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.trainings))

    def line(self) -> str:
        """Return the sum of it, for people."""
        return (
            f"{len(self.cells)} cells: {self.in_state('done')} done, {self.in_state('to do')} to "
            f"do, {self.impossible} cannot be made; {len(self.trainings)} trainings needed"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the cells and the sum of them as JSON values."""
        return {
            "cells": [{"name": cell.key.name, "state": cell.state} for cell in self.cells],
            "done": self.in_state("done"),
            "to_do": self.in_state("to do"),
            "impossible": self.impossible,
            "trainings": list(self.trainings),
        }
