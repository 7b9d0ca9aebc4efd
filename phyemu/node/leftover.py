"""The worker of a daemon that died: it must leave the radio before the next one opens it."""

import asyncio
import json
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from phyemu.node.node_log import write_json_atomically

__all__ = ["end_leftover", "note_worker"]

# A worker whose daemon died has met the end of its input; it gets so long to finish [s].
_FINISH_S = 20.0
_KILL_S = 5.0
_POLL_S = 0.05


def _birth(pid: int) -> str | None:
    """Return when a process began, in ticks since boot; None: it has ended, or is a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # what precedes is the name, which may hold anything
    return None if fields[0] in "ZX" else fields[19]


def note_worker(path: Path, pid: int) -> None:
    """Note which process the worker is."""
    with suppress(OSError):
        write_json_atomically(path, {"pid": pid, "birth": _birth(pid)})


async def end_leftover(path: Path, *, finish_s: float = _FINISH_S) -> str:
    """End the worker noted by a daemon that died, if it lives, and return one line on it, or none.

    Args:
        path: What `note_worker` wrote. A process that got the same number since is left alone.
        finish_s: How long it may take to finish before it is killed [s].
    """
    try:
        noted = json.loads(path.read_text("utf-8"))
        pid, birth = int(noted["pid"]), noted["birth"]
    except (OSError, ValueError, TypeError, KeyError):
        return ""
    with suppress(OSError):
        path.unlink()
    if birth is None or pid <= 1 or _birth(pid) != birth:
        return ""
    for number, patience_s in ((signal.SIGTERM, finish_s), (signal.SIGKILL, _KILL_S)):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        until_s = time.monotonic() + patience_s
        while _birth(pid) == birth and time.monotonic() < until_s:
            await asyncio.sleep(_POLL_S)
        if _birth(pid) != birth:
            return f"the worker of the daemon before (pid {pid}) was ended by {number.name}"
    return f"the worker of the daemon before (pid {pid}) outlived SIGKILL"
