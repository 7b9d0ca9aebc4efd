"""What a batch job leaves in the team's storage: reservations, and the logs of their nodes.

Colosseum's documentation names no layout; this is the one that its users' own tools read:

    RESERVATION-1234/
        Inputs/batch_input.json      the batch job as it ran
        Inputs/match_conf.json       which SRN was which node: {"node_to_srn_mapping": {"1": 12}}
        TEAM-IMAGE-srn12-RES1234/    /logs of that SRN
        traffic_logs/, *.pcap        not ours

A folder of node logs by themselves (`node-1/`, `1/`, or that of one node) is read, too. A node's
logs are known by what is in them, so folders between and around them do not matter.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from phyemu.batch.foreign_files import is_plain_file, printable, read_json_object, whole
from phyemu.errors import ConfigError
from phyemu.node.layout import NODE_LOG, STATUS_FILE, task_number

__all__ = ["NodeFolder", "Reservation", "find_results"]

_MAX_DEPTH = 6
_MAX_ENTRIES = 200_000
_RESERVATION = re.compile(r"RESERVATION-([A-Za-z0-9_.-]+)$")
_SRN = re.compile(r"-srn0*(\d{1,4})-RES([A-Za-z0-9]+)$")
_NODE = re.compile(r"(?:node[-_]?)?0*(\d{1,4})$")
_LOGS = (NODE_LOG, STATUS_FILE)
_INPUTS = "Inputs"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFolder:
    """The logs of one node.

    Attributes:
        path: What was /logs on the node.
        node: RFNode_ID, as far as the folders tell; None where they do not.
        srn: Number of the SRN; None where unknown.
    """

    path: Path
    node: int | None
    srn: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """One run of a batch job.

    Attributes:
        name: What follows RESERVATION- in its folder's name; empty for bare folders of logs.
        job: BatchName; empty where unknown.
        rf_scenario: Number of the RF scenario; None where unknown.
        nodes: Folders of logs, by path.
        expected: Nodes that the batch job names, ascending; empty where unknown.
        remarks: What could not be used, a sentence each.
    """

    name: str
    job: str = ""
    rf_scenario: int | None = None
    nodes: tuple[NodeFolder, ...] = ()
    expected: tuple[int, ...] = ()
    remarks: tuple[str, ...] = field(default=())


def find_results(source: Path, *, leave_out: Path | None = None) -> list[Reservation]:
    """Return the reservations in a folder, by name, each with the logs that it holds.

    Links are not followed, so nothing outside of the folder is read.

    Args:
        source: The folder.
        leave_out: A folder in it that is not searched; None: all are.

    Raises:
        ConfigError: There is no such folder, or it holds no logs of phyemu's nodes.
    """
    if not source.is_dir():
        what = "is no folder" if source.exists() else "no such folder"
        raise ConfigError(f"{source}: {what}; give what Colosseum left, such as RESERVATION-1234")
    source = source.absolute()
    found: dict[tuple[str, Path], list[Path]] = {}
    remarks: list[str] = []
    skipped = None if leave_out is None else leave_out.absolute()
    for path in _log_folders(source, remarks, skipped):
        found.setdefault(_reservation_of(path, source), []).append(path)
    # A reservation whose nodes left nothing is one all the same.
    for folder in _reservation_folders(source):
        found.setdefault((_named(folder), folder), [])
    if not found:
        raise ConfigError(
            f"{source}: holds no logs of phyemu's nodes (node.jsonl, status.json, task-0001); give "
            f"what Colosseum left in the team's storage, such as RESERVATION-1234"
        )
    ordered = sorted(found.items())
    return [
        _read_reservation(name, folder, paths, tuple(remarks) if index == 0 else ())
        for index, ((name, folder), paths) in enumerate(ordered)
    ]


def _entries(folder: Path, remarks: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as exc:
        remarks.append(f"{folder}: cannot be read ({exc.strerror or exc})")
        return []


def _log_folders(source: Path, remarks: list[str], skipped: Path | None) -> Iterator[Path]:
    """Yield the folders that are a node's logs, and those of SRNs that left none."""
    waiting, seen = [(source, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        entries = _entries(folder, remarks)
        seen += len(entries)
        if seen > _MAX_ENTRIES:
            remarks.append(f"{source}: more than {_MAX_ENTRIES} files and folders; gave up there")
            return
        names = [entry.name for entry in entries]
        if any(map(_is_of_logs, names)):
            yield folder
            continue
        inner = []
        for entry in entries:
            if entry.is_symlink():
                if _SRN.search(entry.name) or _RESERVATION.search(entry.name):
                    remarks.append(f"{entry.path}: is a link, which is not followed")
            elif entry.is_dir(follow_symlinks=False) and entry.name != _INPUTS:
                if Path(entry.path) != skipped:
                    inner.append((Path(entry.path), depth + 1))
        if _SRN.search(folder.name) and not any(_holds_logs(path) for path, _ in inner):
            yield folder
            continue
        if depth < _MAX_DEPTH:
            waiting += reversed(inner)


def _holds_logs(folder: Path) -> bool:
    return any(_is_of_logs(entry.name) for entry in _entries(folder, []))


def _is_of_logs(name: str) -> bool:
    return name in _LOGS or task_number(name) is not None


def _named(folder: Path) -> str:
    match = _RESERVATION.search(folder.name)
    return match[1] if match else ""


def _reservation_folders(source: Path) -> Iterator[Path]:
    if _named(source):
        yield source
    for entry in _entries(source, []):
        if entry.is_dir(follow_symlinks=False) and _RESERVATION.search(entry.name):
            yield Path(entry.path)


def _reservation_of(path: Path, source: Path) -> tuple[str, Path]:
    """Return name and folder of the reservation that a folder of logs is of."""
    for folder in (path, *path.parents):
        if _named(folder):
            return _named(folder), folder
    match = _SRN.search(path.name)
    return (match[2] if match else "", source)


def _read_reservation(
    name: str, folder: Path, paths: list[Path], remarks: tuple[str, ...]
) -> Reservation:
    notes = list(remarks)
    batch = _input(folder / _INPUTS / "batch_input.json", notes)
    match = _input(folder / _INPUTS / "match_conf.json", notes)
    mapping = match.get("node_to_srn_mapping")
    nodes_of_srn = {}
    if isinstance(mapping, dict):
        for node in mapping:
            srn = whole(mapping, node)
            if srn is not None and node.isascii() and node.isdigit() and len(node) <= 4:
                nodes_of_srn[srn] = int(node)
    nodes = []
    for path in sorted(paths):
        srn = _srn_of(path, folder)
        node = nodes_of_srn.get(srn) if srn is not None else _node_of(path, folder)
        nodes.append(NodeFolder(path=path, node=node, srn=srn))
    data = batch.get("NodeData")
    listed = (
        [whole(entry, "RFNode_ID") for entry in data or () if isinstance(entry, dict)]
        if (isinstance(data, list))
        else []
    )
    expected = {node for node in listed if node} or set(nodes_of_srn.values())
    job = batch.get("BatchName")
    return Reservation(
        name=name,
        job=printable(job)[:200] if isinstance(job, str) else "",
        rf_scenario=whole(batch, "RFScenario"),
        nodes=tuple(nodes),
        expected=tuple(sorted(expected)),
        remarks=tuple(notes),
    )


def _input(path: Path, remarks: list[str]) -> dict[str, object]:
    """Return one of the files that Colosseum adds; empty where it is not there."""
    if not os.path.lexists(path):
        return {}
    try:
        if not is_plain_file(path):
            raise ConfigError(f"{path}: is no plain file")
        return read_json_object(path)
    except ConfigError as exc:
        remarks.append(str(exc))
        return {}


def _parts(path: Path, folder: Path) -> list[str]:
    """Return the names from a folder of logs up to that of its reservation."""
    names = []
    while path != folder and path != path.parent:
        names.append(path.name)
        path = path.parent
    return names or [path.name]


def _srn_of(path: Path, folder: Path) -> int | None:
    for name in _parts(path, folder):
        if match := _SRN.search(name):
            return int(match[1])
    return None


def _node_of(path: Path, folder: Path) -> int | None:
    for name in _parts(path, folder):
        if match := _NODE.fullmatch(name):
            return int(match[1])
    return None
