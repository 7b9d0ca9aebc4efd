"""The paper's tables and figures: computed cell by cell, drawn beside what the paper states."""

from phyemu.comparison.cell import Cell, CellKey, CellKind
from phyemu.comparison.cell_set import CellSet
from phyemu.comparison.cell_store import CellStore
from phyemu.comparison.config import ComparisonConfig
from phyemu.comparison.exhibit import Exhibit, exhibits_of
from phyemu.comparison.published import PublishedValue, published_values

__all__ = [
    "Cell",
    "CellKey",
    "CellKind",
    "CellSet",
    "CellStore",
    "ComparisonConfig",
    "Exhibit",
    "exhibits_of",
    "PublishedValue",
    "published_values",
]
