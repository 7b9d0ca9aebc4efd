"""What the paper states is what the package says it states."""

from pathlib import Path

import pytest

from phyemu.comparison import Exhibit, published_values
from phyemu.comparison.statement_rules import STATEMENTS

PAPER = Path(__file__).parents[3] / "shared" / "reference" / "phydnns-paper.txt"


def test_every_table_of_the_paper_is_there_whole() -> None:
    values = published_values().values()
    numbers = {
        exhibit: sum(1 for item in values if item.exhibit is exhibit and item.source[:5] == "Table")
        for exhibit in (Exhibit.TABLE_1, Exhibit.TABLE_2, Exhibit.TABLE_3)
    }
    # 3 networks in LoS, NLoS and as baseline; 3 networks, 3 sizes, 2 datasets; 3 lines, 2 systems.
    assert numbers == {Exhibit.TABLE_1: 9, Exhibit.TABLE_2: 18, Exhibit.TABLE_3: 6}


def test_the_drops_of_table_2_are_those_that_the_issue_names() -> None:
    values = published_values()
    whole = values["table-1/resnet20/baseline"].value
    drops = [whole - values[f"table-2/cifar-10/resnet20/m{order}"].value for order in (16, 8, 4)]
    assert drops == pytest.approx([4.6, 6.0, 7.5], abs=0.051)  # the issue's are rounded


def test_every_sentence_stands_in_the_paper_with_its_number() -> None:
    if not PAPER.is_file():
        pytest.skip(f"the paper's text is not at {PAPER}")
    text = _plain(PAPER.read_text("utf-8"))
    for item in published_values().values():
        if item.sentence:
            assert _plain(item.sentence) in text, item.id


def test_values_that_no_table_shows_are_computed_from_cells() -> None:
    shown = {item.id for item in published_values().values() if item.source[:6] != "Table "}
    assert shown == STATEMENTS


def _plain(text: str) -> str:
    """Return the words without mark-up, spaces and the ways to write a multiplication sign."""
    for mark in ("\\times", "×", "$", "*", "\\", "^", "{", "}"):
        text = text.replace(mark, "")
    return "".join(text.split())
