"""Processes that carry a mark are found and killed, wherever they went, and no other."""

import errno
import os
import signal
import subprocess
import sys
import uuid

import pytest

from phyemu.batch.marked_processes import MARK, kill_marked, marked_processes

# Leaves its session and its parent, as a daemon does, and says its number.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        time.sleep(600)
os._exit(0)
"""


@pytest.mark.parametrize("refusal", [None, errno.EPERM, errno.ENOSYS])
def test_a_daemon_is_killed_and_a_neighbour_is_not(
    monkeypatch: pytest.MonkeyPatch, refusal: int | None
) -> None:
    if refusal is not None:
        # As in a container that knows no handles, or on an old kernel.
        def refuse(number: int) -> int:
            raise OSError(refusal, os.strerror(refusal))

        monkeypatch.setattr(os, "pidfd_open", refuse)
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    neighbour = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        env={**os.environ, MARK: mark + "0"},
    )
    try:
        assert process.stdout is not None
        daemon = int(process.stdout.readline())
        process.wait(10)
        assert list(marked_processes(mark)) == [daemon]
        assert "time.sleep(600)" in kill_marked(mark)[daemon]
        assert marked_processes(mark) == {}
        assert kill_marked(mark) == {}
        assert neighbour.poll() is None
    finally:
        process.stdout.close()  # type: ignore[union-attr]
        neighbour.send_signal(signal.SIGKILL)
        neighbour.wait()
