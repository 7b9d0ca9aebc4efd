"""A folder of wheels as an image's environment, for another Python than the one that runs."""

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import BinaryIO, cast

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from phyemu.errors import ImageError

from .addition import Addition
from .own_distribution import own_distribution
from .python_target import PythonTarget
from .requirement_closure import Candidate, requirement_closure
from .vendored import LIB, VendoredDistribution, belongs_in_lib, refuse_misfits

__all__ = ["wheelhouse_environment"]

_MAX_METADATA = 4 << 20


@dataclass(frozen=True, slots=True)
class _WheelMember:
    """A file in a wheel, as content of an addition."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.info.file_size

    def open(self) -> BinaryIO:
        """Return the file's bytes; a damaged one raises OSError at its end."""
        return cast("BinaryIO", _Checked(self.archive.open(self.info), self.archive.filename))


class _Checked:
    """Turns what zipfile raises about damaged data into OSError, which the writer expects."""

    def __init__(self, file: "zipfile.ZipExtFile | object", name: str | None) -> None:
        self._file = cast("BinaryIO", file)
        self._name = name

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        try:
            return self._file.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError) as exc:
            raise OSError(5, f"damaged: {exc}", self._name) from exc

    def __enter__(self) -> "_Checked":
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class _Wheel:
    path: Path
    name: str
    version: Version
    tags: frozenset[Tag]


def wheelhouse_environment(
    folder: Path, target: PythonTarget, stack: ExitStack
) -> tuple[VendoredDistribution, ...]:
    """Return phyemu and all it needs from a folder of wheels, sorted by name.

    phyemu itself is the one that is running, where the folder has none.

    Args:
        folder: Of `*.whl` files; those for other machines or Pythons are passed over.
        target: The image's Python.
        stack: Closes the wheels, once the image is written.

    Raises:
        ImageError: A wheel is missing, damaged, or for another Python or C library.
    """
    wheels = _best_wheels(folder, target)
    own = own_distribution() if "phyemu" not in wheels else None
    opened: dict[str, zipfile.ZipFile] = {}

    def find(name: str) -> Candidate | None:
        if own is not None and name == "phyemu":
            return _own_candidate()
        if name not in wheels:
            return None
        if name not in opened:
            opened[name] = stack.enter_context(_open(wheels[name].path))
        return _candidate(opened[name], wheels[name])

    found = requirement_closure(
        ("phyemu", "phyemu[live]") if "pyzmq" in wheels else ("phyemu",),
        find,
        environment=target.marker_environment,
        remedy=f"{folder} has no wheels of these for {target}: pip download them for it",
    )
    distributions = tuple(
        own
        if own is not None and name == "phyemu"
        else VendoredDistribution(
            name=candidate.name,
            version=candidate.version,
            tags=wheels[name].tags,
            files=tuple(_files(opened[name], f"{name} {candidate.version}")),
        )
        for name, candidate in found.items()
    )
    refuse_misfits(distributions, target, remedy="pip download wheels for it")
    return distributions


def _best_wheels(folder: Path, target: PythonTarget) -> dict[str, _Wheel]:
    best: dict[str, _Wheel] = {}
    paths = sorted(folder.glob("*.whl"))
    if not paths:
        raise ImageError(f"{folder}: holds no wheels (*.whl); fill it with pip download")
    for path in paths:
        try:
            name, version, _, tags = parse_wheel_filename(path.name)
        except InvalidWheelFilename as exc:
            raise ImageError(f"{path}: is not called as a wheel is ({exc})") from exc
        wheel = _Wheel(path, name, version, frozenset(tags))
        known = best.get(name)
        if target.supports(tags) and (known is None or known.version < version):
            best[name] = wheel
    return best


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as exc:
        raise ImageError(f"{path}: is no wheel ({exc}); download it again") from exc


def _own_candidate() -> Candidate:
    from importlib.metadata import distribution

    dist = distribution("phyemu")
    return Candidate(name="phyemu", version=dist.version, requires=tuple(dist.requires or ()))


def _candidate(archive: zipfile.ZipFile, wheel: _Wheel) -> Candidate:
    names = [
        info
        for info in archive.infolist()
        if info.filename.count("/") == 1 and info.filename.endswith(".dist-info/METADATA")
    ]
    if len(names) != 1 or names[0].file_size > _MAX_METADATA:
        raise ImageError(f"{wheel.path}: is no wheel (it has {len(names)} METADATA files)")
    try:
        text = archive.read(names[0]).decode("utf-8", "replace")
    except (OSError, zipfile.BadZipFile, zlib.error) as exc:
        raise ImageError(f"{wheel.path}: is damaged ({exc}); download it again") from exc
    headers = HeaderParser().parsestr(text)
    return Candidate(
        name=str(headers.get("Name", wheel.name)),
        version=str(wheel.version),
        requires=tuple(headers.get_all("Requires-Dist") or ()),
    )


def _files(archive: zipfile.ZipFile, part: str) -> Iterator[Addition]:
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        name = info.filename
        top, _, rest = name.partition("/")
        if info.is_dir():
            continue
        if top.endswith(".data"):  # what pip would move: libraries stay, scripts and headers go
            scheme, _, name = rest.partition("/")
            if scheme not in {"purelib", "platlib"}:
                continue
        if posixpath.normpath(name) != name or name.startswith(("/", "..")):
            raise ImageError(f"{archive.filename}: has a file called {name[:80]!r}; no wheel does")
        if belongs_in_lib(name):
            executable = info.external_attr >> 16 & 0o100
            yield Addition(
                path=f"{LIB}/{name}",
                content=_WheelMember(archive, info),
                mode=0o755 if executable else 0o644,
                part=part,
            )
