"""The Python that an image's environment is for, and which wheels run on it."""

import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags

from phyemu.errors import ImageError

__all__ = ["MIN_MINOR", "PythonTarget", "choose_python", "known_glibc"]

MIN_MINOR = 11  # phyemu's requires-python

_OLDEST_GLIBC = 5  # manylinux1 is for 2.5
_LEGACY = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonTarget:
    """CPython 3 on x86-64 Linux with GNU's C library.

    Attributes:
        minor: 11 for Python 3.11.
        program: Absolute path in the image.
        glibc: Version of the C library.
    """

    minor: int
    program: str
    glibc: tuple[int, int]

    def supports(self, tags: Iterable[Tag]) -> bool:
        """Return whether a wheel with these tags runs here."""
        return not _tags(self.minor, self.glibc).isdisjoint(tags)

    @property
    def marker_environment(self) -> dict[str, str]:
        """What the markers of requirements are evaluated with (PEP 508)."""
        version = f"3.{self.minor}"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{version}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
        }

    def __str__(self) -> str:
        """Return what it is, for messages."""
        return f"Python 3.{self.minor} with glibc {self.glibc[0]}.{self.glibc[1]}"


def known_glibc(base: Path, glibc: tuple[int, int] | None) -> tuple[int, int]:
    """Return the version of a base's C library.

    Raises:
        ImageError: It is none of GNU.
    """
    if glibc is None:
        raise ImageError(
            f"{base}: has no GNU C library, for which the compiled parts are built; take a base of "
            "Debian or Ubuntu"
        )
    return glibc


def choose_python(
    base: Path,
    pythons: Mapping[int, str],
    glibc: tuple[int, int] | None,
    *,
    has_wheels: bool,
    place: str = "",
    remedy: str,
) -> PythonTarget:
    """Return the base's Python to use: the running one's like, with wheels the newest.

    Args:
        base: For messages.
        pythons: Path of each by its minor version.
        glibc: Version of the base's C library; None: another one, or none.
        has_wheels: The environment comes from wheels.
        place: Where the base's Pythons were looked for, for messages.
        remedy: What to do where none fits.

    Raises:
        ImageError: None fits, or there is no GNU C library.
    """
    glibc = known_glibc(base, glibc)
    fitting = {minor: path for minor, path in pythons.items() if minor >= MIN_MINOR}
    if not fitting:
        found = ", ".join(f"3.{minor}" for minor in sorted(pythons)) or "none"
        raise ImageError(
            f"{base}: has no Python from 3.{MIN_MINOR} on{place} (found: {found}); {remedy}"
        )
    running = sys.version_info[1]
    minor = running if running in fitting and not has_wheels else max(fitting)
    return PythonTarget(minor=minor, program=f"/{fitting[minor]}", glibc=glibc)


@functools.cache
def _tags(minor: int, glibc: tuple[int, int]) -> frozenset[Tag]:
    platforms = list(_platforms(glibc))
    python = (3, minor)
    return frozenset(cpython_tags(python, platforms=platforms)) | frozenset(
        compatible_tags(python, interpreter=f"cp3{minor}", platforms=platforms)
    )


def _platforms(glibc: tuple[int, int]) -> Iterator[str]:
    # There has been no glibc 3; the PEP (600) only knows 2.
    for minor in range(glibc[1], _OLDEST_GLIBC - 1, -1):
        yield f"manylinux_2_{minor}_x86_64"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_x86_64"
    yield "linux_x86_64"
