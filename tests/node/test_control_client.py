import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from phyemu.node import control_client
from phyemu.node.control_client import Unreachable, ask, last_state, start_daemon
from tests.node.scripted_node import LIMIT_S


def test_systemd_starts_the_daemon_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    systemctl = tmp_path / "systemctl"
    # It fails to reset what has not failed, which is no matter.
    systemctl.write_text(f'#!/bin/sh\necho "$*" >>{calls}\n[ "$2" != reset-failed ]\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) == "/run/systemd/system")
    start_daemon(Path("/"))
    assert calls.read_text().splitlines() == [
        "--no-block reset-failed phyemu-node.service",
        "--no-block start phyemu-node.service",
    ]
    systemctl.write_text("#!/bin/sh\nexit 5\n")
    with pytest.raises(subprocess.CalledProcessError):
        start_daemon(Path("/"))


def test_a_systemctl_that_takes_its_time_to_reset_keeps_no_daemon_from_its_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = tmp_path / "calls"
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\nif [ "$2" = reset-failed ]; then exec sleep 60; fi\necho "$2" >>{calls}\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) == "/run/systemd/system")
    start_daemon(Path("/"))
    assert calls.read_text() == "start\n"
    systemctl.write_text('#!/bin/sh\nif [ "$2" = start ]; then exec sleep 60; fi\n')
    with pytest.raises(subprocess.TimeoutExpired):
        start_daemon(Path("/"))


def test_scripts_have_half_of_colosseums_limit_to_spare() -> None:
    # Measured times say nothing on a busy machine; these are the waits that there are.
    assert control_client.DEADLINE_S <= LIMIT_S / 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "closed the connection"),
        (b"no json\n", "does not answer"),
        (b"\xff\n", "does not answer"),
        (None, "does not answer"),
    ],
)
def test_a_daemon_that_makes_no_sense_is_silent(
    answer: bytes | None, message: str, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "node.sock"))
        server.listen()

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                if answer is not None:
                    client.sendall(answer)
                else:
                    client.recv(1)  # until it has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(Unreachable, match=message):
            ask(tmp_path / "node.sock", "status", time.monotonic() + 0.2)
        thread.join()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": 1, "info": 2, "monotonic": []}'])
def test_a_damaged_state_tells_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(text)
    assert last_state(tmp_path / "state.json")[:2] == ("OFF", "it noted none")


def test_a_wrong_command_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", control_client.__file__, "explode"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: control_client.py start|stop|status")
