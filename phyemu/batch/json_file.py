"""JSON files: those of others read within bounds, our own written whole or not at all."""

import json
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError

__all__ = ["json_value", "read_json"]

_LARGEST_BYTES = 16 * 1024**2


def read_json(path: Path, *, strict: bool = True) -> Any:
    """Return what a JSON file holds.

    Args:
        path: The file.
        strict: Refuse a key that is there twice, NaN and infinities; else the last one counts, and
            these become None.

    Raises:
        ConfigError: It is missing, larger than 16 MiB, no JSON, or refused.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB; is it another file?")
    try:
        return json_value(content, strict=strict)
    except ValueError as error:
        raise ConfigError(f"{path}: is no JSON ({error})") from error


def json_value(content: bytes, *, strict: bool = True) -> Any:
    """Return the value of a JSON text; `strict` as for `read_json`.

    Raises:
        ValueError: It is no JSON, nested beyond reason, or refused.
    """
    try:
        if strict:
            return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse)
        return json.loads(content, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
