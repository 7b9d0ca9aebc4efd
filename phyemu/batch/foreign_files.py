"""Reading what a node left behind: plain files of a bounded size, JSON without surprises.

Whatever is read here lay in a folder that others can write to, and may have been cut anywhere.
"""

import json
import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError

__all__ = [
    "finite",
    "is_plain_file",
    "parse_json",
    "printable",
    "read_json_object",
    "whole",
]

_MAX_JSON_BYTES = 16 << 20


def is_plain_file(path: Path) -> bool:
    """Return whether a path is a file itself: no link, no folder, no device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def parse_json(text: bytes) -> Any:
    """Return a JSON value; NaN and infinities, which are no JSON, become None.

    Raises:
        ValueError: It is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(text, parse_constant=lambda _: None)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a plain file of at most 16 MiB.

    Raises:
        ConfigError: It is missing, no plain file, too large, or no JSON object.
    """
    if not is_plain_file(path):
        what = "is no plain file" if os.path.lexists(path) else "no such file"
        raise ConfigError(f"{path}: {what}")
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_JSON_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    if len(text) > _MAX_JSON_BYTES:
        raise ConfigError(f"{path}: larger than the {_MAX_JSON_BYTES >> 20} MiB that are read")
    try:
        value = parse_json(text)
    except ValueError as exc:
        raise ConfigError(f"{path}: is no JSON ({exc}); cut off, or damaged") from exc
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: holds no JSON object")
    return value


def finite(fields: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number; None where it is missing, NaN or something else."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def whole(fields: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number from 0 to 2^63 - 1; None where it is something else."""
    value = finite(fields, name)
    if value is None or value != int(value) or not 0 <= value < 2**63:
        return None
    return int(value)


def printable(text: str) -> str:
    """Return a text as one line that no terminal takes for commands."""
    return "".join(sign if sign.isprintable() else "?" for sign in " ".join(text.split()))
