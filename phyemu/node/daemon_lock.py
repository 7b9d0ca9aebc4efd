"""One daemon a node: a file that it holds locked, so that the system knows when it is gone."""

import fcntl
import os
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["lock_daemon"]

# status.sh tries the lock for an instant; a daemon holds it for good.
_PATIENCE_S = 1.0
_POLL_S = 0.01


def lock_daemon(path: Path) -> tuple[FileIO, bool]:
    """Return the locked file that names this process, and whether a daemon died before.

    Whoever takes the file away when it ends was no one that died.

    Raises:
        ConfigError: Another daemon holds it, or it cannot be written.
    """
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), "r+")
        except OSError as exc:
            raise ConfigError(f"{path.parent}: cannot be written ({exc.strerror})") from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pid = file.read(32).decode("ascii", "replace").strip()
            file.close()
            if time.monotonic() < until_s:
                time.sleep(_POLL_S)
                continue
            raise ConfigError(f"{path}: the daemon runs already (pid {pid})") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(file.fileno())):
                break
        file.close()  # a daemon that ended has just taken it away
    before = bool(file.read(32))
    file.truncate(0)
    file.seek(0)
    file.write(f"{os.getpid()}\n".encode())
    return file, before
