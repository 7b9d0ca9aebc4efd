"""The table for people, for spreadsheets and as a picture."""

import csv
import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from scipy.stats import binomtest

from phyemu.batch.result_figure import plot_results
from phyemu.batch.result_table import (
    LinkResult,
    NodeResult,
    accuracy_interval,
    csv_text,
    link_tables,
    node_table,
)
from phyemu.errors import ConfigError

IMAGES = LinkResult(
    kind="phydnn",
    reservation="77",
    job="=cmd()",
    scenario="urban-40db",
    loop=1,
    transmitter=1,
    receiver=2,
    frames_sent=60,
    frames_received=44,
    frames_lost=2,
    symbol_error_rate=0.0123,
    images=359,
    accuracy=92.5,
    accuracy_low=89.3,
    accuracy_high=94.8,
    snr_db=17.25,
    payload_bytes=8192.0,
    overhead_bytes=512.0,
    head_s=2.5e-3,
    air_s=math.nan,
    tail_s=1e-3,
    scored_by="node",
)
SOUNDED = LinkResult(
    kind="sound",
    reservation="77",
    job="sound-90003",
    scenario="90003",
    loop=1,
    transmitter=None,
    receiver=3,
    soundings=24,
    paths=4,
    taps=4,
    taps_missed=1,
    delay_error_ns=1.25,
    gain_error_db=0.123,
    received_power_dbfs=-12.0,
    scenario_gain_db=-3.0,
)


def printed(*tables: object) -> str:
    console = Console(width=300, file=io.StringIO())
    for table in tables:
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_each_kind_has_a_table_with_what_applies_to_it() -> None:
    text = printed(*link_tables([IMAGES, SOUNDED]))
    assert "Captures" not in text
    words = text.split()
    for word in ("1>2", "?>3", "0.0123", "92.5", "8192", "2.50/-/1.00", "0.12"):
        assert word in words, word
    assert "89.3 to 94.8" in text
    assert "delay error [ns]" in text
    assert "3 of 4" in text
    assert "nan" not in text.lower()


def test_names_from_logs_are_no_markup() -> None:
    named = replace(SOUNDED, scenario="[red]x[/nothing]")
    assert "[red]x[/nothing]" in printed(*link_tables([named]))


def test_csv_has_a_line_for_each_link_and_nothing_a_spreadsheet_runs() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text([IMAGES, SOUNDED]))))
    assert [row["kind"] for row in rows] == ["phydnn", "sound"]
    assert rows[0]["job"] == "'=cmd()"
    assert (rows[0]["images"], rows[0]["air_s"], rows[1]["transmitter"]) == ("359", "", "")
    assert float(rows[0]["symbol_error_rate"]) == IMAGES.symbol_error_rate


def test_a_node_names_its_problems() -> None:
    node = NodeResult(
        reservation="77",
        job="j",
        node=2,
        srn=40,
        role="sound",
        state="",
        tasks=0,
        problems=("left no logs", "and more"),
    )
    assert node.lines() == [
        "reservation 77, node 2: left no logs",
        "reservation 77, node 2: and more",
    ]
    assert {"77", "2", "40", "sound", "none", "0"} <= set(printed(node_table([node])).split())


def test_the_figure_shows_what_there_is(tmp_path: Path) -> None:
    both = plot_results([IMAGES, SOUNDED], tmp_path / "both.svg").read_text("utf-8")
    assert both.count('id="axes_') == 2
    one = plot_results([SOUNDED], tmp_path / "one.svg").read_text("utf-8")
    assert one.count('id="axes_') == 1
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        plot_results([IMAGES], tmp_path / "x.gif")
    with pytest.raises(ConfigError, match="neither"):
        plot_results([], tmp_path / "x.png")


@pytest.mark.parametrize(("right", "images"), [(0, 1), (8, 10), (359, 359), (4711, 9000)])
def test_the_interval_is_wilsons(right: int, images: int) -> None:
    accuracy, low, high = accuracy_interval(right, images)
    theirs = binomtest(right, images).proportion_ci(0.95, method="wilson")
    assert accuracy == pytest.approx(100 * right / images)
    assert (low, high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-9)
    # Sent a hundred times, they are no more different images than before.
    assert accuracy_interval(100 * right, 100 * images, images) == (
        pytest.approx(accuracy),
        pytest.approx(low),
        pytest.approx(high),
    )


def test_no_image_has_no_interval() -> None:
    assert all(math.isnan(value) for value in accuracy_interval(0, 0))
