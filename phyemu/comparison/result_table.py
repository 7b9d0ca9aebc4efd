"""A table of results beside published values: as markdown for people, as CSV for programs."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from .cell_set import Spread
from .transfer_means import MARK

__all__ = ["Entry", "ResultTable"]

_MODELLED = "\\*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What stands in one place of a table.

    Attributes:
        measured: Ours; None: not computed.
        published: The paper's; None: not stated.
        digits: Behind the point.
        bound: How the paper's is meant, as `up to`.
    """

    measured: Spread | None = None
    published: float | None = None
    digits: int = 2
    bound: str = ""

    def text(self) -> str:
        """Return ours, with the paper's and the difference in brackets.

        >>> spread = Spread(mean=83.0, deviation=0.25, count=3)
        >>> Entry(measured=spread, published=82.89).text()
        '83.00 ± 0.25 (82.89, +0.11)'
        >>> Entry(published=48, bound="up to", digits=0).text()
        'not computed (up to 48)'
        """
        ours = self._measured()
        if self.published is None:
            return ours or "-"
        paper = f"{self.bound} {_number(self.published, self.digits)}".strip()
        if self.measured is None:
            return f"not computed ({paper})"
        difference = self.measured.mean - self.published
        return f"{ours} ({paper}, {_number(difference, self.digits, sign=True)})"

    def _measured(self) -> str:
        spread = self.measured
        if spread is None:
            return ""
        text = _number(spread.mean, self.digits)
        if math.isfinite(spread.deviation):
            text += f" ± {_number(spread.deviation, self.digits)}"
        text += _MODELLED if spread.modelled else ""
        return text + (MARK if spread.partial else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class ResultTable:
    """Rows of entries under headings.

    Attributes:
        name: Of its files, as `table-1`.
        title: Heading.
        row_headings: What the labels of a row are.
        columns: What the entries of a row are.
        rows: (labels, entries), as many as there are headings and columns.
        notes: Sentences below.
    """

    name: str
    title: str
    row_headings: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Entry, ...]], ...]
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """Return the table under its title, with its notes."""
        headings = [*self.row_headings, *self.columns]
        marks = ["---"] * len(self.row_headings) + ["---:"] * len(self.columns)
        lines = [f"## {self.title}", "", _line(headings), _line(marks)]
        for labels, entries in self.rows:
            lines.append(_line([*labels, *(entry.text() for entry in entries)]))
        notes = list(self.notes)
        if any(
            entry.measured is not None and entry.measured.modelled
            for _, entries in self.rows
            for entry in entries
        ):
            notes.append(f"{_MODELLED} from a stated model (docs/metering.md), not an instrument.")
        for note in notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"

    def to_csv(self) -> str:
        """Return one line an entry: its row, its column, and every number of it."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        numbers = ("mean", "deviation", "seeds", "modelled", "partial", "published", "bound")
        writer.writerow([*self.row_headings, "column", *numbers])
        for labels, entries in self.rows:
            for column, entry in zip(self.columns, entries, strict=True):
                spread = entry.measured
                ours: Sequence[object] = ("", "", 0, "", "")
                if spread is not None:
                    deviation = spread.deviation if math.isfinite(spread.deviation) else ""
                    ours = (
                        spread.mean,
                        deviation,
                        spread.count,
                        "yes" if spread.modelled else "no",
                        "yes" if spread.partial else "no",
                    )
                published = "" if entry.published is None else entry.published
                writer.writerow([*labels, column, *ours, published, entry.bound])
        return text.getvalue()


def _line(words: Sequence[str]) -> str:
    return "| " + " | ".join(word.replace("|", "\\|") for word in words) + " |"


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    # Large numbers keep three or four figures in all: bytes and parameters need no decimals.
    places = digits if abs(value) < 1000 else 0
    return f"{value:+,.{places}f}" if sign else f"{value:,.{places}f}"
