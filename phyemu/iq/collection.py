"""Which recordings a path stands for: one recording, a folder of them, or a SigMF collection."""

import json
from pathlib import Path
from typing import Any

from sigmf import (
    SIGMF_ARCHIVE_EXTS,
    SIGMF_COLLECTION_EXT,
    SIGMF_DATASET_EXT,
    SIGMF_METADATA_EXT,
)

from phyemu.errors import RecordingError

__all__ = ["base_name", "recordings_in", "stored_bytes"]

_MAX_BYTES = 16 << 20
_RECORDING_EXTS = (SIGMF_METADATA_EXT, *sorted(SIGMF_ARCHIVE_EXTS, key=len))


def base_name(path: Path) -> str:
    """Return the name of a recording without what SigMF adds to it."""
    for suffix in (*reversed(_RECORDING_EXTS), SIGMF_DATASET_EXT):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def stored_bytes(path: Path) -> int:
    """Return the size of the file that holds a recording's samples; 0 where it is missing."""
    data = path.with_suffix(SIGMF_DATASET_EXT) if path.suffix == SIGMF_METADATA_EXT else path
    return data.stat().st_size if data.is_file() else 0


def recordings_in(path: Path) -> list[Path]:
    """Return the recordings that a path stands for, in a fixed order.

    A folder stands for the recordings directly in it, by name; a SigMF collection
    (`.sigmf-collection`) for its streams, as it lists them; any other path for itself (the data
    file of a pair for its metadata).

    Raises:
        RecordingError: A folder or a collection without recordings, a damaged collection, or one
            that names files elsewhere than beside it.
    """
    if path.is_dir():
        found = sorted(
            item
            for item in path.iterdir()
            if item.name.lower().endswith(_RECORDING_EXTS)
            and not item.name.startswith(".")
            and item.is_file()
        )
        if not found:
            raise RecordingError(
                f"{path}: a folder without recordings; looked for files that end in "
                f"{', '.join(_RECORDING_EXTS)}"
            )
        return found
    if path.suffix == SIGMF_COLLECTION_EXT:
        return _streams(path)
    return [path.with_suffix(SIGMF_METADATA_EXT) if path.suffix == SIGMF_DATASET_EXT else path]


def _streams(path: Path) -> list[Path]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RecordingError(f"{path}: larger than the {_MAX_BYTES} bytes that are read")
        content: Any = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise RecordingError(f"{path}: is no JSON ({error})") from error
    top = content.get("collection") if isinstance(content, dict) else None
    streams = top.get("core:streams") if isinstance(top, dict) else None
    if not isinstance(streams, list) or not streams:
        raise RecordingError(f"{path}: is no SigMF collection with core:streams")
    found = []
    for index, stream in enumerate(streams):
        name = stream.get("name") if isinstance(stream, dict) else None
        # A collection may come from anywhere: it names files beside it and no others.
        if not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0"):
            raise RecordingError(
                f"{path}: stream {index} must name a recording beside it, got {name!r}"
            )
        found.append(_beside(path, name))
    return found


def _beside(path: Path, name: str) -> Path:
    """Return the file of a stream's base name; that of the metadata where there is none."""
    for suffix in ("", *_RECORDING_EXTS):
        candidate = path.with_name(name + suffix)
        if candidate.name.endswith(_RECORDING_EXTS) and candidate.is_file():
            return candidate
    return path.with_name(name + SIGMF_METADATA_EXT)
