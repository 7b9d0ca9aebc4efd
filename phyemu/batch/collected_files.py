"""The folder of a collection: which file in it came from what, so that collecting again goes on.

`collected.json` lists every file with its sources, their sizes, times and hashes. A file is made
under a temporary name and takes its place when it is whole. It is made again only when its sources
have changed, or what is to be written of them; files that are not in the list are the user's and
are overwritten with force only.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from phyemu.batch.foreign_files import read_json_object
from phyemu.errors import ConfigError
from phyemu.file_hash import file_sha256
from phyemu.whole_file import write_whole

__all__ = ["MANIFEST_NAME", "CollectedFiles", "as_json"]

MANIFEST_NAME = "collected.json"
_FORMAT = {"format": "phyemu-collection", "version": 1}


class CollectedFiles:
    """Makes the files of a collection, those that are not there yet."""

    def __init__(self, folder: Path, *, force: bool) -> None:
        """Open the folder of a collection, or begin one.

        Raises:
            ConfigError: It cannot be made, or its list is damaged (and `force` is not given).
        """
        self.folder = folder
        self._force = force
        self._items: dict[str, dict[str, Any]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"{folder}: cannot be made ({exc.strerror or exc})") from exc
        manifest = folder / MANIFEST_NAME
        if manifest.exists():
            self._items = self._read(manifest)

    def _read(self, manifest: Path) -> dict[str, dict[str, Any]]:
        try:
            found = read_json_object(manifest)
            items = found.get("files")
            if any(found.get(key) != _FORMAT[key] for key in _FORMAT) or not isinstance(
                items, dict
            ):
                raise ConfigError(f"{manifest}: is no list of a collection")
        except ConfigError as exc:
            if self._force:
                return {}
            raise ConfigError(f"{exc}; collect into another folder, or give --force") from exc
        return {name: item for name, item in items.items() if isinstance(item, dict)}

    def make(
        self,
        name: str,
        sources: Sequence[Path],
        make: Callable[[Path], Mapping[str, Any] | None],
        settings: Mapping[str, Any] | None = None,
    ) -> tuple[Path, Mapping[str, Any]]:
        """Return a file of the collection and what was noted of it; make it where need be.

        Args:
            name: Its path below the folder, such as "recordings/x.sigmf".
            sources: Files that it is made of.
            make: Makes it under the path given, with the same file name, and returns JSON values
                to note; what it leaves beside that is thrown away.
            settings: JSON values that it depends on beside its sources.

        Raises:
            ConfigError: A file that nobody collected is in its place.
            OSError: A source cannot be read, or the folder not be written.
            PhyemuError: As `make` does.
        """
        path = self.folder / name
        states = [_state(source) for source in sources]
        wanted = json.loads(json.dumps(dict(settings or {})))
        item = self._items.get(name)
        if item is not None and path.is_file() and not self._force:
            known = [
                {key: entry.get(key) for key in ("path", "bytes", "mtime_ns")}
                for entry in item.get("sources", ())
                if isinstance(entry, dict)
            ]
            if known == states and item.get("settings", {}) == wanted:
                note = item.get("note")
                return path, note if isinstance(note, dict) else {}
        elif path.exists() and not self._force:
            raise ConfigError(f"{path}: exists already; give --force to overwrite it")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".collecting-", dir=self.folder) as scratch:
            made = Path(scratch) / path.name
            note = make(made) or {}
            made.replace(path)
        self._items[name] = {
            "sources": [
                {**state, "sha256": file_sha256(source)}
                for state, source in zip(states, sources, strict=True)
            ],
            "settings": wanted,
            "note": dict(note),
        }
        self.save()
        return path, note

    def write(self, name: str, text: str) -> Path:
        """Write a file of the collection that is made anew each time, and return its path.

        Raises:
            ConfigError: A file that nobody collected is in its place.
        """
        path = self.folder / name
        if path.exists() and name not in self._items and not self._force:
            raise ConfigError(f"{path}: exists already; give --force to overwrite it")
        write_whole(path, text)
        self._items[name] = {"sources": [], "note": {}}
        self.save()
        return path

    def save(self) -> None:
        """Write the list."""
        listed = {name: self._items[name] for name in sorted(self._items)}
        write_whole(
            self.folder / MANIFEST_NAME, json.dumps({**_FORMAT, "files": listed}, indent=1) + "\n"
        )

    def clear_scratch(self) -> None:
        """Delete what a collection that was killed has left unfinished."""
        for path in self.folder.glob(".collecting-*"):
            with suppress(OSError):
                shutil.rmtree(path)


def _state(path: Path) -> dict[str, Any]:
    status = path.lstat()
    return {"path": os.fspath(path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}


def as_json(values: Mapping[str, Any] | Iterable[Any]) -> str:
    """Return JSON text; NaN and infinities become null."""

    def clean(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [clean(item) for item in value]
        if isinstance(value, float) and not abs(value) < float("inf"):
            return None
        return value

    return json.dumps(clean(values), indent=1, allow_nan=False) + "\n"
