"""Recordings that have no name yet: the files that hold them while they are written.

`office.sigmf` is `office.sigmf.partial` (samples) and `office.sigmf.journal` (metadata) until it is
closed, a pair `office.sigmf-data.partial` and `office.sigmf-data.journal`. The names are visible,
so that one finds them after the writer was killed. The writer holds a lock on the samples, which
the system takes off when the process ends, however it ends.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from sigmf import SIGMF_ARCHIVE_EXT, SIGMF_DATASET_EXT, SIGMF_METADATA_EXT

from phyemu.errors import RecordingError
from phyemu.folder_lock import lock_file
from phyemu.iq.journal import describe_writer, read_journal

__all__ = [
    "JOURNAL_EXT",
    "PARTIAL_EXT",
    "Names",
    "claim",
    "find_unfinished",
    "names_of",
    "refuse_unfinished",
    "writer_of",
]

PARTIAL_EXT = ".partial"
JOURNAL_EXT = ".journal"


@dataclass(frozen=True, slots=True)
class Names:
    """Where a recording is, and where it is while it is written.

    Attributes:
        path: What one opens: the archive, or the metadata of a pair.
        is_archive: Which of the two.
    """

    path: Path
    is_archive: bool

    @property
    def data(self) -> Path:
        """Return the file that holds the samples."""
        return self.path if self.is_archive else self.path.with_suffix(SIGMF_DATASET_EXT)

    @property
    def partial(self) -> Path:
        """Return the file that holds the samples while they are written."""
        return _longer(self.data, PARTIAL_EXT)

    @property
    def journal(self) -> Path:
        """Return the file that holds the metadata while the samples are written."""
        return _longer(self.data, JOURNAL_EXT)

    @property
    def new_metadata(self) -> Path:
        """Return the file of a pair's metadata before it gets its name."""
        return _longer(self.path, PARTIAL_EXT)

    @property
    def is_unfinished(self) -> bool:
        """Return whether the recording was begun, and neither finished nor given up."""
        if self.partial.is_file():
            return True
        # A pair's samples get their name first.
        return self.journal.is_file() and self.data.is_file() and not self.path.is_file()


def _longer(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def names_of(path: Path) -> Names:
    """Return the names of the recording that a path stands for; a base name stands for a pair."""
    if path.suffix in (SIGMF_ARCHIVE_EXT, SIGMF_METADATA_EXT):
        return Names(path, path.suffix == SIGMF_ARCHIVE_EXT)
    base = path.with_suffix("") if path.suffix == SIGMF_DATASET_EXT else path
    return Names(base.with_name(base.name + SIGMF_METADATA_EXT), False)


def find_unfinished(path: Path) -> Names | None:
    """Return the names of an unfinished recording: by any of its files, its name or base name."""
    if path.suffix in (PARTIAL_EXT, JOURNAL_EXT):
        path = path.with_suffix("")
    candidates = [names_of(path)]
    if path.suffix not in (SIGMF_ARCHIVE_EXT, SIGMF_METADATA_EXT, SIGMF_DATASET_EXT):
        candidates.append(names_of(_longer(path, SIGMF_ARCHIVE_EXT)))
    with suppress(OSError):
        return next((names for names in candidates if names.is_unfinished), None)
    return None


def claim(path: Path, *, create: bool = False) -> FileIO:
    """Return a file, open for reading and writing, that no other process claims.

    Raises:
        BlockingIOError: Another one does.
        OSError: It cannot be opened.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    while True:
        file = FileIO(path, "r+b", opener=lambda name, _: os.open(name, flags, 0o666))
        try:
            lock_file(file)
            # Whoever held it may have given the file another name in the meantime.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BaseException:
            file.close()
            raise
        file.close()


def writer_of(names: Names) -> str | None:
    """Return who is writing a recording, such as "process 123"; None: nobody is."""
    for path in (names.partial, names.data):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _who(names)
        except OSError:
            continue
    return None


def _who(names: Names) -> str:
    try:
        return describe_writer(read_journal(names.journal).recording or {})
    except OSError:
        return describe_writer({})


def refuse_unfinished(path: Path) -> None:
    """Raise RecordingError when a path stands for a recording that is not finished."""
    names = find_unfinished(path)
    if names is None:
        return
    writer = writer_of(names)
    if writer is not None:
        raise RecordingError(f"{names.path}: {writer} is still writing it; wait until it ends")
    raise RecordingError(
        f"{names.path}: was interrupted while it was written; what was written is kept, finish it: "
        f"phyemu inspect --repair {names.path}"
    )
