"""The paper's tables and figures: computed cell by cell, drawn beside what the paper states."""

from phyemu.comparison.cell import Cell, CellKey, CellKind
from phyemu.comparison.cell_set import CellSet
from phyemu.comparison.cell_states import PlannedCell, PlannedCells
from phyemu.comparison.cell_store import CellStore
from phyemu.comparison.compare import (
    ComparisonResult,
    FailedCells,
    planned_cells,
    run_comparison,
)
from phyemu.comparison.config import (
    AccuracyConfig,
    ComparisonConfig,
    CostConfig,
    UrbanConfig,
)
from phyemu.comparison.exhibit import Exhibit, exhibits_of
from phyemu.comparison.plan import cells_of, plan
from phyemu.comparison.presets import comparison_preset, read_comparison, resolve_comparison
from phyemu.comparison.published import PublishedValue, published_values
from phyemu.comparison.rendering import Rendered, render, tables_of
from phyemu.comparison.result_table import Entry, ResultTable

__all__ = [
    "AccuracyConfig",
    "Cell",
    "CellKey",
    "CellKind",
    "CellSet",
    "CellStore",
    "ComparisonConfig",
    "ComparisonResult",
    "CostConfig",
    "Entry",
    "Exhibit",
    "FailedCells",
    "PlannedCell",
    "PlannedCells",
    "PublishedValue",
    "Rendered",
    "ResultTable",
    "UrbanConfig",
    "cells_of",
    "comparison_preset",
    "exhibits_of",
    "plan",
    "planned_cells",
    "published_values",
    "read_comparison",
    "render",
    "resolve_comparison",
    "run_comparison",
    "tables_of",
]
