"""A recording while it is written: the file of its samples, its journal, and how it ends."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from typing import Any

from phyemu.errors import RecordingError
from phyemu.iq.archive import DATA_START, archive_end, archive_front
from phyemu.iq.flusher import Flusher
from phyemu.iq.journal import Journal, boot_id
from phyemu.iq.unfinished import Names, claim, writer_of

__all__ = ["PartialRecording", "finish", "recording_entry"]

# A recording that is written for longer is flushed while it is written [s].
_SHORT_S = 0.5


class PartialRecording:
    """Takes stored samples and journal entries, and ends in one of three ways.

    `finish` gives the recording its name, `discard` deletes it, `leave` keeps it for the repair.
    """

    def __init__(self, names: Names, tree: Mapping[str, Any], *, force: bool) -> None:
        """Begin the recording.

        Args:
            names: What it will be called.
            tree: Its metadata as they stand.
            force: Whether one of that name that was interrupted may be replaced.

        Raises:
            RecordingError: It is being written, or was interrupted.
            OSError: It cannot be written.
        """
        self._names = names
        names.path.parent.mkdir(parents=True, exist_ok=True)
        self._data_start = DATA_START if names.is_archive else 0
        self._position = 0
        self._begun = time.monotonic()
        self._file = _begin(names, self._data_start, force)
        try:
            self._journal = Journal(names.journal)
            self._journal.append("recording", recording_entry(tree))
            for entry in tree["captures"]:
                self._journal.append("capture", entry)
            if names.is_archive:
                self._append(archive_front(names.path.stem, 0, tree))
        except BaseException:
            names.partial.unlink()
            names.journal.unlink(missing_ok=True)
            self._file.close()
            raise
        self._flusher = Flusher(self._file, self._journal)

    def append(self, stored: memoryview, num_samples: int) -> None:
        """Append all of the stored samples, or none of them.

        Args:
            stored: Their bytes.
            num_samples: Samples per channel in all, these included.

        Raises:
            OSError: The disk is full or fails, or did so when it was flushed.
        """
        if self._flusher.error is not None:
            raise self._flusher.error
        self._append(stored)
        self._flusher.num_samples = num_samples
        if not self._flusher.has_started and time.monotonic() - self._begun > _SHORT_S:
            self._flusher.start()

    def note(self, kind: str, entry: Mapping[str, Any], *, soon: bool = False) -> None:
        """Put an entry into the journal, at once or `soon`.

        Raises:
            TypeError, ValueError: It is no JSON.
            OSError: The disk is full or fails.
        """
        (self._journal.append_soon if soon else self._journal.append)(kind, entry)

    def finish(self, tree: Mapping[str, Any], text: bytes) -> None:
        """Give the recording its metadata and its name.

        Args:
            tree: The metadata.
            text: The same as the text of .sigmf-meta.

        Raises:
            OSError: The disk is full or fails, or did so when it was flushed; `leave` it then.
        """
        self._flusher.stop()
        if self._flusher.error is not None:
            # The system reports a failed write once for an open file: no later flush would tell.
            raise self._flusher.error
        self._journal.append("end", self._flusher.num_samples)
        if self._flusher.has_started:
            # What follows the samples must not be on the disk before it is known where they end.
            self._journal.sync()
        self._journal.release()
        finish(self._names, self._file, tree, text, self._position - self._data_start)
        self._journal.remove()
        self._file.close()

    def discard(self) -> None:
        """Delete it."""
        self._flusher.stop()
        if not self._file.closed:
            self._names.partial.unlink(missing_ok=True)
            self._journal.remove()
            self._file.close()

    def leave(self) -> None:
        """Close the files as they are."""
        self._flusher.stop()
        with suppress(OSError):
            self._journal.flush()
        self._journal.close()
        self._file.close()

    def _append(self, chunk: memoryview | bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
        except OSError:
            with suppress(OSError):  # a disk that fails: `finish` cuts off what is too much
                self._file.truncate(self._position)
            with suppress(OSError):
                self._file.seek(self._position)
            raise
        self._position += len(chunk)


def recording_entry(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the journal's entry for the global object, and for who writes."""
    return {"global": tree["global"], "pid": os.getpid(), "boot": boot_id()}


def finish(
    names: Names, file: FileIO, tree: Mapping[str, Any], text: bytes, data_bytes: int
) -> None:
    """Give a recording whose samples are there its metadata and its name.

    Args:
        names: Of the recording.
        file: The claimed file that holds the samples, under whichever name; what follows them is
            cut off.
        tree: The metadata.
        text: The same as the text of .sigmf-meta.
        data_bytes: Bytes of samples.

    Raises:
        OSError: The disk is full or fails; it can be tried again.
    """
    written = names.partial if names.partial.exists() else names.data
    if names.is_archive:
        end = DATA_START + data_bytes
        end += _write_at(file, end, archive_end(names.path.stem, data_bytes, text))
        file.truncate(end)
        _write_at(file, 0, archive_front(names.path.stem, data_bytes, tree))
        os.fsync(file.fileno())
        written.replace(names.path)
        return
    try:
        file.truncate(data_bytes)
        with names.new_metadata.open("wb") as metadata:
            metadata.write(text)
            metadata.flush()
            os.fsync(metadata.fileno())
        os.fsync(file.fileno())
        if written != names.data:
            # Old metadata must never describe new samples, whenever this is interrupted.
            names.path.unlink(missing_ok=True)
            written.replace(names.data)
        names.new_metadata.replace(names.path)
    finally:
        names.new_metadata.unlink(missing_ok=True)


def _write_at(file: FileIO, position: int, data: bytes) -> int:
    done = 0
    while done < len(data):
        done += os.pwrite(file.fileno(), data[done:], position + done)
    return done


def _begin(names: Names, data_start: int, force: bool) -> FileIO:
    """Return the empty file for the samples, claimed."""
    try:
        file = claim(names.partial, create=True)
    except BlockingIOError as error:
        raise RecordingError(
            f"{names.path}: {writer_of(names) or 'another process'} is writing it; name another "
            "file"
        ) from error
    try:
        if os.fstat(file.fileno()).st_size > data_start and not force:
            raise RecordingError(
                f"{names.path}: was interrupted while it was written; finish it (phyemu inspect "
                f"--repair {names.path}), name another file, or replace it with --force"
            )
        file.truncate(0)
    except BaseException:
        file.close()
        raise
    return file
