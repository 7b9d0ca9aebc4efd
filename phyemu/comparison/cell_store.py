"""The folder of finished cells: one JSON file each, there whole or not at all."""

from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.whole_file import write_whole

from .cell import Cell, CellKey
from .cell_set import CellSet

__all__ = ["CellStore"]

_LARGEST_BYTES = 1024**2


class CellStore:
    """Cells of a comparison's folder.

    A cell is done when its file exists; that file is written last and in one step, so a kill at any
    moment costs the cell that was being computed and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        """Look at `folder`/cells; nothing is read or made yet."""
        self.folder = folder / "cells"

    def path(self, key: CellKey) -> Path:
        """Return where the cell is, or would be."""
        return self.folder / f"{key.name}.json"

    def find(self, key: CellKey) -> Cell | None:
        """Return the finished cell, or None.

        Raises:
            ConfigError: Its file is damaged, or holds another cell.
        """
        path = self.path(key)
        if not path.exists():
            return None
        cell = _read(path)
        if cell.key != key:
            raise ConfigError(f"{path}: holds the {cell.key.label()}; delete the file")
        return cell

    def save(self, cell: Cell) -> Path:
        """Write a finished cell, and return its path.

        Raises:
            ConfigError: The disk refuses it.
        """
        path = self.path(cell.key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return write_whole(path, cell.to_json())
        except OSError as exc:
            raise ConfigError(f"{path}: cannot be written ({exc.strerror or exc})") from exc

    def load(self) -> CellSet:
        """Return every finished cell.

        Raises:
            ConfigError: There is none, or a file is damaged.
        """
        cells = []
        for path in sorted(self.folder.glob("*/*.json")):
            cell = _read(path)
            if self.path(cell.key) != path:
                raise ConfigError(f"{path}: holds the {cell.key.label()}; delete the file")
            cells.append(cell)
        if not cells:
            raise ConfigError(f"{self.folder}: holds no finished cells; make some: phyemu compare")
        return CellSet(cells)


def _read(path: Path) -> Cell:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror or exc})") from exc
    if len(content) > _LARGEST_BYTES:
        raise ConfigError(f"{path}: is larger than {_LARGEST_BYTES >> 20} MiB, so it is no cell")
    try:
        return Cell.from_json(content)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}; delete it to have it computed again") from exc
