import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from phyemu.channel import Awgn, save_model, tgn
from phyemu.datasets import load_dataset
from phyemu.dnn import read_card
from phyemu.errors import CheckpointError, ConfigError, PhyemuError
from phyemu.evaluation import (
    EvaluationFidelity,
    evaluate_phydnn,
    load_exported,
    run_test_images,
)
from phyemu.link import Fidelity
from phyemu.training import (
    Preset,
    Processes,
    TrainConfig,
    named_preset,
    preset,
    read_run_config,
    train_run,
)
from phyemu.training.network_check import check_network
from phyemu.training.run_folder import held_run_folder, write_json


def quick(seed: int = 1) -> TrainConfig:
    config = preset("digits", "awgn:12", seed=seed)
    return replace(
        config,
        data=replace(config.data, limit=40),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=20),
    )


def test_a_run_leaves_all_that_is_documented_and_resumes_to_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    report = train_run(quick(), folder)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {
        "config.toml",
        "backbone.safetensors",
        "checkpoints/backbone.safetensors",
        "checkpoints/phydnn.safetensors",
        "head/m4.safetensors",
        "head/m4.json",
        "tail/m4.safetensors",
        "tail/m4.json",
        "history.json",
        "metrics.json",
        "sessions.json",
    } <= names
    assert not [name for name in names if "partial" in name]
    assert read_run_config(folder) == quick()
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics == json.loads(json.dumps(report.to_dict()))
    assert [entry["task"] for entry in json.loads((folder / "history.json").read_text())["epochs"]]
    assert train_run(quick(), folder, resume=True) == report
    sessions = json.loads((folder / "sessions.json").read_text("utf-8"))["sessions"]
    assert [session["ended"] for session in sessions] == ["finished", "finished"]
    # Other training images, of another mean: the network of the run is taken as it was.
    again = replace(
        quick(),
        data=replace(quick().data, validation_fraction=0.3),
        backbone=replace(quick().backbone, epochs=0, pretrained=str(folder)),
    )
    later = train_run(again, tmp_path / "later")
    assert later.backbone_accuracy == report.backbone_accuracy
    cards = [read_card(run / "head" / "m4.safetensors") for run in (folder, tmp_path / "later")]
    assert cards[0].mean == cards[1].mean
    data = replace(quick().data, mean=(0.5,) * 3, std=(0.2,) * 3)
    with pytest.raises(ConfigError, match="3 values, but digits has 1 channels"):
        train_run(replace(quick(), data=data), tmp_path / "no")
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("phydnn", {"split": "layer9"}, "layer9"),
        ("phydnn", {"splits": ("layer1", "layer9")}, "layer9"),
        ("phydnn", {"splits": ("layer2", "layer1")}, "layer1"),
        ("phydnn", {"feature_layers": ("layer9",), "feature_distillation": 1.0}, "layer9"),
        ("phydnn", {"splits": ("layer1", "layer2"), "slice_size": (3, 1)}, "must divide"),
        ("phydnn", {"orders": (12,)}, "qam order must be a power of two, .* got 12"),
        ("backbone", {"depth": 9}, "9"),
        ("backbone", {"pretrained": "no-such.safetensors"}, "no-such"),
    ],
)
def test_settings_that_cannot_work_leave_no_folder(
    tmp_path: Path, section: str, change: dict[str, Any], message: str
) -> None:
    config = quick()
    config = replace(config, link=replace(config.link, modulation="qam"))
    config = replace(config, **{section: replace(getattr(config, section), **change)})
    with pytest.raises(PhyemuError, match=message):
        train_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fidelity", Fidelity)
def test_symbols_need_not_be_bits(tmp_path: Path, fidelity: Fidelity) -> None:
    """12-PSK is trained, and goes through frames: on the air a symbol is a point, never bits."""
    config = quick()
    config = replace(
        config,
        link=replace(config.link, channel="awgn:30", fidelity=fidelity),
        phydnn=replace(config.phydnn, orders=(12,)),
    )
    report = train_run(config, tmp_path / "run")
    assert report.phydnn[0].ser < 0.01
    phydnn = load_exported(tmp_path / "run")
    assert (phydnn.order, phydnn.constellation.order) == (12, 12)
    images = run_test_images(tmp_path / "run", phydnn)
    found = evaluate_phydnn(phydnn, Awgn(30.0), images, fidelity=EvaluationFidelity.FRAMES, seed=0)
    assert found.frames_sent > 0
    assert found.frames_lost == 0
    # Half the distance between points, sin 15 degrees, is 11 standard deviations of the noise.
    assert found.ser < 0.01


def test_processes_that_cannot_share_the_shards_leave_no_folder(tmp_path: Path) -> None:
    config = replace(quick(), shards=2)
    message = "2 shards cannot be shared equally by 3 processes; start 2 of them"
    with pytest.raises(ConfigError, match=message):
        train_run(config, tmp_path / "run", processes=Processes(1, 3))
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_and_other_settings_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "precious.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        train_run(quick(), folder)
    assert [entry.name for entry in folder.iterdir()] == ["precious.txt"]
    other = tmp_path / "other"
    train_run(quick(), other)
    changed = quick(seed=2)
    changed = replace(changed, phydnn=replace(changed.phydnn, beta=0.0))
    with pytest.raises(ConfigError, match=r"other settings than were given \(seed, phydnn.beta\)"):
        train_run(changed, other, resume=True)


def test_a_run_does_not_go_on_through_another_channel_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "fit.h5"
    save_model(tgn("b", snr_db=12), path)
    config = replace(quick(), link=replace(quick().link, channel=str(path)))
    train_run(config, tmp_path / "run")
    train_run(config, tmp_path / "run", resume=True)
    save_model(tgn("b", snr_db=15), path, force=True)
    with pytest.raises(CheckpointError, match="another folder"):
        train_run(config, tmp_path / "run", resume=True)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def again(stage: str, done: int, total: int, note: str = "") -> None:
        with pytest.raises(ConfigError, match="run: another process is training there"):
            train_run(quick(), folder, resume=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(quick(), folder, progress=again)


def test_a_folder_that_cannot_be_written_to_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match="/proc/phyemu: cannot be written to"):
        train_run(quick(), Path("/proc/phyemu"))


def test_records_on_a_full_disk_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(CheckpointError, match=r"a\.json: cannot be written \(No space"):
        write_json(tmp_path / "a.json", {})
    refused = pytest.raises(ConfigError, match=r"config\.toml: cannot be written \(No space")
    with (
        refused,
        held_run_folder(quick(), tmp_path / "run", read=read_run_config, resume=False),
    ):
        pass


def test_relays_with_patches_and_codebooks_pass_the_check_before_training() -> None:
    config = quick()
    best = named_preset(Preset.BEST, "digits", "awgn:12").phydnn
    method = replace(best, splits=("layer1", "layer2"), feature_layers=())
    check_network(replace(config, phydnn=method), load_dataset("digits", seed=0), [Awgn(12.0)] * 2)
