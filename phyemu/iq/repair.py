"""Repairing recordings: interrupted while written, cut by a copy, or with metadata lost or cut.

Samples that are there are kept, whatever else is damaged; what cannot be known is refused. A repair
that is interrupted itself can be run again, and a recording that is whole is left as it is.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from sigmf import SIGMF_ARCHIVE_EXT

from phyemu.errors import RecordingError
from phyemu.iq.archive import DATA_START, read_front
from phyemu.iq.journal import JournalContent, boot_id, note_end, read_journal
from phyemu.iq.metadata import (
    Metadata,
    check_extent,
    declare_namespace,
    parse_metadata,
    render_tree,
)
from phyemu.iq.partial import finish
from phyemu.iq.recording import open_recording
from phyemu.iq.salvage import objects, salvage, within, without_invalid
from phyemu.iq.sample_format import sample_format
from phyemu.iq.unfinished import Names, claim, find_unfinished, names_of, writer_of

__all__ = ["Repair", "repair_recording"]

_BLOCK_BYTES = 1 << 22
# Data files that hold more than samples.
_FOREIGN = ("core:dataset", "core:metadata_only", "core:trailing_bytes", "core:offset")


@dataclass(frozen=True, kw_only=True, slots=True)
class Repair:
    """What became of a recording.

    Attributes:
        path: The recording.
        num_samples: Samples per channel in it.
        sample_rate_hz: Their rate [Hz].
        cause: "interrupted", "truncated" or "metadata cut"; empty: it was whole, nothing was done.
        remarks: What may be missing or wrong, a sentence each.
    """

    path: Path
    num_samples: int
    sample_rate_hz: float
    cause: str
    remarks: tuple[str, ...] = ()

    def line(self) -> str:
        """Return it as one line for people."""
        length = f"{self.num_samples} samples ({self.num_samples / self.sample_rate_hz:.3f} s)"
        if not self.cause:
            return f"{self.path}: is whole, {length}; nothing to repair"
        return "; ".join([f"{self.path}: repaired ({self.cause}), {length}", *self.remarks])

    def to_dict(self) -> dict[str, Any]:
        """Return it with JSON types only."""
        return {
            "path": str(self.path),
            "samples": self.num_samples,
            "sample_rate_hz": self.sample_rate_hz,
            "repaired": self.cause or None,
            "remarks": list(self.remarks),
        }


def repair_recording(path: Path | str, *, force: bool = False) -> Repair:
    """Finish an interrupted recording, or complete one that was cut; return what became of it.

    The metadata get `phyemu:repaired`, the hash is computed, segments and annotations beyond the
    samples that are there are taken off.

    Args:
        path: The recording's name, its base name, or any of its files.
        force: Whether an interrupted recording may replace a finished one of the same name.

    Raises:
        RecordingError: It is being written, would replace another one, or cannot be repaired;
            nothing is changed then.
    """
    path = Path(path)
    names = find_unfinished(path)
    try:
        if names is not None:
            return _repair_unfinished(names, force)
        names = _existing(path)
        return _repair_archive(names) if names.is_archive else _repair_pair(names)
    except BlockingIOError as error:
        writer = (names and writer_of(names)) or "another process"
        raise RecordingError(f"{path}: {writer} is still writing it; wait until it ends") from error
    except OSError as error:
        raise RecordingError(f"{path}: cannot be repaired ({error.strerror or error})") from error


def _existing(path: Path) -> Names:
    names = names_of(path)
    archive = names_of(path.with_name(path.name + SIGMF_ARCHIVE_EXT))
    for found in (names, archive):
        if found.path.is_file() or found.data.is_file():
            return found
    if path.is_file():
        raise RecordingError(
            f"{path}: nothing tells what it holds; only recordings (.sigmf, .sigmf-meta, "
            ".sigmf-data) and their .partial and .journal files can be repaired"
        )
    raise RecordingError(f"{path}: no such recording, finished or not")


def _repair_unfinished(names: Names, force: bool) -> Repair:
    partial = names.partial.is_file()
    for there in dict.fromkeys((names.path, names.data)) if partial and not force else ():
        if there.exists():
            raise RecordingError(
                f"{names.partial}: would replace {there.name}; move that away, or use --force"
            )
    with claim(names.partial if partial else names.data) as file:
        return _finish_interrupted(names, file)


def _finish_interrupted(names: Names, file: FileIO) -> Repair:
    """Finish a recording whose samples are in a claimed file."""
    content = read_journal(names.journal) if names.journal.is_file() else JournalContent()
    remarks = []
    if content.damaged:
        remarks.append(
            f"{content.damaged} damaged places in its journal, gaps or annotations may be missing"
        )
    recording = content.recording
    if recording is None or not isinstance(recording.get("global"), dict):
        front = read_front(file) if names.is_archive else None
        if front is None:
            raise RecordingError(
                f"{names.path}: {names.journal.name} is missing or damaged, so rate and datatype "
                f"of the samples in {names.partial.name} are not known; rename it to .sigmf-data "
                "and write its .sigmf-meta by hand (docs/recordings.md)"
            )
        recording = {"global": front.tree.get("global")}
        content.captures[:0] = front.tree.get("captures", [])
        remarks.append("nothing is left of its journal but gaps and annotations may be missing")
    globals_ = recording["global"]
    metadata = _metadata_of(globals_, names)
    num_samples = _whole_samples(names, file, metadata)
    if content.end is not None:
        num_samples = min(num_samples, content.end)
    _refuse_empty(names, num_samples)
    note: dict[str, Any] = {"cause": "interrupted", "damaged_places": content.damaged}
    # Within one run of the machine, what was written is there, on the disk yet or not.
    if recording.get("boot") not in (None, boot_id()) and content.durable < num_samples:
        note["unconfirmed_from"] = content.durable
        remarks.append(
            f"the machine has stopped since: samples from {content.durable} on may be wrong"
        )
    tree = {
        "global": globals_,
        "captures": content.captures,
        "annotations": content.annotations,
    }
    note_end(names.journal, recording, num_samples)
    return _complete(names, file, metadata, tree, num_samples, note, remarks)


def _repair_archive(names: Names) -> Repair:
    whole = _whole(names)
    if isinstance(whole, Repair):
        return whole
    with claim(names.path) as file:
        front = read_front(file)
        if front is None:
            raise RecordingError(f"{whole}; only archives of phyemu's own say in front what is cut")
        if front.data_bytes == 0:  # a .partial that somebody renamed
            return _finish_interrupted(names, file)
        metadata = _metadata_of(front.tree.get("global"), names)
        frame_bytes = _frame_bytes(metadata, names)
        num_samples = min(front.data_bytes // frame_bytes, _whole_samples(names, file, metadata))
        _refuse_empty(names, num_samples)
        remarks = []
        if front.is_cut:
            remarks.append("gaps or annotations may be missing, they were at its end")
        cut = num_samples * frame_bytes < front.data_bytes
        note = {"cause": "truncated" if cut else "metadata cut"}
        return _complete(names, file, metadata, front.tree, num_samples, note, remarks)


def _repair_pair(names: Names) -> Repair:
    if not names.data.is_file():
        raise RecordingError(f"{names.path}: its samples are missing, {names.data.name}; find them")
    if not names.path.is_file():
        raise RecordingError(
            f"{names.data}: its metadata are missing, so rate and datatype are not known; write "
            f"{names.path.name} by hand (docs/recordings.md)"
        )
    whole = _whole(names)
    if isinstance(whole, Repair):
        return whole
    text = names.path.read_bytes()
    cause = "metadata cut"
    tree = salvage(text)
    with suppress(RecordingError):
        parse_metadata(text, where="")
        tree, cause = json.loads(text), "truncated"
    if tree is None:
        raise RecordingError(f"{whole}; without the object 'global' the samples mean nothing")
    foreign = [key for key in _FOREIGN if key in tree["global"]]
    if foreign or any("core:header_bytes" in entry for entry in objects(tree["captures"])):
        raise RecordingError(
            f"{names.path}: {', '.join(foreign) or 'core:header_bytes'} says that its data hold "
            "more than samples, which is not repaired; copy it again"
        )
    with claim(names.data) as file:
        metadata = _metadata_of(tree["global"], names)
        num_samples = _whole_samples(names, file, metadata)
        _refuse_empty(names, num_samples)
        return _complete(names, file, metadata, tree, num_samples, {"cause": cause}, [])


def _whole(names: Names) -> Repair | str:
    """Return that there is nothing to do, or why the recording does not open.

    Raises:
        RecordingError: It opens, but its samples do not match their hash.
    """
    try:
        recording = open_recording(names.path)
    except RecordingError as error:
        return str(error)
    with recording:
        num_samples, rate_hz = recording.num_samples, recording.sample_rate_hz
        if recording.verify() is False:
            raise RecordingError(
                f"{names.path}: its samples do not match core:sha512, so they were changed, which "
                "no repair can mend; copy it again"
            )
    names.journal.unlink(missing_ok=True)  # its writer ended between its last two steps
    return Repair(path=names.path, num_samples=num_samples, sample_rate_hz=rate_hz, cause="")


def _metadata_of(globals_: Any, names: Names) -> Metadata:
    """Return the metadata of a global object alone, checked."""
    text = json.dumps({"global": globals_, "captures": [], "annotations": []})
    metadata = parse_metadata(text, where=str(names.path))
    _frame_bytes(metadata, names)
    return metadata


def _frame_bytes(metadata: Metadata, names: Names) -> int:
    layout = sample_format(metadata.datatype, where=f"{names.path}: core:datatype")
    return layout.sample_bytes * metadata.num_channels


def _whole_samples(names: Names, file: FileIO, metadata: Metadata) -> int:
    """Return how many whole samples per channel a file holds, whatever follows them."""
    start = DATA_START if names.is_archive else 0
    held = os.fstat(file.fileno()).st_size - start
    return max(0, held) // _frame_bytes(metadata, names)


def _refuse_empty(names: Names, num_samples: int) -> None:
    if num_samples < 1:
        raise RecordingError(f"{names.path}: holds no samples, there is nothing to keep; delete it")


def _complete(
    names: Names,
    file: FileIO,
    metadata: Metadata,
    tree: Mapping[str, Any],
    num_samples: int,
    note: dict[str, Any],
    remarks: list[str],
) -> Repair:
    """Give a recording its metadata, as far as they fit its samples, and its name."""
    num_bytes = num_samples * _frame_bytes(metadata, names)
    start = DATA_START if names.is_archive else 0
    globals_ = {**tree["global"], "core:sha512": _hash(file, start, num_bytes)}
    globals_["phyemu:repaired"] = {
        "samples": num_samples,
        **{key: value for key, value in note.items() if value != 0 or key == "unconfirmed_from"},
    }
    declare_namespace(globals_)
    captures, annotations = within(tree, num_samples)
    if "unconfirmed_from" in note:
        annotations.append(
            {
                "core:sample_start": note["unconfirmed_from"],
                "core:sample_count": num_samples - note["unconfirmed_from"],
                "core:label": "unconfirmed",
                "core:comment": "may not have reached the disk before the machine stopped",
            }
        )
    done = {"global": globals_, "captures": captures, "annotations": annotations}
    done = without_invalid(done)
    text, where = render_tree(done, where=str(names.path)), str(names.path)
    check_extent(parse_metadata(text, where=where), num_samples, where=where)
    finish(names, file, done, text.encode(), num_bytes)
    names.journal.unlink(missing_ok=True)
    return Repair(
        path=names.path,
        num_samples=num_samples,
        sample_rate_hz=metadata.sample_rate_hz,
        cause=note["cause"],
        remarks=tuple(remarks),
    )


def _hash(file: FileIO, start: int, num_bytes: int) -> str:
    digest = hashlib.sha512()
    file.seek(start)
    while num_bytes > 0 and (block := file.read(min(_BLOCK_BYTES, num_bytes))):
        digest.update(block)
        num_bytes -= len(block)
    return digest.hexdigest()
