"""What becomes of each entry of a base, and where each addition lands."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from phyemu.errors import ImageError

from .addition import Addition
from .base_tree import BaseTree

__all__ = ["OWNED", "ImagePlan", "plan_image"]

OWNED = "opt/phyemu"
"""Nothing that a base has below it stays: it is of another phyemu."""


class _Base(Protocol):
    @property
    def path(self) -> Path:
        """Of its archive, for messages."""

    @property
    def tree(self) -> BaseTree:
        """What is at which path."""


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ImagePlan:
    """What is to be done; paths are those of the root file system.

    Attributes:
        additions: By where they land, sorted, with the folders that they need.
        owned: Where `OWNED` lies in the base.
        removed: Further paths of the base that do not stay.
        rewritten: By where they lie in the base, the files that are passed on changed, by the name
            that whoever changes them knows.
        promoted: Of a file that goes, the hard link that keeps its data.
    """

    additions: dict[str, Addition]
    owned: str
    removed: frozenset[str]
    rewritten: dict[str, str]
    promoted: dict[str, str] = field(default_factory=dict)
    hard_links: dict[str, str]

    def is_dropped(self, path: str) -> bool:
        """Return whether the base's entry at `path` does not stay."""
        # A folder is among the additions only where the base has none, or is to have another.
        gone = path in self.additions or path in self.removed
        return gone or path == self.owned or path.startswith(f"{self.owned}/")

    def link_target(self, path: str) -> str:
        """Return what a hard link to the base's `path` repeats in the image.

        Where that went, it is the first of its links that stays, and which gets the data.
        """
        path = self._source(path)
        return self.promoted.get(path, path)

    def promote(self) -> None:
        """Choose the links that get the data of files that go."""
        for name, link in self.hard_links.items():  # in the order of the archive
            target = self._source(link)
            if self.is_dropped(target) and not self.is_dropped(name):
                self.promoted.setdefault(target, name)

    def _source(self, path: str) -> str:
        # A link that goes repeats another file, which may stay.
        seen = set()
        while self.is_dropped(path) and path in self.hard_links and path not in seen:
            seen.add(path)
            path = self.hard_links[path]
        return path


def plan_image(
    base: _Base,
    additions: Iterable[Addition],
    *,
    rewritten: Iterable[str],
    removed: Iterable[str] = (),
) -> ImagePlan:
    """Return the plan for an image.

    Args:
        base: Its tree is changed: it becomes the image's.
        additions: What is added; a path may be there once.
        rewritten: Paths of files that are to be passed on changed, where the base has them.
        removed: Paths of files, as the base's tree has them, that do not stay.

    Raises:
        ImageError: Two additions land at the same place, or something in the base is in the way.
    """
    tree = base.tree
    owned = tree.landing(OWNED)
    plan = ImagePlan(
        additions={},
        owned=owned,
        removed=frozenset(removed),
        rewritten={tree.followed(path): path for path in rewritten if tree.is_file(path)},
        hard_links=dict(tree.hard_links),
    )
    tree.forget(owned)
    for addition in sorted(additions, key=lambda addition: addition.path):
        landing = _landing(base, addition)
        if landing in plan.additions:
            if addition.is_folder and plan.additions[landing].is_folder:
                continue
            raise ImageError(f"/{landing}: is added twice; leave one of them out")
        for folder in tree.missing_folders(landing):
            plan.additions[folder] = Addition(path=folder, mode=0o755, part=addition.part)
            tree.add_folder(folder)
        if addition.is_folder:
            if landing in tree and not addition.replaces:
                continue
            tree.add_folder(landing)
        plan.additions[landing] = addition
    plan.promote()
    return plan


def _landing(base: _Base, addition: Addition) -> str:
    tree = base.tree
    if addition.is_folder:
        landing = tree.followed(addition.path)
        if tree.is_file(landing):
            raise ImageError(f"{base.path}: /{addition.path} is a file, but must be a folder")
        return landing
    landing = tree.landing(addition.path)
    if landing in tree and tree.is_folder(landing):
        raise ImageError(f"{base.path}: /{addition.path} is a folder, but must be a file")
    return landing
