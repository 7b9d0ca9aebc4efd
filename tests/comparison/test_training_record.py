"""Accuracies say how long their runs trained."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phyemu.baselines import SystemConfig, SystemName, system_preset
from phyemu.comparison import (
    Cell,
    CellKey,
    CellKind,
    CellSet,
    ComparisonConfig,
    Exhibit,
    comparison_preset,
    tables_of,
)
from phyemu.comparison.training_notes import training_note
from phyemu.comparison.training_record import TrainingRecord, record_of_run
from phyemu.errors import ConfigError
from phyemu.toml_config import to_toml
from phyemu.training import Preset, TrainConfig, named_preset

CONFIG = comparison_preset("paper")
COMMITTED = Path(__file__).parents[2] / "docs" / "results" / "runs" / "resnet20-best-seed0"
LACKING = "epochs not recorded"


def key(system: str, variant: str = "", **fields: Any) -> CellKey:
    """Return the key of an accuracy of ResNet-20 on CIFAR-10."""
    return CellKey(
        kind=CellKind.ACCURACY,
        system=system,
        variant=variant,
        dataset="cifar-10",
        **{"backbone": "resnet20", "environment": "office-los", **fields},
    )


def run_of(
    folder: Path, settings: TrainConfig | SystemConfig, epochs: Mapping[tuple[str, int | None], int]
) -> Path:
    """Write what a run's folder says of its training."""
    records = [
        {"task": task, "order": order}
        for (task, order), count in epochs.items()
        for _ in range(count)
    ]
    (folder / "config.toml").write_text(to_toml(settings))
    (folder / "history.json").write_text(json.dumps({"epochs": records}))
    return folder


def of(cell: CellKey, record: TrainingRecord | None, accuracy: float = 50.0) -> Cell:
    """Return an accuracy with a record as JSON keeps it."""
    provenance = {} if record is None else {"training": json.loads(json.dumps(record.to_dict()))}
    figures = {"accuracy": accuracy}
    return Cell(key=cell, figures=figures, fingerprint="0", provenance=provenance)


def test_a_run_tells_its_epochs_beside_the_presets() -> None:
    found = record_of_run(COMMITTED, key("PhyDNN", "best", order=4), CONFIG)
    assert found == TrainingRecord(stages=(("M = 16", 1, 15), ("M = 8", 1, 8), ("M = 4", 2, 8)))
    network = record_of_run(COMMITTED, key("edge-only", environment="none"), CONFIG)
    assert network == TrainingRecord(stages=(("network", 0, 60),), weights_given=True)


def test_k_means_over_some_slices_is_told(tmp_path: Path) -> None:
    paper = named_preset(Preset.PAPER, "cifar10:data", "awgn:12")
    settings = replace(paper, phydnn=replace(paper.phydnn, slices_per_image=64, epochs=(3, 2, 2)))
    run = run_of(tmp_path, settings, {("phydnn", 16): 3, ("phydnn", 8): 2, ("phydnn", 4): 2})
    cell = key("PhyDNN", "paper", order=16)
    found = record_of_run(run, cell, CONFIG)
    assert found is not None
    assert found.departures == {"slices_per_image": (64, 0)}
    assert training_note(CellSet([of(cell, found)])).splitlines()[-1] == (
        "* PhyDNN, paper settings, ResNet-20, seed 0: 7 of 31 epochs (M = 16 3 of 15, M = 8 2 of "
        "8, M = 4 2 of 8); other than the preset: k-means over 64 slices of an image, not all "
        "slices"
    )


