"""What a node wrote to /logs: events, last state, and one task for each run of its worker.

A node is killed two minutes after `stop`, or earlier when something breaks. So the last line of a
file may be cut, a file may be missing, and nothing here fails for it: whatever is whole is kept,
and what is not is named in `problems`.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from phyemu.batch.foreign_files import (
    finite,
    is_plain_file,
    printable,
    read_json_object,
    whole,
)
from phyemu.batch.json_file import json_value
from phyemu.errors import ConfigError
from phyemu.node.layout import NODE_LOG, STATUS_FILE, task_number

__all__ = ["NodeEvent", "NodeLog", "TaskLog", "json_lines", "read_node_log"]

_MAX_LINE_BYTES = 1 << 20
_MAX_EVENTS = 1_000_000
# Files, and what is left of one whose writer was killed.
_CAPTURE = re.compile(r"(.+\.sigmf)(?:\.partial|\.journal)?$")
_FRAMES = re.compile(r"(frames.*\.h5)(?:\.partial)?$")
_SOUNDINGS = re.compile(r"(soundings.*\.h5)$")
FINAL_STATES = ("FINISHED", "OFF")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeEvent:
    """A line of node.jsonl.

    Attributes:
        name: What happened.
        time: When, by the node's own clock; None where it does not say.
        fields: All of the line.
    """

    name: str
    time: datetime | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskLog:
    """One run of a node's worker.

    Attributes:
        folder: Its folder.
        number: From 1, as in the folder's name.
        role: Role of its radio.conf; empty where task.json is not there.
        job: Name of the job; empty where unknown.
        node: RFNode_ID; None where unknown.
        scenario: Name or number of the scenario; empty where unknown.
        center_frequency_hz: [Hz]; None where unknown.
        sample_rate_hz: [Hz]; None where unknown.
        started: When it began, by the node's clock; None where unknown.
        loop: Which start of the scenario it served, from 1.
        task: All of task.json.
        summary: summary.json; empty where the worker never wrote one.
        transmission: transmission.json; empty where nothing was sent.
        captures: Recordings by the name they have or would have, finished or not.
        soundings: Files of soundings.
        frames: Files of received frames by the name they have or would have, finished or not.
        predictions: File of predictions; None where there is none.
        problems: What could not be read, a sentence each.
    """

    folder: Path
    number: int
    role: str = ""
    job: str = ""
    node: int | None = None
    scenario: str = ""
    center_frequency_hz: float | None = None
    sample_rate_hz: float | None = None
    started: datetime | None = None
    loop: int = 1
    task: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    transmission: Mapping[str, Any] = field(default_factory=dict)
    captures: tuple[Path, ...] = ()
    soundings: tuple[Path, ...] = ()
    frames: tuple[Path, ...] = ()
    predictions: Path | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeLog:
    """All that a node wrote.

    Attributes:
        folder: What was its /logs.
        events: In the order written.
        damaged_lines: Lines of node.jsonl that are no JSON object.
        is_cut: Whether its last line is incomplete.
        state: Last state known; empty where none is.
        info: What was said with it.
        tasks: By number.
        problems: What is missing or went wrong, a sentence each.
    """

    folder: Path
    events: tuple[NodeEvent, ...]
    damaged_lines: int
    is_cut: bool
    state: str
    info: str
    tasks: tuple[TaskLog, ...]
    problems: tuple[str, ...]

    @property
    def has_ended(self) -> bool:
        """Whether the node came to its end by itself; else it was killed, or failed."""
        return self.state in FINAL_STATES


def json_lines(chunks: Iterable[bytes]) -> Iterator[dict[str, Any] | None]:
    """Yield the JSON object of each line, None for a line that holds none.

    A last line without its end is yielded if it is an object all the same, and as None if it is
    not. Empty lines are passed over.

    Args:
        chunks: The bytes, cut anywhere.
    """
    rest, dropping = b"", False
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if dropping:  # the end of a line that was too long
                dropping = False
            else:
                yield from _object(line)
        if len(rest) > _MAX_LINE_BYTES:
            if not dropping:
                yield None
            rest, dropping = b"", True
    if rest and not dropping:
        yield from _object(rest)


def _object(line: bytes) -> Iterator[dict[str, Any] | None]:
    if not line.strip():
        return
    try:
        value = json_value(line, strict=False)
    except ValueError:
        yield None
        return
    yield value if isinstance(value, dict) else None


def read_node_log(folder: Path) -> NodeLog:
    """Return what is in a node's folder of logs, however damaged.

    Raises:
        ConfigError: The folder cannot be read at all.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as exc:
        raise ConfigError(f"{folder}: cannot be read ({exc.strerror or exc})") from exc
    problems: list[str] = []
    events, damaged, is_cut = _events(folder / NODE_LOG, problems)
    state, info = _last_state(folder, events, problems)
    tasks = []
    for name in names:
        number = task_number(name)
        if number is None:
            continue
        path = folder / name
        if path.is_symlink() or not path.is_dir():
            problems.append(f"{name}: is no folder, so it is left out")
            continue
        tasks.append(_read_task(path, number, events))
    if not tasks:
        problems.append("no task: its worker never ran")
    problems += _crashes(events)
    if state == "ERROR":
        problems.append(f"ended in ERROR: {info or 'it gives no reason'}")
    elif state and state not in FINAL_STATES:
        problems.append(f"killed while {state}")
    elif not state:
        problems.append("says no state: node.jsonl and status.json are missing or damaged")
    return NodeLog(
        folder=folder,
        events=tuple(events),
        damaged_lines=damaged,
        is_cut=is_cut,
        state=state,
        info=info,
        tasks=tuple(sorted(tasks, key=lambda task: task.number)),
        problems=tuple(problems),
    )


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            yield chunk


