"""Folders that one process at a time works in."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["LOCK_NAME", "locked_folder"]

LOCK_NAME = ".lock"
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


@contextmanager
def locked_folder(folder: Path, held: str) -> Iterator[None]:
    """Make a folder where there is none, and hold it by the lock of a file in it, which stays.

    The system lets go of it when the process ends, however it does. A file system that knows no
    locks, as network ones may, keeps nobody out.

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
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            if exc.errno not in _NO_LOCKS:
                raise ConfigError(f"{folder}: {held}") from None
        yield
