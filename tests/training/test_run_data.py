from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.toml_config import to_toml
from phyemu.training import RunData, TrainConfig, read_run_data


def test_it_is_what_the_settings_of_a_run_say(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(to_toml(config), encoding="utf-8")
    assert read_run_data(tmp_path) == RunData(seed=config.seed, data=config.data)


def test_other_settings_do_not_matter(tmp_path: Path) -> None:
    text = 'system = "DT-JSCC"\nseed = 3\n[data]\nlimit = 40\n[dt_jscc]\nmaps = 16\n'
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    found = read_run_data(tmp_path)
    assert (found.seed, found.data.limit, found.data.dataset) == (3, 40, "digits")


def test_what_is_no_run_or_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no run folder, it holds no config\.toml"):
        read_run_data(tmp_path)
    (tmp_path / "config.toml").write_text("[data]\nlimits = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean limit"):
        read_run_data(tmp_path)
