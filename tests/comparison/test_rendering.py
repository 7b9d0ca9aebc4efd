"""Pages come from cells alone, and equal cells give equal pages."""

import hashlib
from pathlib import Path

import pytest

from phyemu.comparison import CellSet, CellStore, Exhibit, render
from phyemu.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, cells: CellSet) -> Path:
    """Return a folder with nothing but cells."""
    for cell in cells:
        CellStore(tmp_path).save(cell)
    return tmp_path


def test_everything_is_made_from_the_cells(folder: Path) -> None:
    rendered = render(folder)
    text = rendered.index.read_text("utf-8")
    names = {path.name for path in rendered.figures}
    assert names == {"figure-6.png", "figure-9.png", "figure-10.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in rendered.figures)
    for path in (*rendered.tables, *rendered.figures):
        assert path.is_file()
    for table in rendered.tables:
        assert table.read_text("utf-8") in text
        assert table.with_suffix(".csv").is_file()
    assert Exhibit.FIGURE_7.heading not in text  # no cell is of the conference room


def test_equal_cells_give_equal_pages(folder: Path) -> None:
    render(folder)
    before = _digests(folder)
    render(folder)
    assert _digests(folder) == before


def test_what_cells_no_longer_fill_goes(folder: Path) -> None:
    render(folder)
    assert (folder / "figures" / "figure-6.png").is_file()
    for path in (folder / "cells" / "cost").glob("*.json"):
        path.unlink()
    render(folder)
    assert not (folder / "figures" / "figure-6.png").exists()
    assert not (folder / "tables" / "figure-6.csv").exists()
    assert (folder / "tables" / "table-1.md").is_file()


def test_what_phyemu_did_not_make_stays(folder: Path) -> None:
    own = [
        folder / "figures" / "mine.png",
        folder / "tables" / "notes.md",
        folder / "tables" / "notes.csv",
        folder / "tables" / "table-1-by-hand.md",
    ]
    for path in own:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    render(folder)
    for path in (folder / "cells" / "cost").glob("*.json"):
        path.unlink()
    render(folder)
    assert all(path.read_text() == "mine" for path in own)


def test_an_index_that_phyemu_did_not_write_stays(folder: Path) -> None:
    own = folder / "figures" / "mine.png"
    own.parent.mkdir()
    own.write_text("mine")
    index = folder / "index.md"
    index.write_text("My project: ![](figures/mine.png)\n")
    rendered = render(folder)
    assert index.read_text() == "My project: ![](figures/mine.png)\n"
    assert own.read_text() == "mine"
    assert rendered.index is None
    assert (folder / "tables" / "table-1.md").is_file()
    (note,) = rendered.notes
    assert note.startswith(f"{index}: was not written by phyemu compare, and stays")


def test_a_damaged_cell_stops_the_rendering(folder: Path) -> None:
    path = next((folder / "cells" / "accuracy").glob("*.json"))
    path.write_text("{}")
    with pytest.raises(ConfigError, match=path.name):
        render(folder)
    assert not (folder / "index.md").exists()


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }
