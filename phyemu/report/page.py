"""One self-contained HTML page: a table, figures and the settings that made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

__all__ = ["ReportPage", "Section", "write_report"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A figure with its heading and a sentence that says what is to be seen."""

    heading: str
    caption: str
    figure: go.Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportPage:
    """All that a report shows.

    Attributes:
        title: Heading of the page.
        summary: The finding, in a sentence or two.
        columns: Headings of the table.
        rows: Cells of the table, already formatted, each as long as `columns`.
        notes: Sentences below the table: warnings, and what the columns mean.
        sections: The figures, in order.
        settings: The resolved configuration, as TOML.
        provenance: What made the run: version, seed, command, recordings.
    """

    title: str
    summary: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    sections: Sequence[Section] = ()
    settings: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)


def write_report(page: ReportPage, path: Path) -> Path:
    """Write the page to `path`, whole or not at all, and return it.

    The page needs no network: plotly's script is inside it, once.
    """
    environment = Environment(
        loader=PackageLoader("phyemu.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [
        section.figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"figure-{index}")
        for index, section in enumerate(page.sections)
    ]
    html = environment.get_template("report.html.jinja").render(
        page=page, figures=figures, plotly_script=get_plotlyjs()
    )
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(html, encoding="utf-8")
    temporary.replace(path)
    return path
