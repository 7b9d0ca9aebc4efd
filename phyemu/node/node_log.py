"""What a node tells of itself: node.jsonl, status.json and copies of its inputs, all below /logs.

A thread of its own writes, so that a slow or full disk delays no answer. Nothing waits for the end:
each batch of lines is flushed to the disk when it is written.
"""

import json
import os
import queue
import re
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phyemu.node.layout import NodeLayout
from phyemu.whole_file import write_whole

__all__ = ["NodeLog", "write_json_atomically"]

# Lines that wait for a slow disk; more are counted as lost.
_MAX_WAITING = 10_000
_INPUT = re.compile(r"(\d{4})-")
# How long the last lines may take at the end [s].
_CLOSE_S = 5.0


def write_json_atomically(path: Path, value: object) -> None:
    """Write JSON, whole or not at all.

    Raises:
        OSError: The disk is full or fails.
    """
    write_whole(path, json.dumps(value) + "\n")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class NodeLog:
    """Writes what happens as it happens; goes on without a disk, and says so."""

    def __init__(self, layout: NodeLayout) -> None:
        """Begin to write; lines are appended to those that are there."""
        self._layout = layout
        self._problems: dict[Path, str] = {}
        self._lost = 0
        self._inputs: dict[str, bytes] = {}
        self._inputs_kept = _last_input(layout.inputs)
        self._jobs: queue.SimpleQueue[tuple[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_all, name="node-log", daemon=True)
        self._thread.start()

    @property
    def problem(self) -> str:
        """What could not be written when it was last tried, in one line; empty: nothing."""
        lines = list(self._problems.values())
        if self._lost:
            lines.append(f"{self._lost} events not written")
        return "; ".join(lines)

    def event(self, event: str, **fields: Any) -> None:
        """Append an event with its time, soon."""
        if self._jobs.qsize() >= _MAX_WAITING:
            self._lost += 1
            return
        line = json.dumps({"time": _now(), "event": event, **fields}, ensure_ascii=False)
        self._jobs.put(("event", line))

    def status(self, **fields: Any) -> None:
        """Replace status.json, soon."""
        self._jobs.put(("status", {"time": _now(), **fields}))

    def input(self, path: Path, content: bytes) -> None:
        """Keep an input as it is now, unless it is what was kept of it last."""
        if self._inputs.get(path.name) != content:
            self._inputs[path.name] = content
            self._inputs_kept += 1
            copy = self._layout.inputs / f"{self._inputs_kept:04d}-{path.name}"
            self._jobs.put(("input", (copy, content)))
            self.event("input", file=path.name, copy=copy.name, bytes=len(content))

    def close(self) -> None:
        """Write what waits, within some seconds, and end."""
        self._jobs.put(None)
        self._thread.join(_CLOSE_S)

    def _write_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            jobs = [job]
            with suppress(queue.Empty):
                while (job := self._jobs.get_nowait()) is not None:
                    jobs.append(job)
            self._write_batch(jobs)
            if job is None:
                return

    def _write_batch(self, jobs: list[tuple[str, Any]]) -> None:
        lines = [value for kind, value in jobs if kind == "event"]
        statuses = [value for kind, value in jobs if kind == "status"]
        for kind, value in jobs:
            if kind == "input":
                self._try(self._layout.inputs, lambda value=value: _write_new(*value))
        if lines and not self._try(self._layout.node_log, lambda: self._append(lines)):
            self._lost += len(lines)
        if statuses:
            status = {**statuses[-1], "problem": self.problem}
            self._try(
                self._layout.status, lambda: write_json_atomically(self._layout.status, status)
            )

    def _append(self, lines: list[str]) -> None:
        with self._layout.node_log.open("ab", buffering=0) as file:
            at = file.tell()
            if at and not _ends_with_newline(self._layout.node_log):
                lines = ["", *lines]  # a line that a crash or a full disk has torn stays alone
            file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
            os.fdatasync(file.fileno())

    def _try(self, path: Path, write: Any) -> bool:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write()
        except OSError as exc:
            self._problems[path] = f"{path}: cannot be written ({exc.strerror})"
            return False
        self._problems.pop(path, None)
        return True


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _write_new(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def _last_input(folder: Path) -> int:
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return 0
    return max((int(match[1]) for name in names if (match := _INPUT.match(name))), default=0)
