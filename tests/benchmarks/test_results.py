"""What a run leaves behind, and its way into the docs."""

import importlib
import json
from pathlib import Path

import pytest

import benchmarks.__main__ as entry
from benchmarks.harness import Row, Table
from benchmarks.results import BEGIN, END, machine, update_docs, write_results

ROW = Row(name="phyemu", rate=2e8, ratio=1.0, spread=0.01)
TABLE = Table(title="Work", unit="samples", rows=[ROW, ROW])


def test_results_are_written_to_read_and_to_compute(tmp_path: Path) -> None:
    written = write_results([TABLE, "## A study\n\nof its own.\n"], machine(1.5), tmp_path)
    text = written.read_text(encoding="utf-8")
    assert "Load 1.5 when it began" in text
    assert text.index("## All ratios") < text.index("## Work") < text.index("## A study")
    record = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert record["tables"][0]["rows"][0]["rate"] == 2e8
    assert record["machine"]["versions"]["torch"]


def test_the_docs_take_the_last_results_between_their_markers(tmp_path: Path) -> None:
    docs, folder = tmp_path / "docs", tmp_path / "bench"
    (docs / "pictures").mkdir(parents=True)
    page = docs / "benchmarks.md"
    page.write_text(f"# Ours\n{BEGIN}\nold\n{END}\nbelow\n", encoding="utf-8")
    write_results([TABLE], machine(0.0), folder)
    (folder / "cost.png").write_bytes(b"picture")
    assert update_docs(docs, folder) == [page, docs / "pictures" / "cost.png"]
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# Ours\n{BEGIN}\n")
    assert text.endswith(f"{END}\nbelow\n")
    assert "## Work" in text
    assert "old" not in text
    assert (docs / "pictures" / "cost.png").read_bytes() == b"picture"


def test_docs_without_markers_or_results_are_refused(tmp_path: Path) -> None:
    (tmp_path / "benchmarks.md").write_text("# Ours\n", encoding="utf-8")
    with pytest.raises(ValueError, match="run make bench first"):
        update_docs(tmp_path, tmp_path / "bench")
    write_results([TABLE], machine(0.0), tmp_path / "bench")
    with pytest.raises(ValueError, match="once each"):
        update_docs(tmp_path, tmp_path / "bench")


def test_our_own_docs_hold_the_markers() -> None:
    page = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    text = page.read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1


@pytest.mark.parametrize("name", [*entry.COMPARISONS, *entry.STUDIES])
def test_every_benchmark_can_be_imported_and_run(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)
