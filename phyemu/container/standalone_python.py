"""A relocatable CPython for a base whose own is too old, as python-build-standalone packs it.

The `install_only` archives have one folder, `python/`, with `bin/python3.N` in it; it runs from
wherever it lies.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from phyemu.errors import ImageError
from phyemu.progress import ProgressCallback, no_progress

from .archive_file import ArchiveFile
from .elf_machine import X86_64, elf_machine
from .python_target import MIN_MINOR
from .tar_reader import TarReader

__all__ = ["StandalonePython", "read_standalone_python"]


_TOP = "python"
_PROGRAM = re.compile(r"python/bin/python3\.([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class StandalonePython:
    """A Python that an image brings.

    Attributes:
        path: The archive.
        sha256: Of the archive.
        minor: 12 for Python 3.12.
    """

    path: Path
    sha256: str
    minor: int

    @property
    def program(self) -> str:
        """Absolute path in the image."""
        return f"/opt/phyemu/python/bin/python3.{self.minor}"


def read_standalone_python(
    path: Path, *, progress: ProgressCallback = no_progress
) -> StandalonePython:
    """Return what an archive of a relocatable Python holds; it is read to its end.

    Args:
        path: `cpython-3.N...-x86_64-unknown-linux-gnu-install_only.tar.gz`.
        progress: Told of the megabytes read.

    Raises:
        ImageError: It is damaged, holds something else, or a Python that is too old.
    """
    minors = []
    with ArchiveFile(path, stage="python", progress=progress) as archive:
        reader = TarReader(archive, name=str(path))
        for entry in reader:
            if entry.is_global or not entry.path:
                continue
            if entry.path != _TOP and not entry.path.startswith(f"{_TOP}/"):
                raise ImageError(
                    f"{path}: has {entry.path.split('/')[0]!r} at its top, where an install_only "
                    "archive of python-build-standalone has python/ alone"
                )
            if not (entry.is_file or entry.is_folder or entry.is_symbolic_link):
                if not entry.is_hard_link:
                    raise ImageError(f"{path}: {entry.path} is a {entry.kind}; no Python has one")
            match = _PROGRAM.fullmatch(entry.path)
            if match and entry.is_file:
                if elf_machine(next(reader.data(), b"")) != X86_64:
                    raise ImageError(f"{path}: {entry.path} is no program for x86-64 Linux")
                minors.append(int(match[1]))
        sha256 = archive.sha256
    if len(minors) != 1 or minors[0] < MIN_MINOR:
        found = ", ".join(f"Python 3.{minor}" for minor in minors) or "no python/bin/python3.N"
        raise ImageError(
            f"{path}: has {found}; needed is one Python from 3.{MIN_MINOR} on "
            "(python-build-standalone, x86_64-unknown-linux-gnu, install_only)"
        )
    return StandalonePython(path=path, sha256=sha256, minor=minors[0])