def _events(path: Path, problems: list[str]) -> tuple[list[NodeEvent], int, bool]:
    if not is_plain_file(path):
        if os.path.lexists(path):
            problems.append(f"{path.name}: is no plain file, so it is left out")
        return [], 0, False
    events: list[NodeEvent] = []
    damaged, last_is_damaged = 0, False
    try:
        for fields in json_lines(_chunks(path)):
            last_is_damaged = fields is None
            if fields is None:
                damaged += 1
                continue
            name = fields.get("event")
            events.append(
                NodeEvent(
                    name=name if isinstance(name, str) else "",
                    time=_time(fields.get("time")),
                    fields=fields,
                )
            )
            if len(events) >= _MAX_EVENTS:
                problems.append(f"{path.name}: more than {_MAX_EVENTS} lines; the rest is left out")
                break
        is_cut = last_is_damaged and not _ends_a_line(path)
    except OSError as exc:
        problems.append(f"{path.name}: cannot be read ({exc.strerror or exc})")
        return events, damaged, False
    damaged -= is_cut
    if damaged:
        problems.append(f"{path.name}: {damaged} lines are no JSON objects")
    return events, damaged, is_cut


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _crashes(events: list[NodeEvent]) -> list[str]:
    """Return one line on the failures of the node's worker; none where it never failed."""
    failures = [
        event
        for event in events
        if event.name == "worker" and event.fields.get("said") in ("error", "failed")
    ]
    if not failures:
        return []
    fields = failures[-1].fields.get("fields")
    reason = _text(fields, "reason") if isinstance(fields, dict) else ""
    times = "once" if len(failures) == 1 else f"{len(failures)} times"
    return [f"its worker failed {times}: {reason or 'it gives no reason'}"]


def _time(value: Any) -> datetime | None:
    """Return a moment in UTC; one that names no zone is taken as UTC."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(fields: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, str):
            return printable(value)[:400]
    return ""


def _last_state(folder: Path, events: list[NodeEvent], problems: list[str]) -> tuple[str, str]:
    """Return the last state and its reason: of status.json, or else of the last event with one."""
    path = folder / STATUS_FILE
    if os.path.lexists(path):
        try:
            status = read_json_object(path)
        except ConfigError as exc:
            problems.append(str(exc).replace(f"{folder}{os.sep}", ""))
        else:
            state = _text(status, "STATUS", "state")
            if state:
                return state, _text(status, "INFO", "info", "reason")
    for event in reversed(events):
        state = _text(event.fields, "state", "STATUS")
        if state:
            return state, _text(event.fields, "reason", "info", "INFO")
    return "", ""


def _read_task(folder: Path, number: int, events: list[NodeEvent]) -> TaskLog:
    problems: list[str] = []

    def parsed(name: str) -> dict[str, Any]:
        if not os.path.lexists(folder / name):
            return {}
        try:
            return read_json_object(folder / name)
        except ConfigError as exc:
            problems.append(str(exc).replace(f"{folder.parent}{os.sep}", ""))
            return {}

    task = parsed("task.json")
    conf = task.get("radio_conf")
    conf = conf if isinstance(conf, dict) else {}
    job = conf.get("job", task.get("job"))
    job = job if isinstance(job, dict) else {}
    started = _time(task.get("started", task.get("time")))
    files = _plain_files(folder, problems)

    def named(pattern: re.Pattern[str]) -> tuple[Path, ...]:
        names = {match[1] for name in files if (match := pattern.match(name))}
        return tuple(folder / name for name in sorted(names))

    return TaskLog(
        folder=folder,
        number=number,
        role=_text(task, "role") or _text(conf, "role"),
        job=_text(job, "name"),
        node=whole(job, "node"),
        scenario=_text(job, "scenario"),
        center_frequency_hz=finite(task, "center_frequency_hz"),
        sample_rate_hz=finite(task, "sample_rate_hz"),
        started=started,
        loop=_loop_of(folder.name, started, events),
        task=task,
        summary=parsed("summary.json"),
        transmission=parsed("transmission.json"),
        captures=named(_CAPTURE),
        soundings=named(_SOUNDINGS),
        frames=named(_FRAMES),
        predictions=folder / "predictions.jsonl" if "predictions.jsonl" in files else None,
        problems=tuple(problems),
    )


def _plain_files(folder: Path, problems: list[str]) -> list[str]:
    """Return the names of the plain files in a task's folder; others are named as problems."""
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as exc:
        problems.append(f"{folder.name}: cannot be read ({exc.strerror or exc})")
        return []
    files = []
    for name in names:
        if is_plain_file(folder / name):
            files.append(name)
        else:
            problems.append(f"{folder.name}/{name}: is no plain file, so it is left out")
    return files


def _loop_of(name: str, started: datetime | None, events: list[NodeEvent]) -> int:
    """Return which run of the scenario a task served: one more than were stopped before it.

    An event that names the task tells its place among the others; else its start time does.
    """
    loop, running = 1, False
    by_time = 1
    for event in events:
        if name in event.fields.values():
            return loop
        command = _text(event.fields, "command")
        if command == "start":
            running = True
        elif command == "stop" and running:
            running = False
            loop += 1
            if started is not None and event.time is not None and event.time <= started:
                by_time = loop
    return by_time
