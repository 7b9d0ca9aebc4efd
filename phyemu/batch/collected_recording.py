"""A node's capture as an ordinary recording: copied, finished where it was cut, and labelled."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.batch.foreign_files import is_plain_file
from phyemu.errors import RecordingError
from phyemu.iq import open_recording, repair_recording
from phyemu.iq.amend import amend_recording
from phyemu.iq.unfinished import JOURNAL_EXT, PARTIAL_EXT

__all__ = ["JOB_FIELD", "collect_recording", "parts_of", "waveform_fields"]

JOB_FIELD = "phyemu:job"

# What a receiver, a sounder or the loop must know of what was sent.
_WAVEFORM_FIELDS = (
    "phyemu:waveform",
    "phyemu:sounder",
    "phyemu:frame_format",
    "phyemu:constellation",
    "phyemu:payload",
    "phyemu:seed",
)


def parts_of(capture: Path) -> list[Path]:
    """Return the files that hold a capture: itself, or what its killed writer left."""
    names = (capture.name, capture.name + PARTIAL_EXT, capture.name + JOURNAL_EXT)
    return [path for name in names if is_plain_file(path := capture.with_name(name))]


def waveform_fields(sent: Path) -> dict[str, Any]:
    """Return what the recording that was transmitted says of itself.

    Raises:
        RecordingError: It cannot be opened.
    """
    with open_recording(sent) as recording:
        fields = recording.global_fields
        return {key: fields[key] for key in _WAVEFORM_FIELDS if key in fields}


def collect_recording(capture: Path, copy: Path, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a capture, repair the copy, set its metadata, and return what is to be noted of it.

    Args:
        capture: The capture by its name (.sigmf), finished or not; it is not changed.
        copy: Where the copy goes.
        fields: Global fields to set; those on the waveform only where the capture has none.

    Raises:
        RecordingError: It cannot be repaired, or its samples do not match their hash.
        OSError: It cannot be read, or the copy not be written.
    """
    for part in parts_of(capture):
        shutil.copyfile(part, copy.with_name(copy.name + part.name.removeprefix(capture.name)))
    try:
        repair = repair_recording(copy)
    except RecordingError as exc:
        # The copy has a temporary name that nobody can look at.
        raise RecordingError(str(exc).replace(str(copy.parent), str(capture.parent))) from exc
    with open_recording(copy) as recording:
        present = recording.global_fields
    told = present.get(JOB_FIELD)
    changed = dict(fields)
    if isinstance(told, Mapping) and JOB_FIELD in changed:
        changed[JOB_FIELD] = {**told, **changed[JOB_FIELD]}
    if any(key in present for key in _WAVEFORM_FIELDS):
        changed = {key: value for key, value in changed.items() if key not in _WAVEFORM_FIELDS}
    amend_recording(copy, changed)
    return {"repaired": repair.cause, "remarks": list(repair.remarks)}
