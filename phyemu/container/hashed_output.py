"""Bytes on their way into a file: hashed and counted."""

import hashlib
from typing import Protocol

__all__ = ["HashedOutput", "Output"]


class Output(Protocol):
    """What takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take the bytes."""


class HashedOutput:
    """Hashes what goes into a file, or nowhere.

    Attributes:
        digest: SHA-256 so far.
        size: Number of bytes so far.
    """

    def __init__(self, file: Output | None = None) -> None:
        """Begin; `file`: where the bytes go, None: nowhere."""
        self._file = file
        self.digest = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        """Hash the bytes, and pass them on."""
        self.digest.update(data)
        self.size += len(data)
        return len(data) if self._file is None else self._file.write(data)
