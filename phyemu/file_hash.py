"""The hash of a file, by which it is known again."""

import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["file_sha256", "kept_file_sha256"]


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def kept_file_sha256(path: Path) -> str:
    """Return what `file_sha256` does; a file that was not changed since is read once."""
    path = path.resolve()
    found = path.stat()
    # A copy that keeps its times is another file, or was changed later by the kernel's own clock.
    times = (found.st_mtime_ns, found.st_ctime_ns)
    return _hash_of(path, found.st_size, found.st_ino, times)


@lru_cache(maxsize=1024)
def _hash_of(path: Path, num_bytes: int, inode: int, times_ns: tuple[int, int]) -> str:
    return file_sha256(path)
