"""The Python that an image's environment is for, and which wheels run on it."""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.tags import Tag, compatible_tags, cpython_tags

__all__ = ["MIN_MINOR", "PythonTarget"]

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
