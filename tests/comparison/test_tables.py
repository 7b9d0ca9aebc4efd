"""Tables and statements from a hand-made set of cells."""

import csv
import io
from dataclasses import replace

import pytest

from phyemu.comparison import CellSet, Entry, Exhibit, ResultTable, tables_of
from phyemu.comparison.cell_set import Spread
from phyemu.comparison.statement_rules import statement_value


def table(cells: CellSet, exhibit: Exhibit, name: str) -> ResultTable:
    """Return a table by its name."""
    return next(found for found in tables_of(exhibit, cells) if found.name == name)


def rows(found: ResultTable) -> dict[tuple[str, ...], list[str]]:
    """Return the entries as text, by the labels of their row."""
    return {labels: [entry.text() for entry in entries] for labels, entries in found.rows}


def test_table_1_stands_beside_the_papers(cells: CellSet) -> None:
    found = table(cells, Exhibit.TABLE_1, "table-1")
    assert found.columns == ("ResNet-20",)
    # Two seeds half a point to either side of the mean: a sample deviation of sqrt(1/2).
    assert rows(found) == {
        ("edge-only (baseline)", "any", ""): ["87.00 ± 0.71 (87.52, -0.52)"],
        ("PhyDNN, paper settings", "office-los", "4"): ["79.00 ± 0.71 (78.23, +0.77)"],
        ("PhyDNN, paper settings", "office-nlos", "4"): ["75.00 ± 0.71 (74.64, +0.36)"],
    }


def test_table_2_names_the_bytes_of_each_order(cells: CellSet) -> None:
    found = table(cells, Exhibit.TABLE_2, "table-2-cifar-10")
    assert found.columns == ("no radio", "M = 16 (32 KB)", "M = 8 (24 KB)", "M = 4 (16 KB)")
    assert rows(found)["PhyDNN, paper settings", "ResNet-20"] == [
        "87.00 ± 0.71",
        "83.00 ± 0.71 (82.89, +0.11)",
        "82.00 ± 0.71 (81.48, +0.52)",
        "80.00 ± 0.71 (80.07, -0.07)",
    ]


def test_drops_are_paired_by_seed(cells: CellSet) -> None:
    found = table(cells, Exhibit.TABLE_2, "table-2-drops-cifar-10")
    # Both accuracies of a seed are shifted alike, so the drop has no spread.
    assert rows(found)["PhyDNN, paper settings", "ResNet-20"] == [
        "4.00 ± 0.00 (4.63, -0.63)",
        "5.00 ± 0.00 (6.04, -1.04)",
        "7.00 ± 0.00 (7.45, -0.45)",
    ]


def test_the_sweep_shows_errors_and_their_changes(cells: CellSet) -> None:
    found = table(cells, Exhibit.FIGURE_10, "figure-10-cifar-10")
    assert rows(found)["PhyDNN, paper settings", "ResNet-20", "16"] == [
        "21.00 ± 0.71",
        "18.50 ± 0.71",
        "17.00 ± 0.71",
        "16.00 ± 0.71",
        "1.50",
        "-1.00",
        "5.00 (less than 3.00, +2.00)",
    ]


def test_modelled_numbers_are_marked_and_engines_named(cells: CellSet) -> None:
    text = table(cells, Exhibit.FIGURE_6, "figure-6").to_markdown()
    phydnn = next(line for line in text.splitlines() if line.startswith("| PhyDNN"))
    assert phydnn.split(" | ")[3:8] == ["-", "10.00\\*", "10.00", "20.00", "40.00\\*"]
    bottlefit = next(line for line in text.splitlines() if line.startswith("| BF-1, TCP"))
    assert bottlefit.split(" | ")[3:6] == ["model", "9.00", "170.00"]
    assert "from a stated model" in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # Head, communication and tail of both places over the 40 ms of the PhyDNN.
        ("figure-6/latency-ratio/bf-1", (200 / 40 + 217 / 40) / 2),
        ("figure-6/communication-ratio/bf-1/los", 17.0),
        ("figure-6/communication-increase/nlos", 10.0),
        ("figure-6/head-difference", 1.0),
        ("figure-6/payload-ratio/bf-2", 32.0),
        ("figure-6/overhead/phydnn", 256.0),
        ("figure-6/overhead-ratio/bf-1/los", 180.0),
        ("figure-6/bytes/sc", 4096.0),
        ("figure-6/latency-ratio/max", (9 + 2900 * 1.1 + 21) / 40),
        ("figure-9/energy-increase/bf-1/los", 100 * (376 / 60 - 1)),
        ("figure-9/transmit-ratio/bf-1/nlos", 340 * 1.1 / 20),
        ("figure-9/head-difference", 4.0),
        ("figure-9/head-difference-share", 100 * 4 / ((376 + 410) / 2)),
        ("figure-10/change/resnet20", 5.0),
        ("table-1/experiment-drop", 1.0),
        ("table-2/drop/max", 3.0),
        # Of what there are no cells.
        ("figure-11/latency-ratio", None),
        ("figure-10/change/resnet110", None),
        ("table-3/accuracy-difference", None),
    ],
)
def test_a_sentence_is_computed_from_cells(
    cells: CellSet, name: str, expected: float | None
) -> None:
    found = statement_value(name, cells, dataset="cifar-10", variant="paper")
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.value == pytest.approx(expected)
        assert found.backbones == {"resnet20"}


