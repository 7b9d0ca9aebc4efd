"""The air as a process of its own, so that a rehearsal is in time with its scripts.

`AirProcess` is the rehearsal's side, `phyemu.batch.air_server` the other.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self

from phyemu.batch.air import AirSettings, AirStatistics
from phyemu.errors import TransportError
from phyemu.toml_config import to_table

__all__ = ["AirProcess", "RehearsalAir"]

# Compiling what runs the emulator takes seconds, on a busy machine tens of them [s].
_READY_S = 300.0
# The queues between the ends empty within this time [s].
_END_S = 30.0
_KILL_S = 5.0
_MAX_TEXT = 300
_COMMAND = (sys.executable, "-m", "phyemu.batch.air_server")


class RehearsalAir(Protocol):
    """An air that is ready to play; a context manager that ends it.

    Attributes:
        ports: Ports that nodes send and listen to, by direction ("send", "receive") and node.
    """

    ports: dict[str, dict[str, int]]

    def start(self) -> None:
        """Begin the scenario."""

    def statistics(self) -> AirStatistics | None:
        """Return how the scenario goes; None: it has only just begun.

        Raises:
            TransportError: The air has failed; the message says why.
        """

    def end(self) -> AirStatistics:
        """End the scenario, and return how it went.

        Raises:
            TransportError: The air has failed; the message says why.
        """

    def __enter__(self) -> Self:
        """Return the air."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it all."""


class AirProcess(RehearsalAir):
    """The emulator's twin in a process of its own.

    Attributes:
        ports: Ports that nodes send and listen to, by direction ("send", "receive") and node.
    """

    def __init__(self, settings: AirSettings) -> None:
        """Start the process, and wait until it is ready.

        Raises:
            PhyemuError: It cannot be; the message is its own.
        """
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._statistics: AirStatistics | None = None
        # A session of its own: Ctrl-C is for the rehearsal, which then ends the air.
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="phyemu-air", daemon=True)
        self._reader.start()
        try:
            self._tell(to_table(settings))
            self.ports: dict[str, dict[str, int]] = self._await("ready", _READY_S)["ports"]
        except BaseException:
            self.close()
            raise

    def start(self) -> None:
        """Begin the scenario."""
        self._statistics = None
        self._tell({"command": "start"})
        self._await("started", _READY_S)

    def statistics(self) -> AirStatistics | None:
        """Return how the scenario goes; None: it has only just begun.

        Raises:
            TransportError: The air has failed; the message says why.
        """
        with suppress(queue.Empty):
            while True:
                self._note(self._events.get_nowait())
        return self._statistics

    def end(self) -> AirStatistics:
        """End the scenario, and return how it went.

        Raises:
            TransportError: The air has failed; the message says why.
        """
        self._tell({"command": "end"})
        self._await("ended", _END_S)
        if self._statistics is None:
            raise TransportError("the air did not say how the scenario went")
        return self._statistics

    def close(self) -> None:
        """End the process; one that does not end is killed."""
        with suppress(OSError, ValueError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_KILL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(_KILL_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        """Return the air."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process."""
        if error is not None:
            # Nobody waits for what it would still say, and it may be loading for seconds.
            self._process.kill()
        self.close()

    def _tell(self, message: Mapping[str, Any]) -> None:
        stdin = self._process.stdin
        # A process that has ended tells why in its last event.
        with suppress(OSError):
            if stdin is not None:
                stdin.write(json.dumps(message) + "\n")
                stdin.flush()

    def _read(self) -> None:
        stdout = self._process.stdout
        if stdout is not None:
            for line in stdout:
                self._events.put(_event(line))
        self._events.put(None)

    def _note(self, event: dict[str, Any] | None) -> dict[str, Any]:
        if event is None:
            self._events.put(None)
            raise TransportError(
                f"the air of the rehearsal has ended (exit code {self._process.wait()}); what it "
                "said stands above"
            )
        if event["event"] == "failed":
            raise TransportError(f"the air of the rehearsal: {event['reason']}")
        if "statistics" in event:
            self._statistics = AirStatistics(**event["statistics"])
        return event

    def _await(self, name: str, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                event = self._note(self._events.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise TransportError(
                    f"the air of the rehearsal was not {name} within {timeout_s:g} s"
                ) from None
            if event["event"] == name:
                return event


def _event(line: str) -> dict[str, Any]:
    """Return the event that a line tells; one that tells none is a failure of the air."""
    with suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and "event" in found:
            return found
    return {
        "event": "failed",
        "reason": f"it wrote {line.strip()[:_MAX_TEXT]!r}, which is no event",
    }
