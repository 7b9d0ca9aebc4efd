"""An archive on disk as a stream: decompressed and hashed as it is read."""

import gzip
import hashlib
import lzma
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from phyemu.errors import ImageError
from phyemu.progress import ProgressCallback, no_progress

__all__ = ["ArchiveFile"]

_MAGIC_LENGTH = 6
_CHUNK = 1 << 18
_MEGABYTE = 1_000_000
_OTHERS = {
    b"BZh": "bzip2-compressed; bunzip2 it",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; zstd -d it",
    b"hsqs": "a squashfs; take the unified image (one .tar.gz), not the split one",
    b"PK\x03\x04": "a zip file",
    b"QFI\xfb": "the disk of a virtual machine; take a container's image",
}


class ArchiveFile:
    """Reads a file that is gzip- or xz-compressed, or not compressed.

    Attributes:
        path: The file.
        size: Of the file [bytes].
    """

    def __init__(
        self, path: Path, *, stage: str = "read", progress: ProgressCallback = no_progress
    ) -> None:
        """Open.

        Args:
            path: The file.
            stage: What the progress is called.
            progress: Told of the megabytes of the file that were read.

        Raises:
            ImageError: The file cannot be read, or is compressed in another way.
        """
        self.path = path
        self._stage, self._progress = stage, progress
        self._digest = hashlib.sha256()
        self._done = 0
        try:
            self._raw = path.open("rb")
            self.size = path.stat().st_size
            magic = self._raw.read(_MAGIC_LENGTH)
            self._raw.seek(0)
        except OSError as exc:
            raise ImageError(f"{path}: cannot be read ({exc.strerror})") from exc
        for start, what in _OTHERS.items():
            if magic.startswith(start):
                self._raw.close()
                raise ImageError(f"{path}: is {what}; allowed: tar, .tar.gz, .tar.xz")
        counted = cast("BinaryIO", _Counted(self))
        self._stream: BinaryIO
        if magic.startswith(b"\x1f\x8b"):
            self._stream = cast("BinaryIO", gzip.GzipFile(fileobj=counted, mode="rb"))
        elif magic == b"\xfd7zXZ\x00":
            self._stream = cast("BinaryIO", lzma.LZMAFile(counted))
        else:
            self._stream = counted

    def read(self, size: int) -> bytes:
        """Return at most `size` decompressed bytes, and none only at the end.

        Raises:
            ImageError: The compressed data are damaged or end early.
        """
        try:
            return self._stream.read(size)
        except (EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as exc:
            raise ImageError(
                f"{self.path}: damaged or cut short ({exc}); copy it again and compare its sha256"
            ) from exc
        except OSError as exc:
            raise ImageError(f"{self.path}: cannot be read ({exc.strerror})") from exc

    @property
    def sha256(self) -> str:
        """Of the bytes of the file that were read: all of them, once the end was reached."""
        return self._digest.hexdigest()

    def read_raw(self, size: int) -> bytes:
        """Return at most `size` bytes of the file itself."""
        chunk = self._raw.read(size)
        self._digest.update(chunk)
        before, self._done = self._done, self._done + len(chunk)
        if before // _MEGABYTE != self._done // _MEGABYTE or not chunk:
            total = max(1, self.size // _MEGABYTE)
            self._progress(self._stage, min(self._done // _MEGABYTE, total), total, "MB")
        return chunk

    def __enter__(self) -> "ArchiveFile":
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._raw.close()


class _Counted:
    """The file's own bytes, for the decompressor."""

    def __init__(self, owner: ArchiveFile) -> None:
        self._owner = owner

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        return self._owner.read_raw(_CHUNK if size < 0 else size)
