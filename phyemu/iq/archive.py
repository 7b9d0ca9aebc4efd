"""The layout of the archives that we write: samples at a fixed place, metadata on both sides.

The samples begin at byte 8192, whatever the name and the length, so that they are written once and
where they stay. The metadata follow them, for every reader of SigMF; a copy stands before them, in
the comment of a pax header (IEEE Std 1003.1, pax), which other programs skip. It tells what the
samples are when the end of the file is missing: a copy that was cut, a writer that was killed.
"""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any

from sigmf import SIGMF_DATASET_EXT, SIGMF_METADATA_EXT

__all__ = ["DATA_START", "FrontCopy", "archive_end", "archive_front", "read_front"]

_BLOCK = 512
DATA_START = 16 * _BLOCK
"""First byte of the samples in an archive."""
# A header for the comment, a header for the samples.
_COMMENT_BYTES = DATA_START - 2 * _BLOCK
# Sizes from here on do not fit the twelve octal digits of a header.
_LARGE = 8**11
_KEY = "comment"


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontCopy:
    """What the front of an archive of ours says.

    Attributes:
        tree: SigMF's tree; annotations and late segments are missing where they found no room.
        data_bytes: Bytes of samples that the header states; 0 while it is being written.
        is_cut: Whether segments or annotations are missing.
    """

    tree: Mapping[str, Any]
    data_bytes: int
    is_cut: bool


def archive_front(name: str, data_bytes: int, tree: Mapping[str, Any]) -> bytes:
    """Return what stands before the samples of an archive, `DATA_START` bytes.

    Args:
        name: Base name of the recording.
        data_bytes: Bytes of samples.
        tree: Its metadata; as much of them is copied as fits, and the global object goes first.
    """
    member = f"{name}/{name}{SIGMF_DATASET_EXT}"
    records = b""
    if len(member) > tarfile.LENGTH_NAME or not member.isascii():
        records += _record("path", member.encode(errors="surrogateescape"))
    if data_bytes >= _LARGE:
        records += _record("size", str(data_bytes).encode())
    # Of what is left, four digits and the key; a record's length counts itself.
    room = _COMMENT_BYTES - len(records) - len(f"0000 {_KEY}=\n")
    records = _record(_KEY, _fitting(tree, room).ljust(room)) + records
    header = tarfile.TarInfo("././@PaxHeader")
    header.type, header.size = tarfile.XHDTYPE, len(records)
    data = tarfile.TarInfo(member.encode("ascii", "replace").decode()[: tarfile.LENGTH_NAME])
    data.size, data.mode = (0 if data_bytes >= _LARGE else data_bytes), 0o644
    return header.tobuf(tarfile.USTAR_FORMAT) + records + data.tobuf(tarfile.USTAR_FORMAT)


def archive_end(name: str, data_bytes: int, text: bytes) -> bytes:
    """Return what follows the samples: the rest of their last block, the metadata, the end."""
    member = tarfile.TarInfo(f"{name}/{name}{SIGMF_METADATA_EXT}")
    member.size, member.mode = len(text), 0o644
    # Two empty blocks end a tar file.
    return (
        bytes(-data_bytes % _BLOCK)
        + member.tobuf(tarfile.PAX_FORMAT)
        + text
        + bytes(-len(text) % _BLOCK + 2 * _BLOCK)
    )


def read_front(file: IO[bytes]) -> FrontCopy | None:
    """Return what the front of an archive says; None where it is not one of ours, or is damaged."""
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", ignore_zeros=False) as archive:
            member = archive.next()
            if member is None or member.offset_data != DATA_START or member.size < 0:
                return None
            tree = json.loads(member.pax_headers[_KEY])
            is_cut = bool(tree.pop("cut", False))
            kinds = [type(tree[key]) for key in ("global", "captures", "annotations")]
            if kinds != [dict, list, list]:
                return None
    except (tarfile.TarError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return None
    return FrontCopy(tree=tree, data_bytes=member.size, is_cut=is_cut)


def _record(key: str, value: bytes) -> bytes:
    """Return a pax record, "LENGTH KEY=VALUE\\n", whose length counts all of it."""
    rest = b" " + key.encode() + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def _fitting(tree: Mapping[str, Any], room: int) -> bytes:
    """Return as much of the tree as fits, as JSON: annotations go first, then late segments."""
    whole = {key: tree[key] for key in ("global", "captures", "annotations")}
    text = _compact(whole)
    if len(text) <= room:
        return text
    short = {**whole, "annotations": [], "cut": True}
    if len(_compact(short)) > room:
        # Half of the room at least is left to segments.
        if len(_compact({**short, "captures": []})) > room // 2:
            needed = ("datatype", "sample_rate", "num_channels", "version")
            short["global"] = {f"core:{key}": tree["global"][f"core:{key}"] for key in needed}
        left = room - len(_compact({**short, "captures": []}))
        kept = []
        for entry in tree["captures"]:
            left -= len(_compact(entry)) + 1
            if left < 0:
                break
            kept.append(entry)
        short["captures"] = kept
    return _compact(short)


def _compact(value: Any) -> bytes:
    # Not ASCII is escaped, so a character is a byte.
    return json.dumps(value, separators=(",", ":")).encode()
