"""The paper's sentences with a number, beside what our cells give."""

from collections.abc import Mapping

from .accuracy_tables import snrs_of
from .cell import CellKey, CellKind
from .cell_set import CellSet, Spread
from .config import PHYDNN
from .derived import Derived
from .environment import OFFICE, awgn_name
from .exhibit import Exhibit
from .labels import backbone_label, by_depth
from .published import PublishedValue, published_values
from .result_table import Entry, ResultTable
from .statement_rules import SIMULATED, STATEMENTS, statement_value
from .training_notes import training_note
from .transfer_means import failure_note

__all__ = ["statements_table"]


def statements_table(cells: CellSet, exhibit: Exhibit, dataset: str) -> ResultTable | None:
    """Return the paper's sentences about an exhibit, each beside ours, or as not computed.

    None where no cell is of the exhibit, or the paper has no such sentence.
    """
    variants = cells.where(system=PHYDNN, dataset=dataset).values("variant")
    rows = []
    partial: set[CellKey] = set()
    for item in published_values().values():
        if item.exhibit is not exhibit or item.id not in STATEMENTS:
            continue
        found = {
            variant: statement_value(item.id, cells, dataset=dataset, variant=variant)
            for variant in variants
        }
        partial |= {key for value in found.values() if value for key in value.partial}
        entries = tuple(
            Entry(
                measured=_measured(value),
                published=item.value,
                bound=item.bound,
            )
            for value in found.values()
        )
        labels = (_words(item), item.unit or "-", item.source, _networks(found))
        rows.append((labels, entries))
    about = _about(exhibit, cells, dataset)
    is_computed = any(entry.measured is not None for _, entries in rows for entry in entries)
    if not rows or not (is_computed or len(about)):
        return None
    return ResultTable(
        name=f"{exhibit}-statements",
        title=f"What the paper states: {exhibit.heading}",
        row_headings=("quantity", "unit", "source", "ours is of"),
        columns=tuple(f"ours, {variant} settings" for variant in variants),
        rows=tuple(rows),
        notes=(
            "In brackets what the paper states and our difference. Ratios are means of the ratios "
            "over backbones and places, full-stack systems over TCP; of the networks for which "
            "every system of the sentence was computed, and of a largest value the one that has "
            "it. Which of ours come from a model is marked in the tables that they were computed "
            "from.",
            *filter(None, [failure_note(cell for cell in cells if cell.key in partial)]),
            *([training_note(about)] if len(about.where(kind=CellKind.ACCURACY)) else []),
        ),
    )


def _measured(value: Derived | None) -> Spread | None:
    return None if value is None else Spread.of([value.value], partial=bool(value.partial))


def _about(exhibit: Exhibit, cells: CellSet, dataset: str) -> CellSet:
    """Return the cells for which an exhibit's sentences are shown, computed or not."""
    costs = cells.where(kind=CellKind.COST, dataset=dataset)
    accuracies = cells.where(kind=CellKind.ACCURACY, dataset=dataset)
    match exhibit:
        case Exhibit.TABLE_1:
            return accuracies.where(environment=OFFICE)
        case Exhibit.TABLE_2:
            return accuracies.where(environment=SIMULATED)
        case Exhibit.TABLE_3:
            return cells.where(dataset=dataset, system="DT-JSCC")
        case Exhibit.FIGURE_10:
            snrs = snrs_of(accuracies)
            return accuracies.where(
                environment=tuple(map(awgn_name, snrs if len(snrs) > 1 else []))
            )
        case Exhibit.FIGURE_11:
            return costs.where(system="DT-JSCC")
        case _:
            return costs.where(environment=OFFICE)


def _networks(found: Mapping[str, Derived | None]) -> str:
    """Return the networks that a row is of: once, where they are the same for every variant."""
    names = {
        variant: ", ".join(backbone_label(name) for name in sorted(value.backbones, key=by_depth))
        for variant, value in found.items()
        if value is not None
    }
    if len(set(names.values())) <= 1:
        return next(iter(names.values()), "-")
    return "; ".join(f"{variant}: {text}" for variant, text in names.items())


def _words(item: PublishedValue) -> str:
    words = item.quantity
    if item.backbone and item.backbone.removeprefix("resnet") not in words:
        words += f", ResNet-{item.backbone.removeprefix('resnet')}"
    return words
