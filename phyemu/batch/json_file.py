"""JSON files that others wrote: read strictly; our own: written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError

__all__ = ["read_json", "write_text"]

_LARGEST_BYTES = 16 * 1024**2


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        ConfigError: It is missing, larger than 16 MiB, no JSON, or holds a key twice, NaN or an
            infinity.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB; is it another file?")
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise ConfigError(f"{path}: is no JSON ({reason})") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def write_text(path: Path, text: str) -> Path:
    """Write a text file, whole or not at all, and return its path."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