def test_a_missing_system_leaves_its_sentences_out(cells: CellSet) -> None:
    without = CellSet(cell for cell in cells if cell.key.system != "SC")
    wanted = {"dataset": "cifar-10", "variant": "paper"}
    assert statement_value("figure-6/latency-ratio/max", without, **wanted) is None
    assert statement_value("figure-6/bytes/sc", without, **wanted) is None


@pytest.fixture
def two_networks(cells: CellSet) -> CellSet:
    """Return the cells of ResNet-20, and ResNet-56 at twice its costs without BottleFit."""
    found = list(cells)
    for cell in cells.where(system=("PhyDNN", "SC")):
        key = replace(cell.key, backbone="resnet56")
        found.append(replace(cell, key=key, figures={k: 2 * v for k, v in cell.figures.items()}))
    return CellSet(found)


def test_sentences_are_of_the_networks_that_have_every_system(two_networks: CellSet) -> None:
    found = rows(table(two_networks, Exhibit.FIGURE_6, "figure-6-statements"))
    latency = "latency, BF-1 over PhyDNN", "x", "Sec. IV-C, End-to-end Latency", "ResNet-20"
    assert found[latency] == ["5.21 (2.30, +2.91)"]
    overhead = "overhead of PhyDNN", "bytes", "Sec. IV-C, Communication Overhead"
    assert found[*overhead, "ResNet-20, ResNet-56"] == ["384.00 (256.00, +128.00)"]
    largest = "latency, largest ratio to PhyDNN", "x", "Abstract", "ResNet-20"
    assert found[largest] == ["80.50 (up to 48.00, +32.50)"]
    found = rows(table(two_networks, Exhibit.FIGURE_9, "figure-9-statements"))
    apart = "energy of the head, PhyDNN and BF-1 apart", "mJ", "Sec. IV-C, Energy Consumption"
    assert found[*apart, "ResNet-20"] == ["4.00 (20.60, -16.60)"]
    assert len(found) == 9


def test_a_sentence_without_cells_stands_as_not_computed(two_networks: CellSet) -> None:
    only_56 = two_networks.where(backbone="resnet56")
    found = rows(table(only_56, Exhibit.FIGURE_9, "figure-9-statements"))
    assert len(found) == 9
    assert {tuple(entries) for (*_, networks), entries in found.items() if networks == "-"} == {
        (f"not computed ({text})",)
        for text in (
            "135.35", "295.53", "142.89", "312.41", "18.52", "19.42", "20.60", "5.16", "up to 13.00"
        )
    }  # fmt: skip


def test_a_sentence_from_means_without_failed_transfers_says_so(cells: CellSet) -> None:
    failed = CellSet(
        replace(cell, figures={**cell.figures, "failed_share": 0.25}, provenance={"transfers": 8})
        if (cell.key.system, cell.key.environment) == ("BF-1", "office-nlos")
        else cell
        for cell in cells
    )
    found = table(failed, Exhibit.FIGURE_6, "figure-6-statements")
    marked = {labels[0] for labels, (text,) in rows(found).items() if "†" in text}
    assert marked == {
        "latency, BF-1 over PhyDNN",
        "communication delay, BF-1 over PhyDNN, NLoS",
        "communication delay of full-stack systems, NLoS over LoS",
        "overhead, BF-1 over PhyDNN, NLoS",
    }
    line = "* of 8 transfers 2 failed: BF-1, TCP, ResNet-20, office-nlos"
    assert line in found.to_markdown()
    assert "†" not in table(cells, Exhibit.FIGURE_6, "figure-6-statements").to_markdown()
    lines = csv.DictReader(io.StringIO(found.to_csv()))
    assert {line["quantity"] for line in lines if line["partial"] == "yes"} == marked


