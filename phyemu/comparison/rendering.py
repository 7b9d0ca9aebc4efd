"""The pages of a comparison, from its finished cells alone."""

import re
from dataclasses import dataclass
from pathlib import Path

from phyemu.whole_file import write_whole

from .accuracy_tables import table_1, table_2, table_2_drops, table_of_sweep
from .cell_set import CellSet
from .cell_store import CellStore
from .cost_tables import table_3, table_of_costs
from .environment import COLOSSEUM, CONFERENCE, OFFICE
from .exhibit import Exhibit
from .figures import draw_costs, draw_energy, draw_jscc, draw_sweep
from .result_table import ResultTable
from .statements import statements_table

__all__ = ["Rendered", "render", "tables_of"]

_MAIN = "cifar-10"
_PLACES = {
    Exhibit.FIGURE_6: OFFICE,
    Exhibit.FIGURE_7: CONFERENCE,
    Exhibit.FIGURE_8: COLOSSEUM,
}
_TITLE = "# The paper's comparisons, computed"
_LINK = re.compile(r"\]\(((?:tables|figures)/[\w.-]+)\)")
_INTRODUCTION = (
    "Made by `phyemu compare`, from the cells in `cells/`; `phyemu compare render FOLDER` writes "
    "everything else here anew. The paper is Abdi et al., *PhyDNNs: Bringing Deep Neural Networks "
    "to the Physical Layer*. Its values are those of its tables and sentences; the heights of bars "
    "and curves that only its pictures show were not read off and are not here."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """What was written.

    Attributes:
        index: The page that shows all; None: another one stands there.
        tables: Markdown files.
        figures: Pictures.
        notes: A line on what was left as it was.
    """

    index: Path | None
    tables: tuple[Path, ...]
    figures: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def render(folder: Path) -> Rendered:
    """Write tables, figures and index of a folder's cells; those of cells no longer there go.

    An index that another hand wrote stays.

    Args:
        folder: Of `phyemu compare`, or any with `cells/` of it.

    Raises:
        ConfigError: There are no cells, or one is damaged.
    """
    cells = CellStore(folder).load()
    page = folder / "index.md"
    stale = _made_before(page)
    written: dict[Exhibit, list[str]] = {}
    tables, figures = [], []
    for name in ("tables", "figures"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for exhibit in Exhibit:
        parts = []
        picture = folder / "figures" / f"{exhibit}.png"
        if _draw(exhibit, cells, picture):
            figures.append(picture)
            parts.append(f"![{exhibit.heading}](figures/{picture.name})\n")
        for table in tables_of(exhibit, cells):
            text = table.to_markdown()
            tables.append(write_whole(folder / "tables" / f"{table.name}.md", text))
            csv = write_whole(folder / "tables" / f"{table.name}.csv", table.to_csv())
            parts += [text, f"[as CSV](tables/{csv.name})\n"]
        if parts:
            written[exhibit] = parts
    stale -= {*tables, *(path.with_suffix(".csv") for path in tables), *figures}
    for path in stale:
        path.unlink(missing_ok=True)
    if page.is_file() and not _own_text(page):
        note = (
            f"{page}: was not written by phyemu compare, and stays; move it, then phyemu compare "
            "render writes one"
        )
        return Rendered(index=None, tables=tuple(tables), figures=tuple(figures), notes=(note,))
    lines = [_TITLE, "", _INTRODUCTION, ""]
    for parts in written.values():
        lines += parts
    lines += _cells_section(cells, folder)
    index = write_whole(page, "\n".join(lines))
    return Rendered(index=index, tables=tuple(tables), figures=tuple(figures))


def tables_of(exhibit: Exhibit, cells: CellSet) -> list[ResultTable]:
    """Return the tables of an exhibit that these cells fill, the paper's sentences last."""
    datasets = cells.values("dataset")
    main = _main_dataset(cells)
    found: list[ResultTable | None] = []
    match exhibit:
        case Exhibit.TABLE_1:
            found.append(table_1(cells, main))
        case Exhibit.TABLE_2:
            for dataset in datasets:
                found += [table_2(cells, dataset), table_2_drops(cells, dataset)]
        case Exhibit.TABLE_3:
            found.append(table_3(cells, main))
        case Exhibit.FIGURE_10:
            found += [table_of_sweep(cells, dataset) for dataset in datasets]
        case Exhibit.FIGURE_6 | Exhibit.FIGURE_7 | Exhibit.FIGURE_8:
            found.append(table_of_costs(cells, exhibit, _PLACES[exhibit], main))
        case Exhibit.FIGURE_9 | Exhibit.FIGURE_11:
            pass  # their numbers are columns and rows of Fig. 6's table
    if main == _MAIN:
        found.append(statements_table(cells, exhibit, main))
    return [table for table in found if table is not None]


def _main_dataset(cells: CellSet) -> str:
    """Return the dataset of Table I: CIFAR-10, or the only one there is."""
    datasets = cells.values("dataset")
    return _MAIN if _MAIN in datasets else str(datasets[0])


def _draw(exhibit: Exhibit, cells: CellSet, path: Path) -> bool:
    main = _main_dataset(cells)
    match exhibit:
        case Exhibit.FIGURE_6 | Exhibit.FIGURE_7 | Exhibit.FIGURE_8:
            return draw_costs(cells, exhibit, _PLACES[exhibit], main, path)
        case Exhibit.FIGURE_9:
            return draw_energy(cells, main, path)
        case Exhibit.FIGURE_10:
            return draw_sweep(cells, cells.values("dataset"), path)
        case Exhibit.FIGURE_11:
            return draw_jscc(cells, main, path)
        case _:
            return False


def _own_text(index: Path) -> str:
    """Return what an index says that an earlier rendering wrote; empty: it is none."""
    text = index.read_text("utf-8", errors="replace") if index.is_file() else ""
    return text if text.startswith(_TITLE) else ""


def _made_before(index: Path) -> set[Path]:
    """Return the tables and figures of an earlier rendering, as its index shows them.

    Whatever else lies beside them is the user's.
    """
    shown = [index.parent / name for name in _LINK.findall(_own_text(index))]
    made = {path for path in shown if path.name.startswith(tuple(Exhibit))}
    return made | {path.with_suffix(".md") for path in made if path.suffix == ".csv"}


def _cells_section(cells: CellSet, folder: Path) -> list[str]:
    """Return the list of cells, each with its file and the run that made its weights."""
    lines = ["## Cells", "", f"{len(cells)} cells, each with the training run behind it.", ""]
    lines += ["| cell | run | weights |", "| --- | --- | --- |"]
    store = CellStore(folder)
    for cell in cells:
        path = store.path(cell.key).relative_to(folder).as_posix()
        weights = str(cell.provenance.get("weights_sha256", ""))[:12] or "-"
        run = f"`{cell.run}`" if cell.run else "-"
        lines.append(f"| [{cell.key.label()}]({path}) | {run} | {weights} |")
    return [*lines, ""]
