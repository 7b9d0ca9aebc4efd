"""What some files of a root file system tell: the machine, the C library, the distribution."""

import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from phyemu.errors import ImageError

from .base_sshd import is_sshd_settings
from .base_tree import BaseTree
from .elf_machine import X86_64, elf_machine
from .tar_entry import TarEntry
from .tar_reader import TarReader

__all__ = ["RootFacts", "find_pythons"]

_MAX_OS_RELEASE = 1 << 20
_MAX_SSHD_SETTINGS = 4 << 20
_MAX_PROGRAM = 32 << 20
_LIBC = re.compile(r"(usr/)?lib(64)?/(x86_64-linux-gnu/)?(libc\.so\.6|libc-2\.[0-9]+\.so)")
_GLIBC = re.compile(rb"GNU C Library [^\n]* release version ([0-9]+)\.([0-9]+)")
_PYTHON = re.compile(r"python3\.([0-9]+)")
_ELF_CANDIDATES = {
    f"{folder}/{name}" for folder in ("bin", "usr/bin") for name in ("bash", "dash", "busybox")
}
_OS_RELEASE = ("usr/lib/os-release", "etc/os-release")


class RootFacts:
    """What is gathered while the entries of a root file system pass.

    Attributes:
        glibc: Version of the C library; None: another one, or none.
        machines: Numbers of the machines that programs are for, as ELF has them.
        os_release: Of os-release(5): `ID`, `VERSION_CODENAME`, ...
        sshd_settings: Files that tell sshd something, by path.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.glibc: tuple[int, int] | None = None
        self.machines: set[int] = set()
        self.os_release: dict[str, str] = {}
        self.sshd_settings: dict[str, bytes] = {}

    def note(self, entry: TarEntry, path: str, reader: TarReader) -> None:
        """Read an entry's data where they tell something.

        Args:
            entry: The entry that came last.
            path: Its path in the root file system.
            reader: The archive.
        """
        if entry.is_file and path in _OS_RELEASE:
            self.os_release = _settings(reader.read_data(limit=_MAX_OS_RELEASE))
        elif entry.is_file and is_sshd_settings(path):
            self.sshd_settings[path] = reader.read_data(limit=_MAX_SSHD_SETTINGS)
        elif entry.is_file and (_LIBC.fullmatch(path) or path in _ELF_CANDIDATES):
            self._inspect(path, reader.read_data(limit=_MAX_PROGRAM))

    def update(self, upper: "RootFacts") -> None:
        """Take over what a later layer tells."""
        self.glibc = upper.glibc or self.glibc
        self.machines |= upper.machines
        self.os_release = upper.os_release or self.os_release
        self.sshd_settings |= upper.sshd_settings

    def refuse_other_machines(self, name: Path) -> None:
        """Raise ImageError unless the programs are for x86-64."""
        others = self.machines - {X86_64}
        if others or not self.machines:
            found = f"ELF machine {min(others)}" if others else "no program that tells"
            raise ImageError(
                f"{name}: is not for x86-64, which Colosseum's nodes are ({found}); take a base "
                "for amd64"
            )

    def _inspect(self, path: str, data: bytes) -> None:
        if (machine := elf_machine(data)) is not None:
            self.machines.add(machine)
        if _LIBC.fullmatch(path) and (found := _GLIBC.search(data)):
            self.glibc = (int(found[1]), int(found[2]))


def _settings(content: bytes) -> dict[str, str]:
    """Return the variables of os-release(5)."""
    lines = (line.partition("=") for line in content.decode("utf-8", "replace").splitlines())
    return {key: value.strip("\"'") for key, equals, value in lines if equals}


def find_pythons(
    tree: BaseTree, folders: Sequence[str] = ("usr/local/bin", "usr/bin", "bin")
) -> dict[int, str]:
    """Return the path of each Python 3 by its minor version: `{11: "usr/bin/python3.11"}`.

    Args:
        tree: What is at which path.
        folders: Where to look, as in $PATH: a later one of the same version does not count.
    """
    found: dict[int, str] = {}
    for folder in folders:
        landing = tree.followed(folder)
        for path in sorted(tree.paths_below(landing)):
            name = posixpath.basename(path)
            match = _PYTHON.fullmatch(name)
            if match and posixpath.dirname(path) == landing and tree.is_file(path):
                found.setdefault(int(match[1]), f"{folder}/{name}")
    return found
