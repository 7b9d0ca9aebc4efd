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
    """Return what `file_sha256` does; a file of the same size and time of change is read once."""
    path = path.resolve()
    found = path.stat()
    return _hash_of(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=1024)
def _hash_of(path: Path, num_bytes: int, changed_ns: int) -> str:
    return file_sha256(path)
