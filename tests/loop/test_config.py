"""Settings of the loop: defaults by dataset, options before file, contradictions refused."""

from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.loop import AirConfig, LoopConfig, SoundingRun, resolve_loop_config
from phyemu.training import from_table, to_toml


def test_options_come_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "loop.toml"
    path.write_text('world = "office-los"\n[air]\npasses = 3\n[train.phydnn]\nepochs = [5]\n')
    config = resolve_loop_config({"air.passes": 2, "train.seed": 9}, file=path)
    assert config.world == "office-los"
    assert config.air.passes == 2
    assert config.train.phydnn.epochs == (5,)
    assert config.seed == 9
    assert config.sounding == SoundingRun()


def test_the_dataset_decides_the_defaults_of_training() -> None:
    digits = resolve_loop_config({})
    folder = resolve_loop_config({"train.data.dataset": "image-folder:x"})
    assert digits.train.backbone.depth == 8
    assert folder.train.backbone.depth == 20
    named = resolve_loop_config({"train.backbone.name": "resnet14"})
    assert named.train.backbone.depth == 14


def test_settings_survive_their_file(tmp_path: Path) -> None:
    import tomllib

    config = resolve_loop_config({"captures": ["a.sigmf-meta"], "snr_db": 8})
    assert from_table(LoopConfig, tomllib.loads(to_toml(config)), where="x") == config


def test_an_unknown_key_names_the_near_one(tmp_path: Path) -> None:
    path = tmp_path / "loop.toml"
    path.write_text("[air]\npases = 3\n")
    with pytest.raises(ConfigError, match="did you mean passes"):
        resolve_loop_config({}, file=path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SoundingRun(bursts=3), "bursts"),
        (lambda: SoundingRun(holdout=0.9), "holdout"),
        (lambda: SoundingRun(interval_s=0.0), "interval_s"),
        (lambda: AirConfig(amplitude=0.9), "clip"),
        (lambda: AirConfig(passes=0), "passes"),
        (lambda: LoopConfig(snr_db=3.0), "captures"),
        (lambda: LoopConfig(transmitter=-1), "transmitter"),
    ],
)
def test_contradictions_are_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]
