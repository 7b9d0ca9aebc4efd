"""phyemu itself as a distribution for an image, from a wheel or from a checkout."""

import importlib.util
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from importlib.resources import files
from pathlib import Path

from packaging.tags import parse_tag

from phyemu.errors import ImageError
from phyemu.library import Shelf, shipped_shelf

from .addition import Addition, TextContent, files_below
from .vendored import LIB, VendoredDistribution, belongs_in_lib

__all__ = ["own_distribution"]

_NAME = "phyemu"
_COMMANDS = "phyemu_cli"
_SHELVES: tuple[Shelf, ...] = ("captures", "channels", "colosseum", "devices")


def own_distribution() -> VendoredDistribution:
    """Return the phyemu that is running: pure Python, so for any Python that is new enough.

    Raises:
        ImageError: Its command line is not installed.
    """
    dist = distribution(_NAME)
    part = f"{_NAME} {dist.version}"
    package = Path(str(files(_NAME)))
    commands = _package_folder(_COMMANDS)
    found = [
        *files_below(package, f"{LIB}/{_NAME}", part=part),
        *files_below(commands, f"{LIB}/{_COMMANDS}", part=part),
        *_library(package, part),
        *_metadata(dist, part),
    ]
    kept = [file for file in found if belongs_in_lib(file.path.removeprefix(f"{LIB}/"))]
    return VendoredDistribution(
        name=_NAME,
        version=dist.version,
        tags=parse_tag("py3-none-any"),
        # In one order, whether the library lies in the package or beside it.
        files=tuple(sorted(kept, key=lambda file: file.path)),
    )


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise ImageError(f"{name} is not installed beside phyemu; install phyemu whole")
    return Path(places[0])


def _library(package: Path, part: str) -> Iterator[Addition]:
    # A wheel has it in the package; in a checkout it lies beside it, and lands where a wheel's is.
    for shelf in _SHELVES:
        folder = shipped_shelf(shelf)
        if not folder.is_relative_to(package):
            for file in files_below(folder, f"{LIB}/{_NAME}/_library/{shelf}", part=part):
                # What an editor or an interrupted write has left is no part of the library.
                if not file.path.endswith((".partial", "~")):
                    yield file


def _metadata(dist: Distribution, part: str) -> Iterator[Addition]:
    # A checkout may have been built in place: then its metadata are an egg's.
    texts = {
        "METADATA": dist.read_text("METADATA") or dist.read_text("PKG-INFO"),
        "entry_points.txt": dist.read_text("entry_points.txt"),
    }
    folder = f"{LIB}/{_NAME}-{dist.version}.dist-info"
    for name, text in texts.items():
        if text:
            yield Addition(path=f"{folder}/{name}", content=TextContent(text.encode()), part=part)
