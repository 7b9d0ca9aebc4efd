"""A distribution as it lies in an image: the files that Python imports, and its metadata."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.tags import Tag, parse_tag

from phyemu.errors import ImageError

from .addition import Addition
from .python_target import PythonTarget

__all__ = [
    "LIB",
    "VendoredDistribution",
    "belongs_in_lib",
    "files_once",
    "refuse_misfits",
    "wheel_tags",
]

LIB = "opt/phyemu/lib"

_INSTALLERS_OWN = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws"}
_GLIBC_SYMBOL = re.compile(rb"GLIBC_2\.([0-9]+)")


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class VendoredDistribution:
    """A distribution for an image.

    Attributes:
        name: As it calls itself.
        version: Of it.
        tags: What it runs on.
        files: Below `LIB`.
    """

    name: str
    version: str
    tags: frozenset[Tag]
    files: tuple[Addition, ...]


def belongs_in_lib(path: str) -> bool:
    """Return whether a file of a distribution, by its path in site-packages, is vendored.

    Scripts and data outside of site-packages are not (scripts begin with the path of a Python of
    this machine), nor is what an installer or an interpreter has written.
    """
    parts = path.split("/")
    if parts[0] in {"..", ""} or "__pycache__" in parts or path.endswith((".pyc", ".pth")):
        return False
    return not (parts[0].endswith(".dist-info") and parts[-1] in _INSTALLERS_OWN)


def files_once(distributions: Iterable[VendoredDistribution]) -> list[Addition]:
    """Return the files of all, each path once.

    Two distributions may bring the same file, such as the `__init__.py` of a shared namespace; pip
    keeps one of them, too.
    """
    files: dict[str, Addition] = {}
    for distribution in distributions:
        for file in distribution.files:
            files.setdefault(file.path, file)
    return list(files.values())


def wheel_tags(content: str, name: str) -> frozenset[Tag]:
    """Return the tags that a distribution's `WHEEL` file states.

    Raises:
        ImageError: There is none.
    """
    lines = (line.partition(":") for line in content.splitlines())
    tags = [tag for key, _, value in lines if key == "Tag" for tag in parse_tag(value.strip())]
    if not tags:
        raise ImageError(f"{name}: its WHEEL file states no tag; install it anew from a wheel")
    return frozenset(tags)


def refuse_misfits(
    distributions: Iterable[VendoredDistribution], target: PythonTarget, *, remedy: str
) -> None:
    """Raise ImageError unless all of them run on the image's Python and C library.

    Wheels for no particular C library (`linux_x86_64`) are searched for the symbols they need.
    """
    misfits = []
    for distribution in distributions:
        if not target.supports(distribution.tags):
            shown = sorted(map(str, distribution.tags))
            misfits.append(f"{distribution.name} {distribution.version} ({', '.join(shown[:2])})")
        elif all(tag.platform == "linux_x86_64" for tag in distribution.tags):
            needed = max(map(_needed_glibc, distribution.files), default=0)
            if needed > target.glibc[1]:
                misfits.append(
                    f"{distribution.name} {distribution.version} (needs glibc 2.{needed})"
                )
    if misfits:
        raise ImageError(f"not for {target}: {', '.join(misfits)}; {remedy}")


def _needed_glibc(file: Addition) -> int:
    name = posixpath.basename(file.path)
    if file.content is None or ".so" not in name:
        return 0
    newest, rest = 0, b""
    with file.content.open() as stream:
        while chunk := stream.read(1 << 20):
            for match in _GLIBC_SYMBOL.finditer(rest + chunk):
                newest = max(newest, int(match[1]))
            rest = chunk[-16:]
    return newest
