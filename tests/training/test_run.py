import json
from dataclasses import replace
from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.training import TrainConfig, preset, read_run_config, train_run


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
    } <= names
    assert not [name for name in names if "partial" in name]
    assert read_run_config(folder) == quick()
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert metrics == json.loads(json.dumps(report.to_dict()))
    assert [entry["task"] for entry in json.loads((folder / "history.json").read_text())["epochs"]]
    assert train_run(quick(), folder, resume=True) == report


def test_a_folder_in_use_and_other_settings_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "precious.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        train_run(quick(), folder)
    other = tmp_path / "other"
    train_run(quick(), other)
    with pytest.raises(ConfigError, match="other settings"):
        train_run(quick(seed=2), other, resume=True)
