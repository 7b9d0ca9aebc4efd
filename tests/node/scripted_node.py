"""A node below a folder, reached as Colosseum reaches it: by its scripts and files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phyemu.node.control_client import COMMANDS, Unreachable, ask
from phyemu.node.deployment import install_node_files
from phyemu.node.layout import NodeLayout

# Colosseum's limit [s].
LIMIT_S = 5.0
# How long a test waits for what must happen [s]; nothing is measured by it.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Called:
    """What a script did."""

    command: str
    code: int
    out: str
    err: str
    seconds: float


class ScriptedNode:
    """Scripts, daemon and logs of a node; workers are fake."""

    def __init__(self, root: Path, *, shell: tuple[str, ...] = ()) -> None:
        self.layout = NodeLayout(root)
        self.root = root
        self.shell = shell
        root.mkdir(parents=True, exist_ok=True)
        install_node_files(root)
        python = root / "opt" / "phyemu" / "bin" / "python"
        daemon = Path(__file__).with_name("impatient_daemon.py")
        # The launcher of an image, but for the daemon that has the deadlines of the tests.
        python.write_text(
            f'#!/bin/sh\nif [ "$1" = -m ]; then set -- "{daemon}"; fi\n'
            f'exec "{sys.executable}" "$@"\n'
        )
        python.chmod(0o755)
        self.configure()

    def configure(self, *modes: str, role: str = "capture", more: str = "") -> None:
        """Set what radio.conf says, and how the workers of the tasks behave."""
        self.layout.radio_conf.write_text(
            f'role = "{role}"\n{more}[restart]\nmax_restarts = 1\ndelay_s = 0.1\n'
        )
        if modes:
            (self.root / "fake-worker").write_text("\n".join(modes))

    # Scripts

    def begin(self, command: str) -> "subprocess.Popen[str]":
        """Call a script, as Colosseum does: by its path, without arguments."""
        return subprocess.Popen(
            [*self.shell, str(self.layout.radio_api / f"{command}.sh")],
            env={"PATH": os.environ["PATH"], "PHYEMU_NODE_ROOT": str(self.root)},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, command: str) -> Called:
        """Call a script and return what it did, which is within Colosseum's limit."""
        (called,) = self.call_all(command)
        return called

    def call_all(self, *commands: str) -> list[Called]:
        """Call scripts at the same time."""
        began_s = time.monotonic()
        processes = [(command, self.begin(command)) for command in commands or COMMANDS]
        done = []
        for command, process in processes:
            out, err = process.communicate(timeout=PATIENCE_S)
            seconds = time.monotonic() - began_s
            assert seconds < LIMIT_S
            done.append(Called(command, process.returncode, out, err, seconds))
        return done

    def status(self) -> dict[str, str]:
        """Return what status.sh prints."""
        called = self.call("status")
        assert called.code == 0
        assert called.out.count("\n") == 1
        found: dict[str, str] = json.loads(called.out)
        assert set(found) == {"STATUS", "INFO"}
        return found

    # What happens

    def state(self) -> str:
        """Return the state, by the socket: faster than the script."""
        try:
            return str(ask(self.layout.socket, "status", time.monotonic() + 5.0)["STATUS"])
        except Unreachable:
            return "unreachable"

    def wait_for(self, *states: str) -> dict[str, str]:
        """Wait until the node is in one of these states, and return what status.sh prints."""
        wait_until(lambda: self.state() in states, f"{states}, it is {self.state()}")
        return self.status()

    def wait_for_event(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait until node.jsonl holds an event with these fields, and return it."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [
                line
                for line in self.events()
                if line["event"] == event and fields.items() <= line.items()
            ]
            return bool(found)

        wait_until(there, f"event {event} {fields}")
        return found[-1]

    def events(self) -> list[dict[str, Any]]:
        """Return what node.jsonl holds."""
        if not self.layout.node_log.exists():
            return []
        *lines, _ = self.layout.node_log.read_text("utf-8").split("\n")
        return [json.loads(line) for line in lines if line]

    def states(self) -> list[str]:
        """Return the states that node.jsonl tells of, without repetitions."""
        return [
            line["state"]
            for line in self.events()
            if line["event"] == "state" and line["state"] != line["before"]
        ]

    def heard(self, task: int) -> list[dict[str, Any]]:
        """Return what the worker of a task was told."""
        path = self.layout.task(task) / "heard.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def pid(self) -> int:
        """Return the daemon's process."""
        return int(self.layout.pid.read_text())

    def worker_pid(self) -> int:
        """Return the worker's process."""
        return int(json.loads(self.layout.worker_pid.read_text())["pid"])

    def close(self) -> None:
        """End the daemon and what it started, and remove the folder."""
        for pid, group in ((self._number(self.pid), False), (self._number(self.worker_pid), True)):
            if pid:
                kill(pid, signal.SIGKILL, group=group)
        shutil.rmtree(self.root, ignore_errors=True)

    @staticmethod
    def _number(read: Callable[[], int]) -> int:
        try:
            return read()
        except (OSError, ValueError):
            return 0


def kill(pid: int, number: int, *, group: bool = False) -> None:
    """Send a signal to a process that may have ended."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except ProcessLookupError:
        pass


def lives(pid: int) -> bool:
    """Return whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, f"waited in vain for {what}"
        time.sleep(0.01)
