"""A thread that brings a recording to the disk twice a second, so that a power cut takes little."""

import errno
import os
import threading
from io import FileIO
from pathlib import Path

from phyemu.iq.journal import Journal, flush_to_disk

__all__ = ["Flusher"]

# A second is what may be lost: this, and the time that the disk takes.
_INTERVAL_S = 0.5
# What network and FUSE file systems answer where a folder cannot be flushed, or not be read.
_NO_FOLDER_SYNC = {
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
    errno.ENOSYS,
    errno.EBADF,
    errno.EACCES,
    errno.EPERM,
}


class Flusher:
    """Flushes samples, then notes in the journal how many they are, then flushes the journal.

    It waits for the disk so that the writer need not. The system writes back behind it, so each
    time there is half a second of samples to wait for.

    Attributes:
        num_samples: Samples per channel that are in the file; the writer keeps it.
        error: Why it ended early: the disk failed.
    """

    def __init__(self, file: FileIO, journal: Journal) -> None:
        """Get ready; `start` starts the thread."""
        self.num_samples = 0
        self.error: OSError | None = None
        self._file = file
        self._journal = journal
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def has_started(self) -> bool:
        """Return whether `start` was called."""
        return self._thread is not None

    def start(self) -> None:
        """Start the thread; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="phyemu-flush", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._ends.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        rounds = 0
        try:
            _sync_folder(self._journal.path.parent)
            while not self._ends.is_set():
                rounds += 1
                self._journal.flush()
                num_samples = self.num_samples
                flush_to_disk(self._file)
                if rounds & (rounds - 1) == 0:
                    self._journal.repeat_recording()
                self._journal.append("durable", num_samples)
                self._journal.sync()
                self._ends.wait(_INTERVAL_S)
        except OSError as error:
            self.error = error


def _sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can tell."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
