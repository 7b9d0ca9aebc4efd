"""Reading what a node left behind: plain files of a bounded size, JSON without surprises.

Whatever is read here lay in a folder that others can write to, and may have been cut anywhere.
"""

import math
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.batch.json_file import read_json
from phyemu.errors import ConfigError

__all__ = [
    "finite",
    "is_plain_file",
    "printable",
    "read_json_object",
    "whole",
]


def is_plain_file(path: Path) -> bool:
    """Return whether a path is a file itself: no link, no folder, no device."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a plain file of at most 16 MiB.

    Raises:
        ConfigError: It is missing, no plain file, too large, or no JSON object.
    """
    if not is_plain_file(path):
        what = "is no plain file" if os.path.lexists(path) else "no such file"
        raise ConfigError(f"{path}: {what}")
    value = read_json(path, strict=False)
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
