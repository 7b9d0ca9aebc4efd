"""Tar archives, written once from front to back: entries of others as they were, and ours."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from phyemu.errors import ImageError

from .addition import AddedFile, Addition

__all__ = ["TarWriter"]

_CHUNK = 1 << 20
_RECORD = 20 * tarfile.BLOCKSIZE


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int:
        """Take the bytes."""


class TarWriter:
    """Writes the entries of an archive; what is written never depends on the clock or the user."""

    def __init__(self, sink: _Sink, *, mtime_s: int) -> None:
        """Begin.

        Args:
            sink: Where the bytes go.
            mtime_s: Time of what is added [s since 1970].
        """
        self._sink = sink
        self._mtime_s = mtime_s
        self.num_bytes = 0

    def copy(self, header: bytes, data: Iterable[bytes]) -> int:
        """Write an entry whose header blocks exist; return the number of bytes of its data."""
        self._write(header)
        size = 0
        for chunk in data:
            self._write(chunk)
            size += len(chunk)
        self._pad(size)
        return size

    def fill(self, header: bytes, write_data: Callable[["_Sink"], None]) -> int:
        """Write an entry whose data are written by a function; return their number of bytes."""
        self._write(header)
        filling = _Filling(self._write)
        write_data(filling)
        self._pad(filling.num_bytes)
        return filling.num_bytes

    def add(self, addition: Addition, *, path: str, prefix: str = "") -> AddedFile:
        """Write an addition, owned by root.

        Args:
            addition: What to write.
            path: Where it lands in the root file system.
            prefix: What stands before it in the archive: `rootfs/`, or nothing.

        Raises:
            ImageError: A file cannot be read, or changes while it is.
        """
        info = tarfile.TarInfo(f"{prefix}{path}")
        info.mode, info.mtime = addition.mode, self._mtime_s
        info.uname = info.gname = "root"
        digest = hashlib.sha256()
        if addition.content is not None:
            info.type = tarfile.REGTYPE
            with _readable(addition):
                info.size = addition.content.size
            self.copy(_header(info), _hashed(addition, info.size, digest))
        else:
            info.type = tarfile.DIRTYPE if addition.target is None else tarfile.SYMTYPE
            info.linkname = addition.target or ""
            self.copy(_header(info), ())
        return AddedFile(
            path=path,
            size=info.size,
            sha256=digest.hexdigest() if addition.content is not None else "",
            target=addition.target or "",
            part=addition.part,
        )

    def close(self) -> None:
        """Write the end of the archive; the sink stays open."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self.num_bytes % _RECORD))

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self.num_bytes += len(data)

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % tarfile.BLOCKSIZE))


class _Filling:
    """Counts the bytes of one entry."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self.num_bytes = 0

    def write(self, data: bytes, /) -> int:
        """Pass the bytes on."""
        self._write(data)
        self.num_bytes += len(data)
        return len(data)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


@contextmanager
def _readable(addition: Addition) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        what = exc.filename or addition.path
        raise ImageError(f"{what}: cannot be read ({exc.strerror or exc})") from exc


def _hashed(addition: Addition, size: int, digest: "hashlib._Hash") -> Iterator[bytes]:
    if addition.content is None:
        return
    left = size
    with ExitStack() as stack:
        with _readable(addition):
            file = stack.enter_context(addition.content.open())
        while True:
            # What the sink raises is not the reader's, so only this is guarded.
            with _readable(addition):
                chunk = file.read(_CHUNK)
            left -= len(chunk)
            if not chunk or left < 0:
                break
            digest.update(chunk)
            yield chunk
    if left:
        raise ImageError(
            f"{addition.path}: its source changed while it was read; nothing was written, do it "
            "again"
        )
