"""A run folder survives interruption."""

from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.folder_lock import LOCK_NAME
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


def test_a_folder_that_another_loop_holds_is_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with RunFolder.held(run, "seed = 1\n", resume=False):
        for resume, why in ((True, "another phyemu loop is at work there"), (False, "--resume")):
            refused = pytest.raises(ConfigError, match=f"run: .*{why}")
            with refused, RunFolder.held(run, "seed = 1\n", resume=resume):
                pass
    with RunFolder.held(run, "seed = 1\n", resume=True) as folder:
        assert folder.settings == "seed = 1\n"


def test_a_lock_alone_is_no_run(tmp_path: Path) -> None:
    # As a loop leaves it that was killed at once.
    (tmp_path / LOCK_NAME).touch()
    with RunFolder.held(tmp_path, "", resume=False) as folder:
        assert folder.settings == ""


def test_a_folder_that_is_refused_gets_no_lock(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for resume in (False, True):
        with pytest.raises(ConfigError), RunFolder.held(tmp_path, "", resume=resume):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


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
