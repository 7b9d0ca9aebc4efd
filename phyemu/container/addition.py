"""What is added to a base image: files, folders and symbolic links, owned by root."""

import io
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from phyemu.errors import ImageError

__all__ = ["AddedFile", "Addition", "Content", "FileContent", "TextContent", "files_below"]


class Content(Protocol):
    """The bytes of a file, wherever they are."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    def open(self) -> BinaryIO:
        """Return them from the first one on."""


@dataclass(frozen=True, slots=True)
class TextContent:
    """Bytes in memory, for what is small.

    Attributes:
        data: The bytes.
    """

    data: bytes

    @property
    def size(self) -> int:
        """Number of bytes."""
        return len(self.data)

    def open(self) -> BinaryIO:
        """Return the bytes as a stream."""
        return io.BytesIO(self.data)


@dataclass(frozen=True, slots=True)
class FileContent:
    """The bytes of a file of this machine, read when the image is written.

    Attributes:
        path: The file.
    """

    path: Path

    @property
    def size(self) -> int:
        """Number of bytes now."""
        return self.path.stat().st_size

    def open(self) -> BinaryIO:
        """Return the file, open for reading."""
        return self.path.open("rb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One path that an image gets. It replaces what the base has there.

    Exactly one of `content` and `target` is there for a file and a link; a folder has neither.

    Attributes:
        path: In the root file system, relative and normalised: `opt/phyemu/bin/python`.
        content: Of a file.
        target: Of a symbolic link.
        mode: Permission bits.
        part: What it belongs to in the size report: `node`, `content`, `numpy 2.4.6`.
        replaces: A folder is root's with these permissions even where the base has one; what is
            in it stays.
    """

    path: str
    content: Content | None = None
    target: str | None = None
    mode: int = 0o644
    part: str = "node"
    replaces: bool = False

    def __post_init__(self) -> None:
        first = self.path.split("/", 1)[0]
        if posixpath.normpath(self.path) != self.path or first in {"", ".", ".."}:
            raise ImageError(f"{self.path!r}: no path below the root of an image")
        if self.content is not None and self.target is not None:
            raise ImageError(f"{self.path}: is either a file or a link")

    @property
    def is_folder(self) -> bool:
        """Whether this is a folder; one that the base has stays as it is, unless it `replaces`."""
        return self.content is None and self.target is None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFile:
    """What the manifest says of one added path.

    Attributes:
        path: Where it landed in the root file system.
        size: Number of bytes; 0 for folders and links.
        sha256: Of the bytes, hexadecimal; empty for folders and links.
        target: Of a symbolic link, else empty.
        part: What it belongs to in the size report.
    """

    path: str
    size: int
    sha256: str
    target: str
    part: str


def files_below(folder: Path, landing: str, *, part: str) -> Iterator[Addition]:
    """Yield the files below a folder of this machine, sorted, as additions below `landing`.

    Symbolic links are followed where they stay inside of the folder.

    Raises:
        ImageError: A link leads out of the folder, or something is neither file nor folder.
    """
    root = folder.resolve()
    for path in sorted(folder.rglob("*")):
        if not path.resolve().is_relative_to(root):
            raise ImageError(f"{path}: leads out of {folder}; put a copy there")
        if path.is_dir():
            continue
        if not path.is_file():
            raise ImageError(f"{path}: is neither a file nor a folder")
        executable = path.stat().st_mode & stat.S_IXUSR
        yield Addition(
            path=f"{landing}/{path.relative_to(folder).as_posix()}",
            content=FileContent(path),
            mode=0o755 if executable else 0o644,
            part=part,
        )