def test_what_a_comparison_changes_of_a_preset_is_no_plan_of_it(tmp_path: Path) -> None:
    paper = named_preset(Preset.PAPER, "cifar10:data", "awgn:12")
    run = run_of(tmp_path, paper, {("phydnn", 16): 1})
    training = {"all": {"phydnn": {"epochs": [1]}}, "paper": {"phydnn": {"epochs": [1]}}}
    short: ComparisonConfig = replace(CONFIG, training=training)
    found = record_of_run(run, key("PhyDNN", "paper", order=16), short)
    assert found is not None
    assert found.stages[0] == ("M = 16", 1, 15)
    # A variant of one's own plans what its table says.
    own = replace(CONFIG, variants=("mine",), training={"mine": {"phydnn": {"epochs": [4]}}})
    found = record_of_run(run, key("PhyDNN", "mine", order=16), own)
    assert found is not None
    assert found.stages[0] == ("M = 16", 1, 4)


@pytest.mark.parametrize(
    ("name", "epochs", "line"),
    [
        (
            SystemName.DT_JSCC,
            {("dt-jscc", 32): 2},
            "* DT-JSCC, ResNet-20, seed 0: 2 of 320 epochs; **no result**",
        ),
        (
            SystemName.BOTTLEFIT_1,
            {("mimic", None): 5, ("distillation", None): 4},
            "* BF-1, ResNet-20, seed 0: 9 of 20 epochs (mimicry 5 of 10, distillation 4 of 10)",
        ),
    ],
)
def test_a_baseline_tells_its_epochs_and_what_is_no_result(
    tmp_path: Path, name: SystemName, epochs: dict[tuple[str, int | None], int], line: str
) -> None:
    run = run_of(tmp_path, system_preset(name, "cifar10:data"), epochs)
    cell = key(str(name))
    found = record_of_run(run, cell, CONFIG)
    assert found is not None
    assert training_note(CellSet([of(cell, found)])).splitlines()[-1] == line


def test_a_network_whose_weights_were_given_says_so() -> None:
    cell = key("SC")
    given = TrainingRecord(stages=(("network", 1, 60),), weights_given=True)
    lines = training_note(
        CellSet(
            [of(cell, given), of(replace(cell, seed=1), given), of(replace(cell, seed=2), None)]
        )
    ).splitlines()
    assert lines[-2:] == [
        "* SC, ResNet-20, seeds 0, 1: its weights were given, and trained 1 epoch more",
        f"* SC, ResNet-20, seed 2: {LACKING}",
    ]


def test_a_run_without_a_history_has_no_record(tmp_path: Path) -> None:
    assert record_of_run(tmp_path, key("PhyDNN", "paper", order=16), CONFIG) is None
    (tmp_path / "history.json").write_text("[]")
    assert record_of_run(tmp_path, key("PhyDNN", "paper", order=16), CONFIG) is None


def test_a_record_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigError, match="no record of a training"):
        TrainingRecord.from_dict({"stages": [["M = 16", 1]]})


def test_every_table_of_accuracies_has_the_note(cells: CellSet) -> None:
    # At SNRs of a sweep and in the office, of the network of Table III and DT-JSCC, too.
    record = TrainingRecord(stages=(("all", 3, 40),))
    found = [
        replace(cell, provenance={"training": record.to_dict()})
        for cell in cells.where(kind=CellKind.ACCURACY)
    ]
    jscc = key("DT-JSCC", order=32)
    found += [of(jscc, record), of(replace(jscc, environment="office-nlos"), record)]
    every = CellSet(found)
    shown = [
        table
        for exhibit in (Exhibit.TABLE_1, Exhibit.TABLE_2, Exhibit.TABLE_3, Exhibit.FIGURE_10)
        for table in tables_of(exhibit, every)
    ]
    assert {table.name for table in shown} == {
        *("table-1", "table-2-cifar-10", "table-2-drops-cifar-10", "table-3", "figure-10-cifar-10"),
        *(f"{name}-statements" for name in ("table-1", "table-2", "table-3", "figure-10")),
    }
    for table in shown:
        text = table.to_markdown()
        system = "DT-JSCC" if table.name.startswith("table-3") else "PhyDNN, paper settings"
        assert f"* {system}, ResNet-20, seed" in text, table.name
        assert "3 of 40 epochs; **no result**" in text, table.name
        assert LACKING not in text
