"""The state that a daemon leaves below /run, for scripts that find it hung and for the next one."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from phyemu.node.deadlines import Deadlines
from phyemu.node.events import State
from phyemu.node.state_machine import Node

__all__ = ["StateFile", "resumed_node"]

_BYTES = 4096
# Of a character in JSON: a pair of surrogates.
_MOST_BYTES = 12


class StateFile:
    """The state of a node, written in place: no disk is waited for, and no half is ever read."""

    def __init__(self, path: Path) -> None:
        """Open it; what a daemon before has left in it stays until `write`.

        Raises:
            OSError: It cannot be created.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, node: Node, info: str) -> None:
        """Write the state as it is now, with the time: one that grows old is of a hung daemon."""
        table = {
            "state": node.state.value,
            "info": info,
            "wanted": node.wanted,
            "restarts": node.restarts,
            "run": node.run,
            "monotonic": time.monotonic(),
        }
        with suppress(OSError):  # scripts then say that nothing is known
            os.pwrite(self._descriptor, _block(table), 0)

    def __enter__(self) -> "StateFile":
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove it, unless there was an error: a daemon that ends in order leaves no state."""
        if kind is None:
            self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def _block(table: Mapping[str, Any]) -> bytes:
    """Return a table as JSON of always as many bytes; what does not fit is cut off its info."""
    info = table["info"][:1000]
    while excess := max(0, len(line := json.dumps({**table, "info": info}).encode()) - _BYTES):
        info = info[: -max(1, excess // _MOST_BYTES)]
    return line.ljust(_BYTES)


def resumed_node(path: Path, deadlines: Deadlines) -> tuple[Node, str]:
    """Return the node that a daemon which died leaves, and one line on it.

    A task that was to be started or was running is booted again, with the restarts it has left; one
    that was stopping has finished. What cannot be read is a new node.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        state, info = State(found["state"]), str(found["info"])
        wanted, restarts, run = bool(found["wanted"]), int(found["restarts"]), int(found["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return Node(deadlines=deadlines), "the daemon before died and left no state"
    line = f"the daemon before died in state {state} ({info})"
    if state in (State.STOPPING, State.FINISHED, State.ERROR):
        stopping = state is State.STOPPING
        info = f"finished; {line}" if stopping else info
        state = State.FINISHED if stopping else state
        return Node(state=state, info=info, run=run, deadlines=deadlines), line
    node = Node(info=line, wanted=wanted, restarts=restarts, run=run, deadlines=deadlines)
    return node, line
