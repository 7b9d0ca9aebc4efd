"""The running environment as an image's: phyemu and all it needs, as pip installed it."""

import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.utils import canonicalize_name

from phyemu.errors import ImageError

from .addition import Addition, FileContent
from .own_distribution import own_distribution
from .python_target import PythonTarget
from .requirement_closure import Candidate, requirement_closure
from .vendored import LIB, VendoredDistribution, belongs_in_lib, refuse_misfits, wheel_tags

__all__ = ["ROOTS", "installed_environment", "wheels_remedy"]

ROOTS = ("phyemu", "phyemu[live]")
"""What an image needs, and what it gets as well where it is there."""


def wheels_remedy(minor: int, glibc: tuple[int, int]) -> str:
    """Return how to bring wheels for a base, as words for messages."""
    return (
        f"bring wheels for Python 3.{minor} and glibc {glibc[0]}.{glibc[1]}: pip download, as "
        "docs/colosseum.md says, then --wheels DIR"
    )


def installed_environment(target: PythonTarget) -> tuple[VendoredDistribution, ...]:
    """Return phyemu and all it needs from this environment, sorted by name.

    Raises:
        ImageError: This Python is another one than the image's, something is not installed from a
            wheel, or a compiled part needs a newer C library.
    """
    remedy = wheels_remedy(target.minor, target.glibc)
    if sys.version_info[:2] != (3, target.minor):
        raise ImageError(
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}, the image has "
            f"3.{target.minor}; {remedy}"
        )
    found = requirement_closure(
        ROOTS if _candidate("pyzmq") else ROOTS[:1],
        _candidate,
        environment=target.marker_environment,
        remedy="install phyemu whole here (pip install phyemu), or " + remedy,
    )
    distributions = tuple(
        own_distribution() if name == "phyemu" else _vendored(name) for name in found
    )
    refuse_misfits(distributions, target, remedy=remedy)
    return distributions


def _candidate(name: str) -> Candidate | None:
    try:
        dist = distribution(name)
    except PackageNotFoundError:
        return None
    return Candidate(name=dist.name, version=dist.version, requires=tuple(dist.requires or ()))


def _vendored(name: str) -> VendoredDistribution:
    dist = distribution(name)
    wheel = dist.read_text("WHEEL")
    if wheel is None or dist.read_text("RECORD") is None:
        raise ImageError(
            f"{dist.name}: was not installed from a wheel, so its files are not known; install "
            f"phyemu with pip into a virtual environment of its own"
        )
    part = f"{canonicalize_name(dist.name)} {dist.version}"
    return VendoredDistribution(
        name=dist.name,
        version=dist.version,
        tags=wheel_tags(wheel, dist.name),
        files=tuple(_files(dist, part)),
    )


def _files(dist: Distribution, part: str) -> list[Addition]:
    additions = []
    for file in sorted(dist.files or (), key=str):
        name = file.as_posix()
        if not belongs_in_lib(name):
            continue
        path = Path(str(file.locate()))
        if not path.is_file():
            raise ImageError(f"{path}: {dist.name} lists it, but it is gone; install it anew")
        executable = path.stat().st_mode & 0o100
        additions.append(
            Addition(
                path=f"{LIB}/{name}",
                content=FileContent(path),
                mode=0o755 if executable else 0o644,
                part=part,
            )
        )
    return additions
