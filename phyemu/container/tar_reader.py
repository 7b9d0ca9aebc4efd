"""Tar archives, read once from front to back, in bounded memory.

Every format that GNU tar, bsdtar, Python and Go write is understood as far as it takes to know the
name, the kind and the length of each entry (POSIX.1-2001 pax, ustar, GNU, v7); the rest is passed
on as bytes.
"""

import tarfile
from collections.abc import Iterator
from typing import Protocol

from phyemu.errors import ImageError

from .tar_entry import BLOCK, Extension, TarEntry, normalised

__all__ = ["TarReader"]

_CHUNK = 1 << 20
_MAX_EXTENSION = 1 << 20  # bytes of names and attributes of one entry; a real one has far fewer
_EXTENSIONS = {b"x", b"L", b"K"}


class _Source(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end."""


class TarReader:
    """The entries of an archive, one after the other; the data of each may be read once."""

    def __init__(self, source: _Source, *, name: str) -> None:
        """Begin.

        Args:
            source: The archive, not compressed.
            name: Of the archive, for messages.
        """
        self._source = source
        self._name = name
        self._left = 0
        self._padding = 0
        self.num_bytes = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Yield the entries; data that were not read are skipped.

        Raises:
            ImageError: This is no tar archive, it ends early, or an entry is malformed.
        """
        extensions: list[Extension] = []
        first = True
        while True:
            for _ in self.data():
                pass
            block = self._block(first)
            if not any(block):
                if extensions:
                    raise self._malformed("a header without an entry")
                break
            info = self._parse(block, first)
            first = False
            if info.type in _EXTENSIONS:
                extensions.append(self._extension(info, block))
            elif info.type == b"g":
                yield self._global_entry(info, block)
            else:
                yield self._entry(info, block, tuple(extensions))
                extensions.clear()
        # Whatever follows the end is padding; reading it checks the compression to its end.
        while self._source.read(_CHUNK):
            pass

    def data(self) -> Iterator[bytes]:
        """Yield what was not yet read of the data of the entry that came last."""
        while self._left:
            chunk = self._source.read(min(self._left, _CHUNK))
            if not chunk:
                raise self._truncated()
            self._left -= len(chunk)
            self.num_bytes += len(chunk)
            yield chunk
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def read_data(self, *, limit: int) -> bytes:
        """Return the data of the entry that came last, which must be small.

        Raises:
            ImageError: It is longer than `limit` bytes.
        """
        if self._left > limit:
            raise self._malformed(f"a file of {self._left} bytes where {limit} are the most")
        return b"".join(self.data())

    def _block(self, first: bool) -> bytes:
        block = b""
        while len(block) < BLOCK:
            chunk = self._source.read(BLOCK - len(block))
            if not chunk:
                if first:
                    raise ImageError(f"{self._name}: is no tar archive (it has {len(block)} bytes)")
                raise self._truncated()
            block += chunk
        self.num_bytes += BLOCK
        return block

    def _exactly(self, size: int) -> bytes:
        parts, left = [], size
        while left:
            chunk = self._source.read(min(left, _CHUNK))
            if not chunk:
                raise self._truncated()
            parts.append(chunk)
            left -= len(chunk)
        self.num_bytes += size
        return b"".join(parts)

    def _parse(self, block: bytes, first: bool) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as exc:
            if first:
                raise ImageError(f"{self._name}: is no tar archive ({exc})") from exc
            raise self._malformed(f"a damaged header ({exc})") from exc
        if info.size < 0:
            raise self._malformed(f"an entry of {info.size} bytes")
        # TarInfo takes v7's directories for what they are; the type of the header stays.
        info.type = block[156:157]
        return info

    def _extension(self, info: tarfile.TarInfo, block: bytes) -> Extension:
        if info.size > _MAX_EXTENSION:
            raise self._malformed(f"names and attributes of {info.size} bytes")
        padded = self._exactly(info.size + -info.size % BLOCK)
        data = padded[: info.size]
        if info.type == b"x":
            return Extension(b"x", block + padded, self._records(data))
        return Extension(info.type, block + padded, {"": data.rstrip(b"\0")})

    def _records(self, data: bytes) -> dict[str, bytes]:
        records: dict[str, bytes] = {}
        at = 0
        while at < len(data) and data[at] != 0:
            digits, space, _ = data[at : at + 20].partition(b" ")
            if not (space and digits.isdigit()):
                raise self._malformed("a damaged PAX record")
            end = at + int(digits)
            key, equals, value = data[at + len(digits) + 1 : end].partition(b"=")
            if end > len(data) or not equals or not value.endswith(b"\n"):
                raise self._malformed("a damaged PAX record")
            records[key.decode("utf-8", "surrogateescape")] = value[:-1]
            at = end
        return records

    def _global_entry(self, info: tarfile.TarInfo, block: bytes) -> TarEntry:
        extension = self._extension(info, block)
        raw = extension.raw
        if self._records(raw[BLOCK : BLOCK + info.size]).keys() & {"path", "linkpath", "size"}:
            raise self._malformed("a name or a size for all entries at once")
        return TarEntry(
            path="", link="", size=0, mode=0, uid=0, gid=0, mtime_s=0, extensions=(), header=raw
        )

    def _entry(
        self, info: tarfile.TarInfo, block: bytes, extensions: tuple[Extension, ...]
    ) -> TarEntry:
        records: dict[str, bytes] = {}
        long_names: dict[bytes, str] = {}
        for extension in extensions:
            if extension.kind == b"x":
                records.update(extension.records)
            else:
                long_names[extension.kind] = _text(extension.records[""])
        name = long_names.get(b"L", info.name)
        link = long_names.get(b"K", info.linkname)
        if "path" in records or "GNU.sparse.name" in records:
            name = _text(records.get("GNU.sparse.name", records.get("path", b"")))
        if "linkpath" in records:
            link = _text(records["linkpath"])
        if "\0" in name or "\0" in link:
            raise self._malformed("a name with a zero byte")
        header = block
        if info.type == b"S" and block[482]:  # the sparse map goes on in further blocks
            while True:
                header += self._exactly(BLOCK)
                if len(header) > _MAX_EXTENSION:
                    raise self._malformed("a sparse map without an end")
                if not header[-8]:
                    break
        is_link = info.type == b"1"
        size = self._number(records["size"]) if "size" in records else info.size
        # Links, devices and directories have no data, whatever their size says; as GNU tar has it.
        if info.type in {b"1", b"2", b"3", b"4", b"5", b"6"}:
            size = 0
        self._left, self._padding = size, -size % BLOCK
        return TarEntry(
            path=normalised(name, self._name),
            link=normalised(link, self._name) if is_link else link,
            size=size,
            mode=info.mode & 0o7777,
            uid=info.uid,
            gid=info.gid,
            mtime_s=max(0, int(info.mtime)),
            extensions=extensions,
            header=header,
        )

    def _number(self, value: bytes) -> int:
        if not value.isdigit():
            raise self._malformed(f"a size of {value[:20]!r}")
        return int(value)

    def _truncated(self) -> ImageError:
        return ImageError(
            f"{self._name}: ends in the middle, after {self.num_bytes} bytes of the archive; copy "
            "it again and compare its sha256"
        )

    def _malformed(self, what: str) -> ImageError:
        return ImageError(
            f"{self._name}: {what}, at byte {self.num_bytes} of the archive; it is damaged, or no "
            "tar archive"
        )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