def test_a_variant_without_a_network_keeps_its_sentences(two_networks: CellSet) -> None:
    best = [
        replace(cell, key=replace(cell.key, variant="best"))
        for cell in two_networks.where(system="PhyDNN", backbone="resnet20")
    ]
    both = CellSet([*two_networks, *best])
    (labels,) = [
        labels
        for labels in rows(table(both, Exhibit.FIGURE_6, "figure-6-statements"))
        if labels[0] == "overhead of PhyDNN"
    ]
    assert labels[3] == "best: ResNet-20; paper: ResNet-20, ResNet-56"
    found = rows(table(both, Exhibit.TABLE_1, "table-1-statements"))
    (drops,) = [found[labels] for labels in found if labels[0] == "drop from simulation to LoS"]
    assert drops == ["1.00 (about 5.00, -4.00)", "1.50 (about 5.00, -3.50)"]


def test_csv_holds_every_number(cells: CellSet) -> None:
    found = table(cells, Exhibit.TABLE_2, "table-2-cifar-10")
    lines = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert len(lines) == 4
    line = lines[1]
    assert (line["backbone"], line["column"]) == ("ResNet-20", "M = 16 (32 KB)")
    assert (float(line["mean"]), line["seeds"], line["published"]) == (83.0, "2", "82.89")
    assert float(line["deviation"]) == pytest.approx(0.5**0.5)


def test_bars_and_pipes_in_a_label_do_not_break_a_table() -> None:
    entry = Entry(measured=Spread(mean=1.0, deviation=float("nan"), count=1))
    found = ResultTable(
        name="t", title="T", row_headings=("a",), columns=("b",), rows=((("x|y",), (entry,)),)
    )
    assert "| x\\|y | 1.00 |" in found.to_markdown()


def test_no_cells_of_an_exhibit_make_no_table(cells: CellSet) -> None:
    sweep = cells.where(environment=("awgn-4", "awgn-8"))
    assert tables_of(Exhibit.FIGURE_6, sweep) == []
    assert tables_of(Exhibit.TABLE_1, sweep) == []


def test_what_sends_nothing_makes_no_table_of_a_place(cells: CellSet) -> None:
    sent = next(iter(cells.where(system="SC")))
    key = replace(sent.key, system="device-only", environment="none", protocol="")
    whole = replace(sent, key=key, engine="")
    both = CellSet([*cells, whole])
    found = table(both, Exhibit.FIGURE_6, "figure-6")
    assert ("device-only", "ResNet-20", "none", "-") in rows(found)
    names = [item.name for item in tables_of(Exhibit.FIGURE_7, both)]
    assert "figure-7" not in names


def test_tables_say_how_many_images_and_seeds_they_are_of(cells: CellSet) -> None:
    one = CellSet(
        replace(cell, figures={**cell.figures, "num_images": 200})
        for cell in cells
        if cell.key.seed == 1
    )
    for exhibit, name in (
        (Exhibit.TABLE_2, "table-2-cifar-10"),
        (Exhibit.TABLE_2, "table-2-drops-cifar-10"),
        (Exhibit.FIGURE_10, "figure-10-cifar-10"),
    ):
        both = table(cells, exhibit, name).to_markdown()
        assert "Test images of a cell: 10,000. Seeds: paper 0, 1." in both
        few = table(one, exhibit, name).to_markdown()
        assert "Test images of a cell: 200. Seeds: paper 1." in few
    jscc = [
        replace(cell, key=replace(cell.key, system="DT-JSCC", variant=""))
        for cell in cells
        if cell.key.system == "PhyDNN"
    ]
    for shown, exhibit, name in (
        (cells, Exhibit.TABLE_1, "table-1"),
        (CellSet([*cells, *jscc]), Exhibit.TABLE_3, "table-3"),
    ):
        assert "Test images of a cell: " in table(shown, exhibit, name).to_markdown()
