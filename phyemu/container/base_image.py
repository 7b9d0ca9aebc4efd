"""A base image: read once to its end before anything is written, and refused unless it is one."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from phyemu.errors import ImageError
from phyemu.progress import ProgressCallback, no_progress

from .archive_file import ArchiveFile
from .base_tree import BaseTree
from .lxd_metadata import parse_metadata
from .root_facts import RootFacts, find_pythons
from .tar_entry import TarEntry
from .tar_reader import TarReader

__all__ = ["BaseImage", "BaseLayout", "survey_base"]

METADATA = "metadata.yaml"
TEMPLATES = "templates"
ROOTFS = "rootfs"

_MAX_METADATA = 1 << 20
_SSHD = ("usr/sbin/sshd", "sbin/sshd", "usr/local/sbin/sshd")


class BaseLayout(StrEnum):
    """What an archive holds."""

    UNIFIED = "LXD unified image"
    ROOT = "root file system"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class BaseImage:
    """What is known of a base.

    Attributes:
        path: The archive.
        sha256: Of the archive.
        size: Of the archive [bytes].
        content_size: Of its entries with their headers, not compressed [bytes].
        num_entries: How many there are.
        layout: Whether the root file system is in `rootfs/` beside `metadata.yaml`, or is all.
        metadata: Of LXD; empty where the archive is a root file system alone.
        newest_mtime_s: The latest time of any entry [s since 1970].
        glibc: Version of the C library; None: another one, or none.
        os_release: Of os-release(5): `ID`, `VERSION_CODENAME`, ...
        pythons: Path of each Python 3 by its minor version: `{11: "usr/bin/python3.11"}`.
        sshd_settings: Files that tell sshd something, by path.
        tree: What is at which path.
        has_root_entry: Whether the root itself is an entry.
        left_out: Top-level names of the archive that belong to no image, and are left out.
    """

    path: Path
    sha256: str
    size: int
    content_size: int
    num_entries: int
    layout: BaseLayout
    metadata: Mapping[str, Any]
    newest_mtime_s: int
    glibc: tuple[int, int] | None
    os_release: Mapping[str, str]
    pythons: Mapping[int, str]
    sshd_settings: Mapping[str, bytes]
    tree: BaseTree
    has_root_entry: bool
    left_out: tuple[str, ...]

    @property
    def has_systemd(self) -> bool:
        """Whether systemd is there to start what is enabled."""
        return any(self.tree.is_file(f"{place}/systemd/systemd") for place in ("usr/lib", "lib"))

    def root_path(self, path: str) -> str | None:
        """Return the path in the root file system of an entry's name; None: it is not in it."""
        if self.layout is BaseLayout.ROOT:
            return path
        if path == ROOTFS:
            return ""
        return path.removeprefix(f"{ROOTFS}/") if path.startswith(f"{ROOTFS}/") else None


def survey_base(path: Path, *, progress: ProgressCallback = no_progress) -> BaseImage:
    """Return what is in a base image, which is read to its end.

    Args:
        path: A .tar.gz, .tar.xz or .tar: an LXD unified image, or a root file system.
        progress: Told of the megabytes read.

    Raises:
        ImageError: It is damaged, cut short, no image, or for another machine than x86-64; or it
            has no sshd, without which nobody gets into a node.
    """
    with ArchiveFile(path, stage="survey", progress=progress) as archive:
        survey = _Survey(path)
        reader = TarReader(archive, name=str(path))
        for entry in reader:
            survey.take(entry, reader)
        return survey.finish(archive, reader.num_bytes)


class _Survey:
    """Both layouts are followed until the end of the archive tells which one it is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata: bytes | None = None
        self._top: set[str] = set()
        self._entries_at_top: set[str] = set()
        self._num_entries = 0
        self._newest = 0
        self._facts = RootFacts()
        # Below rootfs/, and below the archive's root.
        self._trees = {True: BaseTree(str(path)), False: BaseTree(str(path))}

    def take(self, entry: TarEntry, reader: TarReader) -> None:
        if entry.is_global:
            return
        self._num_entries += 1
        self._newest = max(self._newest, entry.mtime_s)
        self._top.add(entry.path.split("/", 1)[0])
        if "/" not in entry.path:
            self._entries_at_top.add(entry.path)
        if entry.path == METADATA and entry.is_file:
            self._metadata = reader.read_data(limit=_MAX_METADATA)
            return
        below = entry.path == ROOTFS or entry.path.startswith(f"{ROOTFS}/")
        path, link = entry.path, entry.link
        if below:
            path = path.removeprefix(ROOTFS).removeprefix("/")
            link = link.removeprefix(f"{ROOTFS}/") if entry.is_hard_link else link
        self._trees[below].note(entry, path, link)
        self._facts.note(entry, path, reader)

    def finish(self, archive: ArchiveFile, content_size: int) -> BaseImage:
        unified = ROOTFS in self._top
        tree = self._trees[unified]
        self._refuse_others(unified, tree)
        metadata = {} if self._metadata is None else parse_metadata(self._metadata, self._path)
        known = {METADATA, ROOTFS, TEMPLATES, ""}
        return BaseImage(
            path=self._path,
            sha256=archive.sha256,
            size=archive.size,
            content_size=content_size,
            num_entries=self._num_entries,
            layout=BaseLayout.UNIFIED if unified else BaseLayout.ROOT,
            metadata=metadata,
            newest_mtime_s=self._newest,
            glibc=self._facts.glibc,
            os_release=self._facts.os_release,
            pythons=find_pythons(tree),
            sshd_settings=self._facts.sshd_settings,
            tree=tree,
            has_root_entry=(ROOTFS if unified else "") in self._entries_at_top,
            left_out=tuple(sorted(self._top - known)) if unified else (),
        )

    def _refuse_others(self, unified: bool, tree: BaseTree) -> None:
        name = self._path
        if "rootfs.img" in self._top:
            raise ImageError(
                f"{name}: the image of a virtual machine (rootfs.img); SRNs run containers"
            )
        if not unified and {"manifest.json", "oci-layout"} & self._top:
            raise ImageError(
                f"{name}: an image of Docker; SRNs run LXD images (--kind gpu is for Docker's)"
            )
        if unified and self._metadata is None:
            raise ImageError(
                f"{name}: rootfs/ without metadata.yaml is no LXD image; pack the content of "
                "rootfs/ by itself (tar --numeric-owner -C rootfs -czf base.tar.gz .)"
            )
        if not unified and self._metadata is not None:
            raise ImageError(
                f"{name}: metadata.yaml without rootfs/ is one half of a split image; take the "
                "unified one"
            )
        if not (tree.is_folder("etc") and (tree.is_folder("bin") or tree.is_folder("usr/bin"))):
            raise ImageError(
                f"{name}: has no root file system (/etc, and /bin or /usr/bin) at its top or in "
                f"rootfs/; it has {', '.join(sorted(self._top)[:5]) or 'nothing'}"
            )
        self._facts.refuse_other_machines(name)
        if not any(tree.is_file(place) for place in _SSHD):
            raise ImageError(
                f"{name}: has no sshd (/usr/sbin/sshd), and Colosseum's nodes must run one; "
                "install openssh-server in the base"
            )
