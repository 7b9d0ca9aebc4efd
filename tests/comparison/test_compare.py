"""A comparison end to end on tiny networks: resumed, repaired, fed with runs of elsewhere."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from phyemu.baselines import BottleFitConfig, SystemName, system_preset
from phyemu.channel import save_model, tgn
from phyemu.comparison import (
    AccuracyConfig,
    CellKey,
    CellStore,
    ComparisonConfig,
    ComparisonResult,
    CostConfig,
    Exhibit,
    accuracy_cell,
    compare,
    comparison_preset,
    plan,
    planned_cells,
    read_comparison,
    resolve_comparison,
    run_comparison,
    systems,
    trainings,
)
from phyemu.comparison.trainings import baseline_settings
from phyemu.datasets import Dataset, ImageSet
from phyemu.errors import ConfigError
from phyemu.evaluation import EvaluationFidelity, ExportedPhyDnn, profile_for_costs
from phyemu.metering import (
    DeviceProfile,
    profile_library,
    read_device_profile,
    save_device_profile,
)
from phyemu.toml_config import to_toml
from phyemu.training import Precision, read_checkpoint, read_run_config, write_checkpoint
from phyemu.waveform import Constellation

# Small enough for a second, and still of every kind: training, removal, sweep, office.
TRAINING = {
    "all": {
        "data": {"limit": 40},
        "backbone": {"depth": 8, "width": 4, "epochs": 1, "batch_size": 20},
        "phydnn": {"split": "layer1", "epochs": [1], "batch_size": 20},
    },
    "SC": {"split": "layer1"},
    "BF-1": {"bottlefit": {"mimic_epochs": 1, "epochs": 1, "batch_size": 20}},
}
JSCC = {"DT-JSCC": {"dt_jscc": {"maps": 16, "epochs": 1, "batch_size": 20}}}


def tiny(**changes: object) -> ComparisonConfig:
    """Return settings whose trainings take a second in all."""
    config = replace(
        comparison_preset("quick"),
        exhibits=(Exhibit.TABLE_2, Exhibit.FIGURE_10),
        variants=("paper",),
        systems=("edge-only", "BF-1", "PhyDNN"),
        snrs_db=(8, 12),
        orders=(4, 2),
        sweep_orders=(4,),
        accuracy=AccuracyConfig(limit=20, fidelity=EvaluationFidelity.SYMBOL),
        cost=CostConfig(batch=4, links=1, order=2),
        training=TRAINING,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ComparisonResult]:
    """Return a finished comparison; copy it before writing to it."""
    folder = tmp_path_factory.mktemp("compare") / "out"
    return folder, run_comparison(tiny(), folder)


def figures(folder: Path) -> dict[str, dict[str, float]]:
    """Return the figures of every cell by its name."""
    return {cell.key.name: dict(cell.figures) for cell in CellStore(folder).load()}


def test_every_cell_is_made_and_linked_to_its_run(
    finished: tuple[Path, ComparisonResult],
) -> None:
    folder, result = finished
    # The network itself, two orders at 12 dB, one more SNR of the sweep.
    assert (result.computed, result.found, result.failed) == (4, 0, ())
    for cell in CellStore(folder).load():
        assert (folder / cell.run / "config.toml").is_file()
        assert cell.provenance["weights_sha256"]
        assert cell.provenance["computed_on"] == "cpu"
        assert 0 <= cell.figures["accuracy"] <= 100
    assert result.rendered is not None
    assert (folder / "tables" / "table-2-digits.md").is_file()
    assert (folder / "figures" / "figure-10.png").is_file()
    assert read_comparison(folder / "comparison.toml") == tiny()


def test_cells_say_how_long_their_runs_trained(finished: tuple[Path, ComparisonResult]) -> None:
    for cell in CellStore(finished[0]).load():
        record = cell.provenance["training"]
        if cell.key.system == "PhyDNN":
            assert record["stages"] == [["M = 4", 1, 15], ["M = 2", 1, 8]]
            assert record["departures"]["batch_size"][0] == 20
        else:
            assert (record["stages"], record["weights_given"]) == ([["network", 1, 12]], False)


@pytest.mark.parametrize("given", [False, True])
def test_cells_of_earlier_versions_learn_it_from_their_runs_and_stay(
    finished: tuple[Path, ComparisonResult], copied: Path, given: bool
) -> None:
    if given:
        shutil.rmtree(copied)
    run = finished[0] / "runs" / "phydnn-paper_digits_resnet8_seed0"
    config = tiny(runs=(str(run),), train_missing=False) if given else tiny()
    run_comparison(config, copied)
    store = CellStore(copied)
    cells = list(store.load())
    for cell in cells:
        lacking = {name: it for name, it in cell.provenance.items() if name != "training"}
        store.save(replace(cell, provenance=lacking))
    # Without the runs nothing of them changes, and they are shown.
    assert run_comparison(tiny(train_missing=False), copied).rendered is not None
    assert "epochs not recorded" in (copied / "index.md").read_text("utf-8")
    result = run_comparison(config, copied)
    assert (result.computed, result.found, result.notes) == (0, 4, ())
    assert list(store.load()) == cells
    assert "epochs not recorded" not in (copied / "index.md").read_text("utf-8")


def test_variants_begin_with_the_same_network(finished: tuple[Path, ComparisonResult]) -> None:
    folder, _ = finished
    cells = CellStore(folder).load()
    edge = cells.where(system="edge-only").mean("accuracy")
    assert cells.where(system="PhyDNN").mean("backbone_accuracy") == edge
    run = next(iter(cells.where(system="PhyDNN"))).run
    assert read_run_config(folder / run).phydnn.orders == (4, 2)


def test_a_network_runs_once_and_a_head_once_an_order(
    finished: tuple[Path, ComparisonResult], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = figures(copied)
    shutil.rmtree(copied / "cells")
    ran = []

    def counted(name: str) -> Callable[..., Any]:
        original = getattr(systems, name)

        def call(*args: Any, **named: Any) -> Any:
            ran.append(name)
            return original(*args, **named)

        return call

    for name in ("score_images", "encode_images"):
        monkeypatch.setattr(systems, name, counted(name))
    # The head of M = 4 serves both SNRs; the network serves edge-only and both orders.
    run_comparison(tiny(), copied)
    assert sorted(ran) == ["encode_images", "encode_images", "score_images"]
    assert figures(copied) == expected


@pytest.mark.parametrize(
    ("fidelity", "environment"),
    [
        (EvaluationFidelity.SYMBOL, "awgn-12"),
        (EvaluationFidelity.SYMBOL, "office-los"),
        (EvaluationFidelity.FRAMES, "office-los"),
    ],
)
def test_networks_and_images_of_an_accuracy_lie_on_the_device(
    copied: Path,
    monkeypatch: pytest.MonkeyPatch,
    fidelity: EvaluationFidelity,
    environment: str,
) -> None:
    found: dict[str, str] = {}

    def score(logits: Any, network: nn.Module, images: ImageSet) -> Any:
        found["network"] = next(network.parameters()).device.type
        found["its images"] = images.images.device.type
        return SimpleNamespace(accuracy=50.0)

    def encode(phydnn: ExportedPhyDnn, images: ImageSet) -> Any:
        found["encoded"] = images.images.device.type
        return SimpleNamespace(symbols=torch.zeros((len(images), 1024), dtype=torch.int64))

    def evaluate(
        phydnn: ExportedPhyDnn, channel: Any, images: ImageSet, *, symbols: Any, **named: Any
    ) -> Any:
        found["sent"] = images.images.device.type
        found["symbols"] = "none" if symbols is None else symbols.device.type
        found["head"] = next(phydnn.head.parameters()).device.type
        found["tail"] = next(phydnn.tail.parameters()).device.type
        found["points"] = phydnn.constellation.points.device.type
        return SimpleNamespace(accuracy=40.0, ser=0.1, frames_sent=0, frames_lost=0, snr_db=12.0)

    monkeypatch.setattr(systems, "score_images", score)
    monkeypatch.setattr(systems, "encode_images", encode)
    monkeypatch.setattr(accuracy_cell, "evaluate_phydnn", evaluate)
    config = tiny(accuracy=AccuracyConfig(limit=20, fidelity=fidelity))
    # A device without memory takes the place of a GPU; what looks at values must not.
    monkeypatch.setattr(ImageSet, "__post_init__", lambda images: None)
    monkeypatch.setattr(Constellation, "__post_init__", lambda points: None)
    comparison = compare.Comparison(config, copied, device="meta")
    key = next(key for key in plan(config) if key.order == 4)
    cell = comparison.compute(replace(key, environment=environment), "0")
    assert cell.provenance["computed_on"] == "meta"
    simulated, frames = environment == "awgn-12", fidelity is EvaluationFidelity.FRAMES
    assert found.pop("symbols") == ("meta" if simulated else "none")
    assert found.pop("encoded", "none") == ("meta" if simulated else "none")
    assert found.pop("points") == ("cpu" if frames else "meta")
    assert set(found.values()) == {"meta"}


def test_another_device_is_the_same_cell(copied: Path) -> None:
    there, here = (compare.Comparison(tiny(), copied, device=name) for name in ("meta", "cpu"))
    assert [there.request(key) for key in plan(tiny())] == [
        here.request(key) for key in plan(tiny())
    ]


def test_a_finished_comparison_computes_nothing(
    finished: tuple[Path, ComparisonResult], copied: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in copied.glob("cells/*/*.json")}
    result = run_comparison(tiny(), copied)
    assert (result.computed, result.found) == (0, 4)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("calls", [1, 7, 11, 14])
def test_a_kill_loses_nothing_that_was_finished(
    finished: tuple[Path, ComparisonResult], tmp_path: Path, calls: int
) -> None:
    folder, _ = finished
    left = calls

    def killed(stage: str, done: int, total: int, note: str = "") -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_comparison(tiny(), out, progress=killed)
    run_comparison(tiny(), out)
    assert figures(out) == figures(folder)


@pytest.mark.slow
def test_a_process_that_is_killed_in_a_training_goes_on_there(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    config, out = tmp_path / "tiny.toml", tmp_path / "out"
    config.write_text(to_toml(tiny()))
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from phyemu.comparison import read_comparison, run_comparison\n"
        "def progress(stage, done, total, note=''):\n"
        "    if stage == 'phydnn' and done == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "run_comparison(read_comparison(Path(sys.argv[1])), Path(sys.argv[2]), progress=progress)\n"
    )
    command = [sys.executable, "-c", code, str(config), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run_comparison(tiny(), out)
    assert figures(out) == figures(finished[0])


def test_a_damaged_cell_is_told_and_computed_again(
    finished: tuple[Path, ComparisonResult], copied: Path
) -> None:
    path = next(copied.glob("cells/accuracy/PhyDNN*awgn-8*.json"))
    path.write_bytes(path.read_bytes()[:100])
    result = run_comparison(tiny(), copied)
    assert (result.computed, result.found) == (1, 3)
    assert path.name in result.notes[0]
    assert figures(copied) == figures(finished[0])


def test_a_folder_that_was_moved_goes_on_where_it_is(tmp_path: Path) -> None:
    trained = 0

    def killed(stage: str, done: int, total: int, note: str = "") -> None:
        nonlocal trained
        trained += stage == "phydnn"
        if trained == 2:
            raise KeyboardInterrupt

    before, after = tmp_path / "before", tmp_path / "elsewhere" / "after"
    with pytest.raises(KeyboardInterrupt):
        run_comparison(tiny(), before, progress=killed)
    after.parent.mkdir()
    before.rename(after)
    # Nothing of the folder before is needed, or there.
    result = run_comparison(tiny(), after)
    assert (result.failed, result.found + result.computed) == ((), 4)
    run = "runs/phydnn-paper_digits_resnet8_seed0"
    assert str(before) not in (after / run / "config.toml").read_text()
    after.rename(before)
    shutil.rmtree(before / "cells")
    again = run_comparison(tiny(), before)
    assert (again.failed, again.computed) == ((), 4)


def test_other_settings_make_another_cell(copied: Path) -> None:
    config = tiny(accuracy=AccuracyConfig(limit=10, fidelity=EvaluationFidelity.SYMBOL))
    result = run_comparison(config, copied)
    assert result.computed == 4
    assert all("other settings" in note for note in result.notes)
    assert {cell.figures["num_images"] for cell in CellStore(copied).load()} == {10}


def test_other_images_make_another_cell(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = systems.load_dataset

    def changed(*words: Any, **named: Any) -> Dataset:
        dataset = load(*words, **named)
        test = dataset.test
        return replace(dataset, test=replace(test, images=255 - test.images))

    given = tiny(runs=(str(copied / "runs"),), train_missing=False)
    run_comparison(given, copied)
    monkeypatch.setattr(systems, "load_dataset", changed)
    result = run_comparison(given, copied)
    assert (result.computed, result.found) == (4, 0)
    assert sum("other settings, images or weights" in note for note in result.notes) == 4


def test_other_weights_in_the_same_file_make_another_cell(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    weights, out = tmp_path / "weights.safetensors", tmp_path / "out"
    shutil.copy(
        finished[0] / "runs" / "backbone_digits_resnet8_seed0" / "backbone.safetensors", weights
    )
    config = tiny(systems=("edge-only", "PhyDNN"), pretrained={"resnet8": str(weights)})
    assert run_comparison(config, out).computed == 4
    assert run_comparison(config, out).found == 4
    tensors, record = read_checkpoint(weights)
    write_checkpoint(weights, {name: value + 1 for name, value in tensors.items()}, record)
    (failed,) = run_comparison(config, out).failed
    assert len(failed.keys) == 4
    assert "other weights" in failed.reason
    # The network is trained anew: what was trained from the old one is of another comparison.
    shutil.rmtree(out / "runs" / "backbone_digits_resnet8_seed0")
    result = run_comparison(config, out)
    assert (result.computed, [len(failed.keys) for failed in result.failed]) == (1, [3])
    shutil.rmtree(out / "runs" / "phydnn-paper_digits_resnet8_seed0")
    assert run_comparison(config, out).computed == 3
    weights.unlink()
    assert "no such file" in run_comparison(config, out).failed[0].reason


def test_another_channel_in_the_same_file_makes_another_cell(tmp_path: Path) -> None:
    path, out = tmp_path / "fit.h5", tmp_path / "out"
    save_model(tgn("b", snr_db=12), path)
    config = tiny(training_channel=str(path))
    assert run_comparison(config, out).computed == 4
    save_model(tgn("b", snr_db=15), path, force=True)
    result = run_comparison(config, out)
    assert (result.found, [len(failed.keys) for failed in result.failed]) == (1, [3])
    assert "another channel" in result.failed[0].reason
    shutil.rmtree(out / "runs" / "phydnn-paper_digits_resnet8_seed0")
    assert run_comparison(config, out).computed == 3


def test_a_device_profile_is_read_once_and_another_one_makes_another_cell(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def reading(name: str | None) -> DeviceProfile | None:
        read.append(name)
        return profile_for_costs(name)

    monkeypatch.setattr(compare, "profile_for_costs", reading)
    monkeypatch.setattr(profile_library, "measure_profile", None)
    config = tiny(
        exhibits=(Exhibit.FIGURE_6,),
        runs=(str(copied / "runs"),),
        systems=("PhyDNN",),
    )

    def with_profile(name: str) -> ComparisonConfig:
        return replace(config, cost=replace(config.cost, device_profile=name))

    # Measured itself: nothing is fitted to this machine.
    assert run_comparison(with_profile("this-machine"), copied).computed == 2
    assert read == ["this-machine"]
    assert run_comparison(config, copied).computed == 0
    path = copied / "mine.toml"
    profile = read_device_profile("jetson-orin-nano")
    save_device_profile(profile, path)
    assert run_comparison(with_profile(str(path)), copied).computed == 2
    assert run_comparison(with_profile("jetson-orin-nano"), copied).computed == 0
    save_device_profile(replace(profile, powers=replace(profile.powers, compute_w=1.0)), path)
    assert run_comparison(with_profile(str(path)), copied).computed == 2


def test_a_run_with_other_settings_is_not_taken_for_this_one(copied: Path) -> None:
    training = {**TRAINING, "paper": {"phydnn": {"beta": 0.01}}}
    result = run_comparison(tiny(training=training), copied)
    assert result.computed == 0
    (failed,) = result.failed
    assert len(failed.keys) == 3
    assert "other settings" in failed.reason


def test_runs_of_elsewhere_are_taken_in(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    folder, _ = finished
    given = folder / "runs" / "phydnn-paper_digits_resnet8_seed0"
    result = run_comparison(tiny(runs=(str(given),), train_missing=False), tmp_path / "out")
    assert (result.computed, result.left_out, result.failed) == (4, 0, ())
    assert figures(tmp_path / "out") == figures(folder)
    # Nothing of this machine's folders is in a cell.
    for cell in CellStore(tmp_path / "out").load():
        assert cell.run == f"runs/{given.name}"
        assert str(folder) not in cell.to_json()
    assert not (tmp_path / "out" / "runs").exists()


def test_a_variant_is_named_by_who_gives_the_run(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    given = finished[0] / "runs" / "phydnn-paper_digits_resnet8_seed0"
    config = tiny(runs=(f"best={given}",), variants=("paper", "best"), train_missing=False)
    result = run_comparison(config, tmp_path / "out")
    variants = {cell.key.variant for cell in CellStore(tmp_path / "out").load()}
    assert variants == {"", "best"}
    assert result.left_out == 3  # those of `paper`


def test_a_run_with_other_losses_is_not_the_papers(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    given = finished[0] / "runs" / "phydnn-paper_digits_resnet8_seed0"
    training = {**TRAINING, "paper": {"phydnn": {"beta": 0.01}}}
    both = {"variants": ("paper", "best"), "training": training, "train_missing": False}
    result = run_comparison(tiny(runs=(str(given),), **both), tmp_path / "out")
    assert CellStore(tmp_path / "out").load().values("variant") == [""]
    assert result.left_out == 6
    assert result.notes == (
        f"{given}: has not the settings of paper or best, and was left out as a PhyDNN; name its "
        "variant: --runs NAME=FOLDER",
    )
    # Whoever gives it may call it that.
    run_comparison(tiny(runs=(f"paper={given}",), **both), tmp_path / "out")
    assert "paper" in CellStore(tmp_path / "out").load().values("variant")


def test_a_run_through_another_channel_is_another_phydnn(
    finished: tuple[Path, ComparisonResult], tmp_path: Path
) -> None:
    given = finished[0] / "runs" / "phydnn-paper_digits_resnet8_seed0"
    through = tiny(runs=(str(given),), training_channel="awgn:15", train_missing=False)
    assert run_comparison(through, tmp_path / "a").left_out == 3
    named = tiny(runs=(f"paper={given}",), training_channel="awgn:15", train_missing=False)
    assert run_comparison(named, tmp_path / "b").left_out == 0


def test_baselines_of_elsewhere_are_taken_in(copied: Path, tmp_path: Path) -> None:
    config = tiny(
        exhibits=(Exhibit.TABLE_1, Exhibit.TABLE_3),
        systems=("BF-1", "DT-JSCC"),
        training={**TRAINING, **JSCC},
    )
    made = run_comparison(config, copied)
    assert made.failed == ()
    given = replace(config, runs=(str(copied / "runs"),), train_missing=False)
    result = run_comparison(given, tmp_path / "out")
    assert (result.computed, result.left_out, result.failed) == (made.computed, 0, ())
    taken = CellStore(tmp_path / "out").load().where(kind="accuracy")
    for system in ("BF-1", "DT-JSCC"):
        assert taken.where(system=system).mean("accuracy") is not None
        for cell in taken.where(system=system):
            assert cell.figures == CellStore(copied).find(cell.key).figures


def test_without_a_run_and_without_training_nothing_is_made(tmp_path: Path) -> None:
    result = run_comparison(tiny(train_missing=False), tmp_path / "out")
    assert (result.computed, result.left_out, result.rendered) == (0, 4, None)


def test_two_runs_for_one_cell_are_refused(
    finished: tuple[Path, ComparisonResult], copied: Path, tmp_path: Path
) -> None:
    both = (str(finished[0] / "runs"), str(copied / "runs"))
    result = run_comparison(tiny(runs=both, train_missing=False), tmp_path / "out")
    assert [len(failed.keys) for failed in result.failed] == [1, 1, 1]
    assert all("leave one out" in failed.reason for failed in result.failed)


def test_an_unfinished_run_is_passed_over_and_named(
    finished: tuple[Path, ComparisonResult], copied: Path, tmp_path: Path
) -> None:
    given = copied / "runs" / "phydnn-paper_digits_resnet8_seed0"
    (given / "metrics.json").unlink()
    result = run_comparison(tiny(runs=(str(given),), train_missing=False), tmp_path / "out")
    assert result.left_out == 4
    assert "not finished" in result.notes[0]


def test_a_new_comparison_without_its_images_is_refused_before_a_cell_fails(tmp_path: Path) -> None:
    config = tiny(datasets={"cifar-10": f"cifar10:{tmp_path / 'nowhere'}", "digits": "digits"})
    with pytest.raises(ConfigError, match="say where it is: --dataset cifar-10=cifar10:PATH"):
        run_comparison(config, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_failed_cell_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    config = tiny(training={**TRAINING, "paper": {"link": {"channel": "world:nowhere"}}})
    result = run_comparison(config, tmp_path / "out")
    assert result.computed == 1
    (failed,) = result.failed
    assert len(failed.keys) == 3
    assert "nowhere" in failed.reason
    assert failed.line().startswith(f"{failed.keys[0].label()} and 2 more: ")


def test_what_nobody_foresaw_fails_one_cell_and_the_others_go_on(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = figures(copied)
    shutil.rmtree(copied / "cells")
    accuracy_figures = compare.accuracy_figures

    def failing(key: CellKey, *words: Any, **named: Any) -> Any:
        if key.environment == "awgn-8":
            raise ZeroDivisionError("no\n  frames")
        return accuracy_figures(key, *words, **named)

    monkeypatch.setattr(compare, "accuracy_figures", failing)
    result = run_comparison(tiny(), copied)
    assert result.computed == 3
    (failed,) = result.failed
    assert [key.environment for key in failed.keys] == ["awgn-8"]
    assert failed.reason == "ZeroDivisionError: no frames"
    left = {name: value for name, value in expected.items() if "awgn-8" not in name}
    assert figures(copied) == left
    monkeypatch.undo()
    assert run_comparison(tiny(), copied).computed == 1
    assert figures(copied) == expected


def test_a_training_that_breaks_is_not_begun_again_for_every_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def broken(settings: Any, folder: Path, **named: Any) -> None:
        begun.append(folder)
        raise RuntimeError("out of memory")

    monkeypatch.setattr(trainings, "train_run", broken)
    (failed,) = run_comparison(tiny(), tmp_path / "out").failed
    assert (len(failed.keys), failed.reason) == (3, "RuntimeError: out of memory")
    assert len(begun) == 1


def test_what_is_of_a_call_stays_out_of_the_settings(copied: Path) -> None:
    run_comparison(
        tiny(exhibits=(Exhibit.TABLE_2,), runs=(str(copied / "runs"),), orders=(4, 2)),
        copied,
        of_this_call={"exhibits", "runs"},
    )
    assert read_comparison(copied / "comparison.toml") == tiny()
    run_comparison(tiny(exhibits=(Exhibit.TABLE_2,)), copied)
    assert read_comparison(copied / "comparison.toml") == tiny(exhibits=(Exhibit.TABLE_2,))


def test_costs_are_measured_once_for_all_places(tmp_path: Path, copied: Path) -> None:
    config = tiny(
        exhibits=(Exhibit.FIGURE_6,),
        runs=(str(copied / "runs"),),
        systems=("SC", "PhyDNN"),
        train_missing=False,
    )
    run_comparison(config, copied)
    cells = CellStore(copied).load().where(kind="cost")
    assert cells.values("system") == ["PhyDNN", "SC"]
    for system in cells.values("system"):
        found = list(cells.where(system=system))
        assert len({cell.figures["head_s"] for cell in found}) == 1
    for cell in cells:
        assert cell.figures["latency_s"] == pytest.approx(
            sum(cell.figures[name] for name in ("head_s", "communication_s", "tail_s"))
        )
        assert {"communication_s", "latency_s", "transmit_j"} <= cell.modelled
    assert [cell.provenance.get("transfers") for cell in cells] == [
        1 if cell.key.protocol else None for cell in cells
    ]
    store = CellStore(copied)
    for cell in cells:  # as earlier versions wrote them
        lacking = {name: it for name, it in cell.provenance.items() if name != "transfers"}
        store.save(replace(cell, provenance=lacking))
    assert run_comparison(config, copied).computed == 0
    assert list(store.load().where(kind="cost")) == list(cells)
    stack = cells.where(system="SC", protocol="tcp", environment="office-los")
    # 8x8 digits enlarged to 32x32: 4 maps of float32, 4 images.
    assert stack.mean("payload_bytes") == 4 * 4 * 4 * 32 * 32
    assert next(iter(stack)).engine == "model"
    elsewhere = {name: table for name, table in TRAINING.items() if name != "SC"}
    # The baseline's preset cuts the digits' network behind the second stage: twice the maps.
    assert run_comparison(replace(config, training=elsewhere), copied).computed == 4
    cells = CellStore(copied).load().where(kind="cost")
    other = cells.where(system="SC", protocol="tcp", environment="office-los")
    assert other.mean("payload_bytes") == 4 * 4 * 8 * 16 * 16
    symbols = cells.where(system="PhyDNN", environment="office-los")
    assert symbols.mean("payload_bytes") == 4 * 32 * 32 / 8  # M = 2: a bit a symbol


def test_a_list_says_how_every_cell_stands(copied: Path) -> None:
    next(copied.glob("cells/accuracy/PhyDNN*awgn-8*.json")).unlink()
    listed = planned_cells(tiny(), copied)
    assert [cell.key for cell in listed.cells] == plan(tiny())
    assert sorted(cell.state for cell in listed.cells) == ["done", "done", "done", "to do"]
    assert listed.line() == ("4 cells: 3 done, 1 to do, 0 cannot be made; 0 trainings needed")


def test_a_list_counts_a_training_that_several_cells_need_once(
    copied: Path, tmp_path: Path
) -> None:
    phydnn, network = "phydnn-paper_digits_resnet8_seed0", "backbone_digits_resnet8_seed0"
    new = planned_cells(tiny(), tmp_path / "new")
    assert sorted(new.trainings) == [network, phydnn]
    assert new.line() == "4 cells: 0 done, 4 to do, 0 cannot be made; 2 trainings needed"
    shutil.rmtree(copied / "cells")
    (copied / "runs" / phydnn / "metrics.json").unlink()
    assert planned_cells(tiny(), copied).trainings == (phydnn,)
    none = planned_cells(tiny(train_missing=False), copied)
    assert none.line() == "4 cells: 0 done, 0 to do, 4 cannot be made; 0 trainings needed"
    every = tiny(
        exhibits=(Exhibit.TABLE_1, Exhibit.TABLE_3), systems=("SC", "BF-1", "DT-JSCC", "PhyDNN")
    )
    assert sorted(planned_cells(every, tmp_path / "new").trainings) == [
        network,
        "bf-1_digits_resnet8_seed0",
        "dt-jscc_digits_resnet8_seed0",
        phydnn,
    ]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    def again(stage: str, done: int, total: int, note: str = "") -> None:
        with pytest.raises(ConfigError, match="another phyemu compare"):
            run_comparison(tiny(), tmp_path / "out")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_comparison(tiny(), tmp_path / "out", progress=again)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sedes = [1]", "unknown key 'sedes'; did you mean seeds"),
        ("[accuracy]\nfidelty = 'symbol'", "did you mean fidelity"),
        ("[training.bset.phydnn]\nbeta = 1.0", "training: 'bset' is none of"),
        ("[training.paper.phydnn]\nbeat = 1.0", "did you mean beta"),
        (
            "[training.edge-only]\nsplit = 'layer1'",
            "'edge-only' is none of all, paper, best, SC, BF-1, BF-2, DT-JSCC, PhyDNN",
        ),
        ("[training.device-only]\nsplit = 'layer1'", "'device-only' is none of"),
        ("[training.SC]\nsplt = 'layer1'", "takes split alone, got splt"),
        ("[training.SC.data]\nlimit = 3", "takes split alone, got data"),
        ("[training.SC]\nsplit = 3", "must be of type str"),
        ("orders = [4, 8]", "orders must fall"),
        ("sweep_orders = [3]", "must be among orders"),
        ("systems = ['Neurosurgeon']", "'Neurosurgeon' is none of"),
        ("exhibits = ['table-4']", "must be one of"),
        ("seeds = []", "name at least one"),
        ("variants = ['mine']", "training.mine is no table"),
        ("[cost]\nengine = 'ns-2'", "must be one of"),
        ("[datasets]\ndigits = 3", "must be of type str"),
        ("seeds = [", "cannot be read as TOML"),
    ],
)
def test_bad_settings_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve_comparison({}, preset="quick", file=path)


@pytest.mark.parametrize("name", [SystemName.BOTTLEFIT_1, SystemName.DT_JSCC])
def test_baselines_begin_with_their_own_preset(name: SystemName) -> None:
    config = comparison_preset("paper")
    settings = baseline_settings(config, name, "cifar-10", seed=3)
    expected = system_preset(name, config.datasets["cifar-10"])
    assert settings.bottlefit == expected.bottlefit != BottleFitConfig()
    assert (settings.precision, settings.channels_last) == (Precision.BFLOAT16, True)
    assert (settings.seed, settings.dt_jscc.order) == (3, config.jscc_order)


def test_settings_do_not_leak_into_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[training.all.backbone]\nepochs = 7\n")
    assert resolve_comparison({}, preset="quick", file=path) != comparison_preset("quick")
    assert resolve_comparison({}, preset="quick") == comparison_preset("quick")


@pytest.fixture
def copied(finished: tuple[Path, ComparisonResult], tmp_path: Path) -> Path:
    """Return a copy of the finished comparison."""
    target = tmp_path / "copy"
    shutil.copytree(finished[0], target)
    return target
