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
from typing import Any, cast

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


class WorkerProcess(Worker, asyncio.SubprocessProtocol):
    """A worker that is a process; `launch` makes one."""

    def __init__(self, heard: Heard) -> None:
        """Watch a process that is about to be made."""
        self.pid = 0
        self._heard = heard
        self._garbage = 0
        self._once: set[str] = set()
        self._rest, self._skipping = b"", False
        self._transport: asyncio.SubprocessTransport
        self._output_closed = self._exited = self._told = False

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
            transport, worker = await asyncio.get_running_loop().subprocess_exec(
                lambda: cls(heard),
                *command,
                stderr=errors,
                env=dict(variables),
                start_new_session=True,
            )
        worker.pid = transport.get_pid()
        return worker

    def send(self, line: Mapping[str, Any]) -> None:
        """Write a line; a worker that reads none of many has failed."""
        pipe = self._transport.get_pipe_transport(0)
        if not isinstance(pipe, asyncio.WriteTransport) or pipe.is_closing():
            return
        if pipe.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self._heard("failed", {"reason": "does not read its commands"})
            return
        pipe.write(json.dumps(line).encode() + b"\n")

    def signal(self, number: int) -> None:
        """Send its group a signal."""
        if self._told:  # its number may be another's by now
            return
        # The group keeps its number as long as anyone is in it, also after its leader is gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)

    # What the loop tells; the process has ended when it exits, whoever holds its output.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the process."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take what it has written."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._take(line)
        if len(self._rest) > _MAX_LINE_BYTES:
            if not self._skipping:
                self._note_garbage(self._rest)
            self._rest, self._skipping = b"", True

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note that it has closed its output, which a living process does not do."""
        if fd == 1:
            self._output_closed = True
            if self._exited:
                self._tell_end()
            else:
                asyncio.get_running_loop().call_later(_END_S, self._doubt)

    def process_exited(self) -> None:
        """Note that it has ended, and end what it started."""
        self._exited = True
        self.signal(signal.SIGKILL)
        if self._output_closed:
            self._tell_end()
        else:
            asyncio.get_running_loop().call_later(_DRAIN_S, self._tell_end)

    def _doubt(self) -> None:
        if not self._exited:
            self._heard("failed", {"reason": "closed its output"})

    def _tell_end(self) -> None:
        if not self._told:
            self._told = True
            if self._rest and not self._skipping:
                self._take(self._rest)
            code = self._transport.get_returncode()
            self._transport.close()
            self._heard("exited", {"reason": _end(0 if code is None else code)})

    def _take(self, line: bytes) -> None:
        try:
            event = json.loads(line, parse_constant=lambda _: None)  # NaN is no JSON
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
    "problem": True,
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
