"""The paths of a base's root file system, and where an addition lands among its links."""

import posixpath
from collections.abc import Iterator
from typing import Protocol

from phyemu.errors import ImageError

__all__ = ["BaseTree"]

_MOST_LINKS = 40  # as Linux has it


class _Noted(Protocol):
    """What of an entry the tree asks for; a `TarEntry` has it."""

    @property
    def is_folder(self) -> bool: ...

    @property
    def is_symbolic_link(self) -> bool: ...

    @property
    def is_hard_link(self) -> bool: ...


class BaseTree:
    """What is at which path. It grows with the number of entries, never with their data."""

    def __init__(self, name: str) -> None:
        """Begin empty; `name` is the base's, for messages."""
        self._name = name
        self._folders: set[str] = {""}
        self._files: set[str] = set()
        self._links: dict[str, str] = {}
        self.hard_links: dict[str, str] = {}

    def note(self, entry: _Noted, path: str, link: str) -> None:
        """Take note of an entry; one that comes later replaces what was there.

        Args:
            entry: The entry.
            path: Its path in the root file system.
            link: Path in it of what a hard link repeats, target of a symbolic link.
        """
        self._links.pop(path, None)
        self._files.discard(path)
        self.hard_links.pop(path, None)
        if entry.is_folder:
            self._folders.add(path)
            return
        self._folders.discard(path)
        if entry.is_symbolic_link:
            self._links[path] = link
        else:
            self._files.add(path)
            if entry.is_hard_link:
                self.hard_links[path] = link

    def forget(self, folder: str) -> None:
        """Forget a folder (or what else is there) with all below it: the image has it anew."""
        below = f"{folder}/"
        for paths in (self._files, self._folders):
            paths -= {path for path in paths if path == folder or path.startswith(below)}
        for path in [path for path in self._links if path == folder or path.startswith(below)]:
            del self._links[path]

    def add_folder(self, path: str) -> None:
        """Take note of a folder that the image has got."""
        self._folders.add(path)

    def __contains__(self, path: str) -> bool:
        """Return whether there is something at `path`, as written (no link is followed)."""
        return path in self._folders or path in self._files or path in self._links

    def is_folder(self, path: str) -> bool:
        """Return whether `path`, links followed, is a folder."""
        return self.followed(path) in self._folders

    def is_file(self, path: str) -> bool:
        """Return whether `path`, links followed, is a file or a device."""
        return self.followed(path) in self._files

    def paths_below(self, folder: str) -> Iterator[str]:
        """Yield the paths of what is below a folder, as written."""
        start = f"{folder}/" if folder else ""
        for paths in (self._files, self._links, self._folders):
            yield from (path for path in paths if path.startswith(start))

    def followed(self, path: str) -> str:
        """Return where `path` leads when every link on the way is followed, the last one, too.

        It need not exist there.

        Raises:
            ImageError: The links lead in a circle.
        """
        pending = path.split("/")[::-1]
        at = ""
        followed = 0
        while pending:
            part = pending.pop()
            if part in {"", "."}:
                continue
            if part == "..":
                at = posixpath.dirname(at)  # `..` of the root is the root
                continue
            step = f"{at}/{part}" if at else part
            if step not in self._links:
                at = step
                continue
            followed += 1
            if followed > _MOST_LINKS:
                raise ImageError(f"{self._name}: /{path}: its symbolic links lead in a circle")
            target = self._links[step]
            if target.startswith("/"):
                at = ""
            pending.extend(target.split("/")[::-1])
        return at

    def landing(self, path: str) -> str:
        """Return where what is written to `path` lands: links are followed, but the last is not.

        Raises:
            ImageError: A folder on the way is none in the base, or the links lead in a circle.
        """
        folder, name = posixpath.split(path)
        at = self.followed(folder)
        way = ""
        for part in at.split("/") if at else []:
            way = f"{way}/{part}" if way else part
            if way in self._files:
                raise ImageError(
                    f"{self._name}: /{way} is a file, where /{path} needs a folder; take another "
                    "base"
                )
        return f"{at}/{name}" if at else name

    def missing_folders(self, path: str) -> list[str]:
        """Return the folders above `path` (which links do not touch) that are not there yet."""
        missing = []
        folder = posixpath.dirname(path)
        while folder and folder not in self._folders:
            missing.append(folder)
            folder = posixpath.dirname(folder)
        return missing[::-1]
