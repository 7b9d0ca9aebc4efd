"""One entry of a tar archive: what its headers say, and the header blocks as they are.

Entries are passed on as bytes, so that owners, modes, times, extended attributes (PAX records) and
sparse maps stay as they are, whichever program wrote them. Only what must change is changed: names
(a bare root file system moves below `rootfs/`) and sizes (files that are rewritten).
"""

import posixpath
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from phyemu.errors import ImageError

__all__ = ["Extension", "TarEntry", "normalised"]

BLOCK = tarfile.BLOCKSIZE

_NAME, _SIZE, _CHECKSUM, _TYPE = slice(0, 100), slice(124, 136), slice(148, 156), slice(156, 157)
_UID, _GID, _OWNER_NAMES = slice(108, 116), slice(116, 124), slice(265, 329)
_LINK, _MAGIC, _PREFIX = slice(157, 257), slice(257, 265), slice(345, 500)
_POSIX_MAGIC = b"ustar\x00"

_FILES = frozenset({b"0", b"\0", b"7", b"S"})  # "7": contiguous; "S": sparse, as GNU tar has it
_NAMES_OF_TYPES = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"5": "directory",
    b"6": "FIFO",
    b"g": "global header",
}


@dataclass(frozen=True, slots=True)
class Extension:
    """A header before the header: PAX records (`x`, `g`), or a long name of GNU tar (`L`, `K`).

    Attributes:
        kind: Its type flag.
        raw: Its blocks, padding included.
        records: What PAX records say, in order.
    """

    kind: bytes
    raw: bytes
    records: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TarEntry:
    """An entry; its data follow in the archive.

    Attributes:
        path: Name, normalised: no `./` before it, no slash behind it; empty: the archive's root.
        link: Of a hard link, the normalised name of the entry it repeats; of a symbolic link, its
            target as it is.
        size: Bytes of data in the archive (of a sparse file, fewer than the file has).
        mode: Permission bits.
        uid: Owner.
        gid: Group.
        mtime_s: Time [s since 1970].
        extensions: Headers before the header.
        header: The header's block, and the ones that continue a sparse map.
    """

    path: str
    link: str
    size: int
    mode: int
    uid: int
    gid: int
    mtime_s: int
    extensions: tuple[Extension, ...]
    header: bytes

    @property
    def type_flag(self) -> bytes:
        """The type flag of the header."""
        return self.header[_TYPE]

    @property
    def is_file(self) -> bool:
        """Whether this is a regular file with its own data, sparse or not."""
        return self.type_flag in _FILES and not self.is_folder

    @property
    def is_sparse(self) -> bool:
        """Whether the data are a sparse file's, with a map before or among them."""
        records = self._records()
        return self.type_flag == b"S" or any(key.startswith("GNU.sparse.") for key in records)

    @property
    def is_folder(self) -> bool:
        """Whether this is a directory."""
        # Before POSIX, a directory was a file whose name ends in a slash.
        old = self.type_flag == b"\0" and self.header[_NAME].rstrip(b"\0").endswith(b"/")
        return self.type_flag == b"5" or old

    @property
    def is_hard_link(self) -> bool:
        """Whether this is another name of an entry before it."""
        return self.type_flag == b"1"

    @property
    def is_symbolic_link(self) -> bool:
        """Whether this is a symbolic link."""
        return self.type_flag == b"2"

    @property
    def is_global(self) -> bool:
        """Whether these are records for all entries that follow, and no entry itself."""
        return self.type_flag == b"g"

    @property
    def kind(self) -> str:
        """What it is, in words."""
        return _NAMES_OF_TYPES.get(self.type_flag, "file")

    @property
    def blocks(self) -> bytes:
        """All header blocks, as they go into an archive."""
        return b"".join(extension.raw for extension in self.extensions) + self.header

    def named(self, path: str, *, link: str | None = None) -> "TarEntry":
        """Return the entry under another name, and a hard link to another one (`link`)."""
        name = path + "/" if self.is_folder else path
        texts = {"path": name} if link is None else {"path": name, "linkpath": link}
        changed = self._with_texts(texts)
        return replace(changed, path=path, link=self.link if link is None else link)

    def resized(self, size: int) -> "TarEntry":
        """Return the entry of a regular file for other data of `size` bytes."""
        header = bytearray(self.header)
        header[_SIZE] = b"%011o\0" % size
        changed = replace(self, header=_checked(header), size=size)
        return changed._with_records({"size": None})

    def owned_by_root(self) -> "TarEntry":
        """Return the entry with root as its owner."""
        header = bytearray(self.header)
        header[_UID] = header[_GID] = b"%07o\0" % 0
        header[_OWNER_NAMES] = 2 * b"root".ljust(32, b"\0")
        changed = replace(self, header=_checked(header), uid=0, gid=0)
        return changed._with_records(dict.fromkeys(("uid", "gid", "uname", "gname")))

    def _records(self) -> dict[str, bytes]:
        merged: dict[str, bytes] = {}
        for extension in self.extensions:
            if extension.kind == b"x":
                merged.update(extension.records)
        return merged

    def _with_texts(self, texts: Mapping[str, str]) -> "TarEntry":
        """Return the entry with `path` and `linkpath` as given, wherever they have to stand."""
        header = bytearray(self.header)
        records = self._records()
        changes: dict[str, bytes | None] = {}
        for key, text in texts.items():
            value = text.encode("utf-8", "surrogateescape")
            where = _NAME if key == "path" else _LINK
            header[where] = value[:100].ljust(100, b"\0")
            changes[key] = value if len(value) > 100 else None
            if key == "path" and "GNU.sparse.name" in records:
                changes["GNU.sparse.name"] = value
        if "path" in texts and header[_MAGIC].startswith(_POSIX_MAGIC):
            header[_PREFIX] = bytes(155)
        # GNU tar's long names are of this entry alone, and are replaced by PAX records.
        long_names = {"path": b"L", "linkpath": b"K"}
        gone = {long_names[key] for key in texts}
        kept = tuple(item for item in self.extensions if item.kind not in gone)
        return replace(self, header=_checked(header), extensions=kept)._with_records(changes)

    def _with_records(self, changes: Mapping[str, bytes | None]) -> "TarEntry":
        """Return the entry with PAX records set, or left out where None; others stay as bytes."""
        records = self._records()
        wanted = {key: value for key, value in changes.items() if value is not None}
        if not wanted and not (records.keys() & changes.keys()):
            return self
        records = {key: value for key, value in records.items() if key not in changes} | wanted
        kept = tuple(item for item in self.extensions if item.kind != b"x")
        if not records:
            return replace(self, extensions=kept)
        return replace(self, extensions=(*kept, _pax_extension(records)))


def normalised(name: str, where: str) -> str:
    """Return a member's name without `./` and slashes behind it; empty for the root itself.

    Raises:
        ImageError: It is absolute, or has a `..`: unpacking it would write elsewhere.
    """
    if name.startswith("/") or ".." in name.split("/"):
        raise ImageError(
            f"{where}: an entry is called {name[:80]!r}, which leads out of the archive; no image "
            "is built from it"
        )
    path = posixpath.normpath(name) if name else "."
    return "" if path == "." else path


def _checked(header: bytearray) -> bytes:
    """Return the header with the check sum of its first block."""
    header[_CHECKSUM] = b" " * 8
    header[_CHECKSUM] = b"%06o\0 " % sum(header[:BLOCK])
    return bytes(header)


def _pax_extension(records: Mapping[str, bytes]) -> Extension:
    data = b"".join(_pax_record(key.encode(), value) for key, value in records.items())
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    block = info.tobuf(tarfile.USTAR_FORMAT)
    return Extension(b"x", block + data + bytes(-len(data) % BLOCK), dict(records))


def _pax_record(key: bytes, value: bytes) -> bytes:
    # The length counts its own digits.
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body
