"""What docs/results shows is what its cells say: pages are made by one command, never by hand."""

import re
import shutil
from pathlib import Path

import pytest

from phyemu.comparison import render

RESULTS = sorted(
    path.parent for path in (Path(__file__).parents[2] / "docs" / "results").rglob("cells")
)


def test_results_are_committed() -> None:
    assert RESULTS


def test_no_file_names_a_place_on_a_machine() -> None:
    for folder in RESULTS:
        for path in folder.rglob("*"):
            if path.suffix in (".json", ".toml", ".md", ".csv"):
                text = path.read_text("utf-8")
                assert not re.search(r"(?<![\w.)/])/(work|home|root|tmp|Users|mnt)/", text), path


@pytest.mark.parametrize("folder", RESULTS, ids=lambda folder: folder.name)
def test_committed_pages_are_what_their_cells_render_to(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "cells", tmp_path / "cells")
    render(tmp_path)
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.suffix != ".json"}
    for name in sorted(made):
        if (tmp_path / name).is_file():
            assert (folder / name).is_file(), f"{name} is missing; phyemu compare render {folder}"
        if name.suffix in (".md", ".csv"):
            assert (folder / name).read_text("utf-8") == (tmp_path / name).read_text("utf-8"), name
    shown = {path.relative_to(folder) for path in folder.glob("tables/*")}
    assert shown <= made, f"tables without cells; phyemu compare render {folder}"
