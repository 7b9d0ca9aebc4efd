"""Parts of a long study, kept as they are made, so that a study that was cut off goes on."""

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

__all__ = ["KeptParts", "digest"]


def digest(paths: Iterable[Path]) -> str:
    """Return a short digest of the contents of Python files and of those in folders."""
    found = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found.update(file.read_bytes())
    return found.hexdigest()[:16]


class KeptParts:
    """JSON-ready results by name, in a file; those of another code are forgotten."""

    def __init__(self, path: Path | None, code: str) -> None:
        """Load what the file holds of this code; None: keep nothing.

        Args:
            path: The file; it is rewritten after each part.
            code: What made the parts: a digest.
        """
        self._path, self._code = path, code
        self._parts: dict[str, Any] = {}
        if path is not None and path.is_file():
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["code"] == code:
                self._parts = held["parts"]

    def part(self, name: str, make: Callable[[], Any]) -> Any:
        """Return a part, made now if it was not kept."""
        if name not in self._parts:
            # As it will be read again.
            self._parts[name] = json.loads(json.dumps(make()))
            if self._path is not None:
                self._path.parent.mkdir(exist_ok=True)
                text = json.dumps({"code": self._code, "parts": self._parts})
                self._path.write_text(text, encoding="utf-8")
        return self._parts[name]
