"""The page is complete, self-contained and safe against what it is given."""

import re
from pathlib import Path

import numpy as np

from phyemu.report import (
    ReportPage,
    Section,
    constellation_figure,
    loss_figure,
    power_delay_profile_figure,
    spectrogram_figure,
    write_report,
)


def page_with_all_figures() -> ReportPage:
    rng = np.random.default_rng(1)
    cloud = rng.normal(size=500) + 1j * rng.normal(size=500)
    ring = np.exp(2j * np.pi * np.arange(8) / 8)
    figures = [
        power_delay_profile_figure({"world": ([0, 1e-7], [1, 0.1]), "fit": ([0], [1])}),
        spectrogram_figure(np.arange(5) * 1e-3, np.arange(4) * 1e6, rng.normal(size=(4, 5))),
        constellation_figure(cloud, cloud / 3, ring),
        loss_figure({"backbone": [1.0, 0.5]}),
    ]
    return ReportPage(
        title="A <run>",
        summary="It works.",
        columns=["trained on", "accuracy"],
        rows=[["awgn", "71.2"]],
        notes=["a note & more"],
        sections=[Section(heading=f"H{i}", caption="c", figure=f) for i, f in enumerate(figures)],
        settings='seed = 3\nname = "<b>"',
        provenance={"seed": 3},
    )


def test_the_page_holds_the_table_every_figure_and_the_settings(tmp_path: Path) -> None:
    html = write_report(page_with_all_figures(), tmp_path / "report.html").read_text("utf-8")
    assert "71.2" in html
    for index in range(4):
        assert html.count(f'id="figure-{index}"') == 1
    assert "seed = 3" in html


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    html = write_report(page_with_all_figures(), tmp_path / "report.html").read_text("utf-8")
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="?https?:', html)
    # One copy of plotly's script, not one per figure.
    assert 1_000_000 < len(html) < 8_000_000


def test_text_is_escaped(tmp_path: Path) -> None:
    html = write_report(page_with_all_figures(), tmp_path / "report.html").read_text("utf-8")
    assert "A &lt;run&gt;" in html
    assert "<b>" not in html.split("</script>")[-1]


def test_nothing_is_left_beside_the_page(tmp_path: Path) -> None:
    write_report(page_with_all_figures(), tmp_path / "report.html")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
