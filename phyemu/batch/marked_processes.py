"""Processes by a mark in their environment: what a rehearsed node started, however it did.

A container's processes all end with it. A node of a rehearsal has no container; so it is started
with a variable that every process it starts inherits, daemons that left its session included.
"""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["CALL_MARK", "MARK", "kill_marked", "marked_processes"]

MARK = "PHYEMU_REHEARSED_NODE"
"""The variable."""

CALL_MARK = "PHYEMU_REHEARSED_CALL"
"""The same for what one call of a script has started."""

_POLL_S = 0.02
_GONE_S = 10.0


def marked_processes(value: str, *, mark: str = MARK) -> dict[int, str]:
    """Return the processes whose environment has the mark with this value: number, command line."""
    entry = f"{mark}={value}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if _is_marked(folder, entry):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode(errors="replace").strip()
    return found


def kill_marked(value: str, *, mark: str = MARK) -> dict[int, str]:
    """Kill the processes with this mark, and return those that were there: number, command line.

    Returns when all are gone, or after 10 s.
    """
    killed: dict[int, str] = {}
    deadline = time.monotonic() + _GONE_S
    while (found := marked_processes(value, mark=mark)) and time.monotonic() < deadline:
        for number, command in found.items():
            killed.setdefault(number, command)
            _kill(number, f"{mark}={value}".encode())
        time.sleep(_POLL_S)
    return killed


def _kill(number: int, entry: bytes) -> None:
    with suppress(ProcessLookupError, PermissionError):
        try:
            _kill_by_handle(number, entry)
        except ProcessLookupError:
            return
        except OSError:
            # An old kernel, or a container that allows no handles (ENOSYS, EPERM).
            if _is_marked(Path(f"/proc/{number}"), entry):
                os.kill(number, signal.SIGKILL)


def _kill_by_handle(number: int, entry: bytes) -> None:
    # The handle stays with the process, so that no other one that gets its number is met.
    handle = os.pidfd_open(number)
    try:
        if _is_marked(Path(f"/proc/{number}"), entry):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)


def _is_marked(folder: Path, entry: bytes) -> bool:
    try:
        variables = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return entry in variables
