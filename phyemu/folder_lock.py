"""Files and folders that one process at a time works on."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from phyemu.errors import ConfigError

__all__ = ["LOCK_NAME", "lock_file", "locked_folder"]

LOCK_NAME = ".lock"
# A file system without locks, as network ones may be: nobody can be kept out.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def lock_file(file: IO[Any]) -> None:
    """Lock an open file until it is closed, where its file system knows locks.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: It cannot be locked.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno not in _NO_LOCKS:
            raise


@contextmanager
def locked_folder(folder: Path, held: str) -> Iterator[None]:
    """Make a folder where there is none, and hold it by the lock of a file in it, which stays.

    The system lets go of it when the process ends, however it does.

    Args:
        folder: What is held.
        held: What to say of whoever holds it already.

    Raises:
        ConfigError: It is held, or is no folder to write to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK_NAME).open("w")
    except OSError as exc:
        raise ConfigError(f"{folder}: cannot be written to ({exc.strerror or exc})") from exc
    with file:
        try:
            lock_file(file)
        except OSError:
            raise ConfigError(f"{folder}: {held}") from None
        yield
