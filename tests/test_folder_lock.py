"""Folders that one process at a time works in."""

import errno
import fcntl
from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.folder_lock import locked_folder


def test_a_folder_is_held_once_and_let_go_of(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "run"
    with locked_folder(folder, "held"):
        with pytest.raises(ConfigError, match="run: held"), locked_folder(folder, "held"):
            pass
        with locked_folder(tmp_path / "another", "held"):
            pass
    with locked_folder(folder, "held"):
        pass


def test_no_folder_to_write_to_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (Path("/proc/phyemu"), tmp_path / "file"):
        refused = pytest.raises(ConfigError, match="cannot be written to")
        with refused, locked_folder(folder, "held"):
            pass


def test_a_file_system_without_locks_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with locked_folder(tmp_path, "held"), locked_folder(tmp_path, "held"):
        pass
