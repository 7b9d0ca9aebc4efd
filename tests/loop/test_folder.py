"""A run folder survives interruption."""

from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.loop.folder import RunFolder


def test_a_stage_is_done_only_after_its_result_was_written(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", "seed = 1\n")
    assert not folder.is_done("fit")
    folder.finish("fit", {"snr_db": 7.5})
    again = RunFolder.reopen(tmp_path / "run")
    assert again.is_done("fit")
    assert again.result("fit") == {"snr_db": 7.5}
    assert again.settings == "seed = 1\n"


def test_a_folder_in_use_is_not_overwritten(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", "")
    with pytest.raises(ConfigError, match="--resume"):
        RunFolder.create(tmp_path / "run", "")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no loop\.toml"):
        RunFolder.reopen(tmp_path)


def test_a_missing_or_damaged_result_says_what_to_do(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", "")
    with pytest.raises(ConfigError, match="fit has not been run"):
        folder.result("fit")
    folder.write_text("stages/fit.json", "{")
    with pytest.raises(ConfigError, match="damaged"):
        folder.result("fit")


def test_nothing_half_written_stays_behind(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", "")
    folder.write_text("notes/a.txt", "x")
    assert sorted(p.name for p in (tmp_path / "run").rglob("*") if p.is_file()) == [
        "a.txt",
        "loop.toml",
    ]
