"""The worker process as the daemon sees it: lines of JSON both ways, and an end in any case.

The process leads a group of its own, so that whatever it starts ends with it. What it writes is not
trusted: garbage, endless lines and floods cost nothing but a note, and a process that closes its
output while it lives counts as failed.
"""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["Heard", "IdleWorker", "Worker", "WorkerProcess"]

Heard = Callable[[str, dict[str, Any]], None]
"""Called with the name of an event of the worker and its fields. Besides those of the protocol:
`garbage` (text), `failed` (reason) and, last of all, `exited` (reason)."""

# Longer lines are garbage; no event of ours has more than some hundred bytes.
_MAX_LINE_BYTES = 1 << 16
_MAX_UNREAD_BYTES = 1 << 16
_MAX_GARBAGE = 20
# After the process is gone its last lines may take so long [s]; after its output is, its end.
_DRAIN_S = 1.0
_END_S = 2.0


class Worker:
    """What the daemon does to a worker."""

    def send(self, line: Mapping[str, Any]) -> None:
        """Give it a command."""
        raise NotImplementedError

    def signal(self, number: int) -> None:
        """Send it and what it started a signal; one that is gone gets none."""
        raise NotImplementedError


class IdleWorker(Worker):
    """The worker of role idle: no process, and always willing."""

    def __init__(self, heard: Heard) -> None:
        """Be ready."""
        self._heard = heard
        self._gone = False
        heard("ready", {})

    def send(self, line: Mapping[str, Any]) -> None:
        """Do as told, at once."""
        if line["command"] == "start":
            self._heard("active", {})
        elif line["command"] == "stop" and not self._gone:
            self._gone = True
            self._heard("stopped", {"summary": {}})
            self._heard("exited", {"reason": "idle"})

    def signal(self, number: int) -> None:
        """End."""
        if not self._gone:
            self._gone = True
            self._heard("exited", {"reason": f"signal {number}"})


class WorkerProcess(Worker):
    """A worker that is a process; `launch` makes one."""

    def __init__(self, process: asyncio.subprocess.Process, heard: Heard) -> None:
        """Watch a process that has pipes to its standard input and output."""
        self.pid = process.pid
        self._process = process
        self._heard = heard
        self._garbage = 0
        self._once: set[str] = set()
        self._task = asyncio.create_task(self._watch())

    @classmethod
    async def launch(
        cls,
        command: Sequence[str],
        *,
        log: Path,
        variables: Mapping[str, str],
        heard: Heard,
    ) -> "WorkerProcess":
        """Start a process.

        Args:
            command: Program and arguments.
            log: Where its standard error goes; it is appended.
            variables: Its environment.
            heard: Called with each of its events.

        Raises:
            OSError: There is no such program, or no room for it.
        """
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=dict(variables),
                start_new_session=True,
            )
        return cls(process, heard)

    def send(self, line: Mapping[str, Any]) -> None:
        """Write a line; a worker that reads none of many has failed."""
        pipe = self._process.stdin
        if pipe is None or pipe.is_closing():
            return
        if pipe.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self._heard("failed", {"reason": "does not read its commands"})
            return
        pipe.write(json.dumps(line).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send its group a signal."""
        # The group keeps its number as long as anyone is in it, also after its leader is gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def _watch(self) -> None:
        reading = asyncio.create_task(self._read())
        ending = asyncio.create_task(self._process.wait())
        await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
        if not ending.done():
            await asyncio.wait([ending], timeout=_END_S)
            if not ending.done():
                self._heard("failed", {"reason": "closed its output"})
        code = await ending
        # Whatever it started may hold its output open.
        await asyncio.wait([reading], timeout=_DRAIN_S)
        reading.cancel()
        self.signal(signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._heard("exited", {"reason": _end(code)})

    async def _read(self) -> None:
        pipe = self._process.stdout
        rest, skipping = b"", False
        while pipe is not None and (chunk := await pipe.read(1 << 16)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if skipping:
                    skipping = False
                else:
                    self._take(line)
            if len(rest) > _MAX_LINE_BYTES:
                if not skipping:
                    self._note_garbage(rest)
                rest, skipping = b"", True
        if rest and not skipping:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            name = str(event.pop("event"))
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
            self._note_garbage(line)
            return
        if name not in _EVENTS:
            self._note_garbage(line)
        elif name not in self._once:
            if not _EVENTS[name]:
                self._once.add(name)
            self._heard(name, event)

    def _note_garbage(self, line: bytes) -> None:
        self._garbage += 1
        if self._garbage <= _MAX_GARBAGE and line.strip():
            self._heard("garbage", {"text": line[:200].decode("utf-8", "replace")})


# The events of the protocol, and whether they mean something the second time.
_EVENTS = {
    "ready": False,
    "active": False,
    "progress": True,
    "statistics": True,
    "stopped": False,
    "error": False,
}


def _end(code: int) -> str:
    if code < 0:
        try:
            return f"the worker was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"the worker was ended by signal {-code}"
    return f"the worker ended by itself (exit code {code})"
