"""Times as a user types them: `500ms`, `1.5s`, `2min`, `1h`."""

import re

__all__ = ["TIME", "parse_time_s"]

_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
TIME = r"(?:\d+(?:\.\d+)?|\.\d+)(?:ms|s|min|h)"
"""Regular expression of a time."""
_PARTS = re.compile(r"([\d.]+)([a-z]+)")


def parse_time_s(text: str) -> float | None:
    """Return a time [s]; None: it is not written like one.

    >>> parse_time_s("500ms")
    0.5
    """
    if not re.fullmatch(TIME, text) or (parts := _PARTS.fullmatch(text)) is None:
        return None
    return float(parts[1]) * _UNITS[parts[2]]
