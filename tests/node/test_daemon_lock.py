import fcntl
import os
import threading
from pathlib import Path

import pytest

from phyemu.errors import ConfigError
from phyemu.node.control_client import daemon_lives
from phyemu.node.daemon_lock import lock_daemon


def test_a_lock_tells_the_living_from_the_dead_and_from_none(tmp_path: Path) -> None:
    path = tmp_path / "run" / "node.pid"
    assert daemon_lives(path) is None
    file, before = lock_daemon(path)
    assert not before
    assert path.read_text() == f"{os.getpid()}\n"
    assert daemon_lives(path) is True
    file.close()  # the process has died
    assert daemon_lives(path) is False
    file, before = lock_daemon(path)
    assert before
    file.close()


def test_a_script_that_looks_keeps_no_daemon_from_beginning(tmp_path: Path) -> None:
    path = tmp_path / "node.pid"
    path.touch()
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        file, _ = lock_daemon(path)
    file.close()


def test_a_second_daemon_is_refused_by_the_first_ones_number(tmp_path: Path) -> None:
    file, _ = lock_daemon(tmp_path / "node.pid")
    with file, pytest.raises(ConfigError, match=f"runs already .pid {os.getpid()}."):
        lock_daemon(tmp_path / "node.pid")
