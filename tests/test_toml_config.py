import tomllib
from pathlib import Path

import pytest

from phyemu.dnn import Score
from phyemu.errors import ConfigError
from phyemu.toml_config import to_table
from phyemu.training import (
    LinkConfig,
    PhyDnnConfig,
    TrainConfig,
    from_table,
    preset,
    read_toml,
    to_toml,
)


def test_what_is_written_is_read_back_equal() -> None:
    config = preset('image-folder:C:\\data "x"', "office-nlos", seed=3)
    again = from_table(TrainConfig, tomllib.loads(to_toml(config)), where="text")
    assert again == config


def test_every_default_is_written_out() -> None:
    table = to_table(TrainConfig(link=LinkConfig(channel="awgn:12")))
    assert table["phydnn"]["beta"] == 1e-4
    assert "pretrained" not in table["backbone"]  # TOML has no None


def test_an_unknown_key_is_refused_with_the_near_match() -> None:
    with pytest.raises(ConfigError, match=r"run.toml: phydnn: unknown key 'epoch'; .* epochs"):
        from_table(
            TrainConfig,
            {"link": {"channel": "awgn:12"}, "phydnn": {"epoch": [3]}},
            where="run.toml",
        )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "link is missing"),
        ({"link": {}}, "channel is missing"),
        ({"link": 3}, "must be a table"),
        ({"link": {"channel": 12}}, "of type str"),
        ({"link": {"channel": "awgn:12"}, "seed": True}, "of type int"),
        ({"link": {"channel": "awgn:12"}, "seed": 1.5}, "of type int"),
        ({"link": {"channel": "awgn:12", "fidelity": "exact"}}, "symbol, waveform"),
        ({"link": {"channel": "awgn:12", "modulation": "fsk"}}, "psk, qam"),
        ({"link": {"channel": "awgn:12"}, "phydnn": {"orders": 4}}, "must be a list"),
        ({"link": {"channel": "awgn:12"}, "phydnn": {"num_samples": 0}}, "phydnn: num_samples"),
        ({"link": {"channel": "awgn:12"}, "frame": {"rolloff": 7.0}}, "frame: rolloff"),
    ],
)
def test_bad_values_are_refused_with_their_place(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_table(TrainConfig, table, where="run.toml")


def test_a_whole_number_serves_as_a_float_and_text_as_an_enum() -> None:
    config = from_table(PhyDnnConfig, {"binding": 2, "score": "distance"}, where="x")
    assert isinstance(config.binding, float)
    assert config.score is Score.DISTANCE


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("a = [", encoding="utf-8")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        read_toml(path)
    with pytest.raises(ConfigError, match="no such file"):
        read_toml(tmp_path / "y.toml")
