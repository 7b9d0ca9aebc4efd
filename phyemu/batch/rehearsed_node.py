"""A node of a rehearsal: a folder in place of a container, and Colosseum's hand on its scripts."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from phyemu.batch.marked_processes import CALL_MARK, MARK, kill_marked
from phyemu.node.deployment import install_node_files
from phyemu.node.layout import NodeLayout

__all__ = ["SCRIPT_LIMIT_S", "RehearsedNode", "ScriptCall"]

SCRIPT_LIMIT_S = 5.0
"""Every script must have returned by then, says Colosseum's Radio C2 API."""

# A script that does not return is killed after this time [s].
_SCRIPT_KILLED_S = 20.0
# What is killed is gone, and its output at its end, within this time [s].
_GONE_S = 10.0
# As the unit has it: a daemon that fails is started again after a second, ten times at most.
_RESTART_S = 1.0
_MAX_RESTARTS = 10
_MAX_TEXT = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class ScriptCall:
    """One call of a script.

    Attributes:
        script: Its name, without .sh.
        took_s: Time until it returned, or was killed [s].
        code: Its exit code; None: it was killed, or cannot be run.
        output: What it wrote to standard output, as one line.
        problem: What it wrote to standard error, or why it could not be run, as one line.
    """

    script: str
    took_s: float
    code: int | None
    output: str
    problem: str

    @property
    def is_late(self) -> bool:
        """Return whether it took longer than Colosseum allows."""
        return self.took_s > SCRIPT_LIMIT_S

    def state(self) -> tuple[str, str]:
        """Return STATUS and INFO of what status.sh printed; empty where it printed none."""
        try:
            found = json.loads(self.output)
            return str(found["STATUS"]), str(found.get("INFO", ""))
        except (ValueError, KeyError, TypeError, AttributeError):
            return "", self.problem or self.output


class RehearsedNode:
    """A root folder with what an image holds, and the processes that run below it."""

    def __init__(self, number: int, root: Path, variables: Mapping[str, str]) -> None:
        """Make the root folder with the scripts in it.

        Args:
            number: RFNode_ID.
            root: The folder; it is made.
            variables: What the node's processes have in their environment, beside ours.
        """
        self.number = number
        self.layout = NodeLayout(root)
        install_node_files(root)
        for folder in (self.layout.content, self.layout.logs, self.layout.run):
            folder.mkdir(parents=True, exist_ok=True)
        self._mark = uuid.uuid4().hex
        self._variables = {
            **os.environ,
            # Several processes on one machine stand for machines of their own.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "PHYEMU_NODE_ROOT": str(root),
            "PHYEMU_PYTHON": sys.executable,
            MARK: self._mark,
            **variables,
        }
        self._daemon: subprocess.Popen[bytes] | None = None
        self._num_restarts = 0
        self._failed_at_s: float | None = None

    def boot(self) -> None:
        """Start the daemon, as the unit would."""
        with (self.layout.logs / "daemon.log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "phyemu.node.daemon"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._variables,
                cwd="/",
                start_new_session=True,
            )

    def tend(self) -> bool:
        """Do what the unit does: start a daemon that failed again; return whether it did."""
        if self._daemon is None or self._daemon.poll() in (None, 0):
            return False
        now = time.monotonic()
        if self._failed_at_s is None:
            self._failed_at_s = now
        if now - self._failed_at_s < _RESTART_S or self._num_restarts >= _MAX_RESTARTS:
            return False
        self._num_restarts += 1
        self._failed_at_s = None
        self.boot()
        return True

    def call(self, script: str) -> ScriptCall:
        """Run a script of the Radio API, and return how that went."""
        path = self.layout.radio_api / f"{script}.sh"
        mark = uuid.uuid4().hex
        began_s = time.monotonic()
        try:
            process = subprocess.Popen(
                [str(path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._variables | {CALL_MARK: mark},
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            return ScriptCall(
                script=script,
                took_s=time.monotonic() - began_s,
                code=None,
                output="",
                problem=f"cannot be run ({exc.strerror})",
            )
        problem = ""
        try:
            output, errors = process.communicate(timeout=_SCRIPT_KILLED_S)
        except subprocess.TimeoutExpired:
            problem = f"killed after {_SCRIPT_KILLED_S:g} s"
            if process.poll() is not None:
                problem += "; it had ended, but what it started kept its output open"
            output, errors = _killed_output(process, mark)
        took_s = time.monotonic() - began_s
        return ScriptCall(
            script=script,
            took_s=took_s,
            code=None if problem else process.returncode,
            output=_line(output),
            problem=problem or _line(errors),
        )

    def written_state(self) -> str:
        """Return the state that its logs tell; empty: none yet."""
        try:
            return str(json.loads(self.layout.status.read_bytes())["state"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def kill(self) -> dict[int, str]:
        """Kill everything that runs here, and return it: process number, command line."""
        killed = kill_marked(self._mark)
        if self._daemon is not None:
            self._daemon.kill()
            with suppress(subprocess.TimeoutExpired):
                self._daemon.wait(_GONE_S)
            self._daemon = None
        return killed


def _killed_output(process: subprocess.Popen[bytes], mark: str) -> tuple[bytes, bytes]:
    """Kill a script and all it started, wherever that went, and return what they wrote."""
    process.kill()
    kill_marked(mark, mark=CALL_MARK)
    try:
        return process.communicate(timeout=_GONE_S)
    except subprocess.TimeoutExpired as late:
        # Somebody without the mark holds the pipe.
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        return late.output or b"", late.stderr or b""


def _line(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())[:_MAX_TEXT]
