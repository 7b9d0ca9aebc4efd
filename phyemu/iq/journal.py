"""The journal of a recording that is being written: its metadata, on disk before its samples.

One line an entry, appended and never changed: a CRC-32 in hexadecimal, a space, and JSON, an object
of one key, the kind. What follows a torn or damaged line is still read. Kinds:

    recording    SigMF's global object and who writes; the last one holds, it is repeated
    capture      a segment, as SigMF has it; it is there before its first sample
    annotation   an annotation, as SigMF has it
    durable      samples per channel that a power cut cannot take any more
    end          samples per channel in all; what follows them in the file is none

The file is allocated larger than it is: that is the room in which a recording ends when the disk is
full, since metadata take no more than the journal of them did.
"""

import json
import os
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "Journal",
    "JournalContent",
    "boot_id",
    "describe_writer",
    "flush_to_disk",
    "note_end",
    "read_journal",
]

# What is allocated beyond the lines: so many times their length, and so much at least.
_RESERVE_TIMES = 3
_RESERVE_BYTES = 1 << 18
# Entries that may wait do so this long [s], and no more of them than this.
_WAIT_S = 0.25
_WAIT_ENTRIES = 500
# It is read in blocks of so much; no line of ours is longer than the other.
_BLOCK_BYTES = 1 << 20
_MAX_LINE_BYTES = 256 << 20
_KINDS = {"recording": dict, "capture": dict, "annotation": dict, "durable": int, "end": int}


class Journal:
    """Appends entries; from several threads, if need be."""

    def __init__(self, path: Path) -> None:
        """Begin an empty journal, in place of one that may be there."""
        self.path = path
        self._file = FileIO(path, "wb")
        self._lock = threading.Lock()
        self._used = self._allocated = 0
        self._waiting: list[bytes] = []
        self._waiting_since = 0.0
        self._recording = b""

    def append(self, kind: str, value: object) -> None:
        """Append an entry, after those that wait.

        Raises:
            TypeError, ValueError: The value is no JSON.
            OSError: The disk is full or fails; the entry is not there then.
        """
        line = _line(kind, value)
        with self._lock:
            if kind == "recording":
                self._recording = line
            self._write([*self._waiting, line])

    def append_soon(self, kind: str, value: object) -> None:
        """Append an entry together with the next ones, at the next `flush` at the latest."""
        line = _line(kind, value)
        with self._lock:
            now = time.monotonic()
            if not self._waiting:
                self._waiting_since = now
            self._waiting.append(line)
            if now - self._waiting_since >= _WAIT_S or len(self._waiting) >= _WAIT_ENTRIES:
                self._write(self._waiting)

    def flush(self) -> None:
        """Append what waits."""
        with self._lock:
            if self._waiting:
                self._write(self._waiting)

    def repeat_recording(self) -> None:
        """Append the last entry of that kind again, lest one damaged place hides it."""
        with self._lock:
            self._write([*self._waiting, self._recording])

    def sync(self) -> None:
        """Wait until the entries are on the disk."""
        flush_to_disk(self._file)

    def release(self) -> None:
        """Give the room back that was kept for the end."""
        os.ftruncate(self._file.fileno(), self._used)

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def remove(self) -> None:
        """Close and delete the file."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, lines: list[bytes]) -> None:
        text = b"".join(lines)
        done = 0
        while done < len(text):
            done += os.pwrite(self._file.fileno(), text[done:], self._used + done)
        self._used += done
        self._waiting = []
        wanted = _RESERVE_TIMES * self._used + _RESERVE_BYTES
        if wanted > self._allocated:
            self._allocated = wanted + wanted // 4
            # Where there is no room any more, what was reserved before has to do.
            with suppress(OSError, AttributeError):  # macOS lacks the call
                os.posix_fallocate(self._file.fileno(), self._used, self._allocated - self._used)


@dataclass(slots=True)
class JournalContent:
    """What a journal says, unchecked but for the checksums.

    Attributes:
        recording: The last entry of that kind; None: none is intact.
        captures: In the order of writing.
        annotations: In the order of writing.
        durable: Samples that a power cut cannot have taken.
        end: Samples in all; None: the writer did not get that far.
        damaged: Lines that are not as they were written.
    """

    recording: dict[str, Any] | None = None
    captures: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    durable: int = 0
    end: int | None = None
    damaged: int = 0

    def take(self, kind: str, value: Any) -> None:
        """Take an entry in."""
        match kind:
            case "recording":
                self.recording = value
            case "capture":
                self.captures.append(value)
            case "annotation":
                self.annotations.append(value)
            case "durable":
                self.durable = max(self.durable, value)
            case "end":
                self.end = value


def read_journal(path: Path) -> JournalContent:
    """Return what a journal says; of a damaged one, what is intact.

    Raises:
        OSError: It cannot be read.
    """
    content = JournalContent()
    with path.open("rb") as file:
        for line in _lines(file):
            entry = _entry(line)
            if entry is None:
                content.damaged += 1
            else:
                content.take(*entry)
    return content


def note_end(path: Path, recording: Mapping[str, Any], num_samples: int) -> None:
    """Note in a journal that nobody writes any more where the samples end, and wait for the disk.

    Args:
        path: The journal; it is made where there is none.
        recording: The entry of that kind, put in again.
        num_samples: Samples per channel.

    Raises:
        OSError: The disk is full or fails.
    """
    with FileIO(path, "r+b" if path.exists() else "wb+") as file:
        # An unfinished last line goes, and so does the room kept for the end, which is now.
        used = _end_of_lines(file)
        file.truncate(used)
        os.pwrite(file.fileno(), _line("recording", recording) + _line("end", num_samples), used)
        os.fsync(file.fileno())


def flush_to_disk(file: FileIO) -> None:
    """Wait until what was written to a file, and its length, are on the disk."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(file.fileno())  # macOS has one only


def boot_id() -> str | None:
    """Return what differs from one start of the machine to the next; None where it is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the whole lines, however many; not the end: room, or what was being written."""
    pending = bytearray()
    while block := file.read(_BLOCK_BYTES):
        first, *rest = block.split(b"\n")
        pending += first
        for part in rest:
            yield bytes(pending)
            pending = bytearray(part)
        # What is too long or holds zeros, as room does, is no entry; it need not be kept whole.
        if pending.endswith(b"\0"):
            pending = pending.rstrip(b"\0") + b"\0"
        del pending[_MAX_LINE_BYTES:]


def _end_of_lines(file: FileIO) -> int:
    """Return where the last whole line of a file ends."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        found = os.pread(file.fileno(), end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _line(kind: str, value: object) -> bytes:
    text = json.dumps({kind: value}, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> tuple[str, Any] | None:
    """Return kind and value of a line; None where it is damaged or not of ours."""
    text = line[9:]
    if line[:9] != b"%08x " % zlib.crc32(text):
        return None
    try:
        tree = json.loads(text)
        ((kind, value),) = tree.items()
    except (ValueError, AttributeError, RecursionError):
        return None
    fits = isinstance(value, _KINDS[kind]) if kind in _KINDS else False
    return (kind, value) if fits and not isinstance(value, bool) else None


def describe_writer(recording: Mapping[str, Any]) -> str:
    """Return "process 123" as an entry `recording` tells it."""
    return f"process {recording.get('pid', 'unknown')}"
