"""Where shipped recordings, channels, device profiles and Colosseum files are found by name.

A path that exists wins. Otherwise the name is looked up in the folders of `$PHYEMU_LIBRARY`
(separated as in `$PATH`; each may hold `captures/`, `channels/`, `colosseum/`, `devices/`), then in
the library that phyemu ships. `office-nlos` and `office_nlos` are the same name.
"""

import difflib
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Literal

from phyemu.errors import ConfigError

__all__ = ["Shelf", "find_in_library", "library_names", "shipped_shelf"]

Shelf = Literal["captures", "channels", "colosseum", "devices"]

_SUFFIXES: dict[Shelf, tuple[str, ...]] = {
    "captures": (".sigmf", ".sigmf-meta"),
    "channels": (".h5",),
    "colosseum": (".json",),
    "devices": (".toml",),
}
_NOUNS: dict[Shelf, str] = {
    "captures": "captures",
    "channels": "channels",
    "colosseum": "scenarios of Colosseum",
    "devices": "device profiles",
}
# Names less alike than this are no mistyping of each other.
_NEAR = 0.6


def _shelves(shelf: Shelf) -> Iterator[Path]:
    for entry in os.environ.get("PHYEMU_LIBRARY", "").split(os.pathsep):
        if entry:
            yield Path(entry) / shelf
    yield shipped_shelf(shelf)


def shipped_shelf(shelf: Shelf) -> Path:
    """Return the folder of a shelf as phyemu ships it."""
    package = Path(str(files("phyemu")))
    shipped = package / "_library" / shelf
    # A wheel carries the library inside the package, a checkout beside it.
    return shipped if shipped.is_dir() else package.parent / shelf


def _key(name: str) -> str:
    return name.lower().replace("_", "-")


def _entries(shelf: Shelf) -> Iterator[tuple[str, Path]]:
    for folder in _shelves(shelf):
        if folder.is_dir():
            for path in sorted(folder.rglob("*")):
                if path.suffix in _SUFFIXES[shelf]:
                    yield path.stem, path


def library_names(shelf: Shelf) -> list[str]:
    """Return the names on a shelf, sorted, as a user may type them."""
    return sorted({_key(name) for name, _ in _entries(shelf)})


def find_in_library(name: str, shelf: Shelf) -> Path:
    """Return the path of a file given by path or by library name.

    Args:
        name: An existing path, or a name on the shelf (with or without its suffix).
        shelf: Which part of the library to search.

    Raises:
        ConfigError: Neither a path nor a known name; the message lists the near names. What names
            a folder is a path, never a name: a mistyped one must not turn into another file.
    """
    path = Path(name)
    if path.exists():
        return path
    if path.name != name:
        raise ConfigError(f"{name}: no such file; names of shipped {shelf} have no folder")
    wanted = _key(path.stem if path.suffix in _SUFFIXES[shelf] else name)
    known: dict[str, Path] = {}
    for stem, entry in _entries(shelf):
        known.setdefault(_key(stem), entry)
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=3, cutoff=_NEAR)
    if near:
        hint = f"near names: {', '.join(near)}"
    elif known:
        hint = f"known {_NOUNS[shelf]}: {', '.join(sorted(known))}"
    else:
        hint = f"the library holds no {_NOUNS[shelf]}"
    raise ConfigError(f"{name}: no such file, and no such name in the library; {hint}")
