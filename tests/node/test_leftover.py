import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from phyemu.node.leftover import end_leftover, note_worker

STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"


@pytest.fixture
def stubborn() -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-I", "-S", "-c", STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # from now on it ignores SIGTERM
        yield process
        process.kill()


def test_a_leftover_that_ignores_sigterm_is_killed(
    stubborn: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    note_worker(tmp_path / "worker.json", stubborn.pid)
    line = asyncio.run(end_leftover(tmp_path / "worker.json", finish_s=0.1))
    assert line == f"the worker of the daemon before (pid {stubborn.pid}) was ended by SIGKILL"
    assert stubborn.wait(10) == -9
    assert not (tmp_path / "worker.json").exists()


def test_another_process_with_its_number_is_left_alone(
    stubborn: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    path = tmp_path / "worker.json"
    note_worker(path, stubborn.pid)
    path.write_text(json.dumps({**json.loads(path.read_text()), "birth": "1"}))
    assert asyncio.run(end_leftover(path, finish_s=0.1)) == ""
    assert stubborn.poll() is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": 1, "birth": null}', '{"pid": -1}', "\0"])
def test_a_damaged_note_ends_nobody(text: str, tmp_path: Path) -> None:
    (tmp_path / "worker.json").write_text(text)
    assert asyncio.run(end_leftover(tmp_path / "worker.json")) == ""
