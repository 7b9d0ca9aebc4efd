"""HDF5 files that grow while something is measured, and survive the process that writes them.

Until it is whole the file is called NAME.partial. HDF5 writes it so that a reader may look at any
moment (its single-writer-multiple-reader mode), so a process that is killed leaves everything that
it flushed; `finish_growing_store` makes the file of it that would have been there.
"""

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py

from phyemu.channel.hdf5 import StoreWriter
from phyemu.errors import ConfigError, StoreError

__all__ = ["GrowingStoreWriter", "finish_growing_store"]

_SUFFIX = ".partial"
# Of HDF5's superblock, version 3: signature, version, what does not matter here, end of the file.
_SUPERBLOCK = struct.Struct("<8sB19sQ")


class GrowingStoreWriter(StoreWriter):
    """Writes a store that can be read whatever happens, once `begin` was called."""

    def __init__(
        self, path: Path | str, *, kind: str, provenance: Mapping[str, Any], force: bool = False
    ) -> None:
        """Begin a store; arguments as for `StoreWriter`.

        Raises:
            ConfigError: The file exists, or one that was interrupted, or the provenance is no JSON.
            StoreError: The file cannot be created.
        """
        there = _partial(Path(path))
        if there.exists() and not force:
            raise ConfigError(
                f"{there}: was interrupted, or is being written; name another file, or give --force"
            )
        super().__init__(path, kind=kind, provenance=provenance, force=force)

    def _create(self) -> h5py.File:
        self._temporary = _partial(self.path)
        return h5py.File(self._temporary, "w", libver="latest")

    def begin(self) -> None:
        """Let only `append` and `flush` follow, on what is there by now."""
        try:
            self._file.swmr_mode = True
        except (OSError, ValueError, RuntimeError) as exc:
            raise StoreError(f"{self.path}: cannot be written: {exc}") from exc


def finish_growing_store(path: Path, *, trim: Callable[[h5py.File], None]) -> Path:
    """Give a store its name whose writer was killed: NAME.partial becomes NAME.

    Args:
        path: Of NAME.partial; it is removed at the end.
        trim: Cuts what does not belong together off the copy: the last append may have reached some
            datasets and not others.

    Raises:
        ConfigError: It is not called so, or NAME exists.
        StoreError: It cannot be read, or NAME cannot be written; then it stays.
    """
    if path.suffix != _SUFFIX:
        raise ConfigError(f"{path}: is no interrupted store; these are called NAME{_SUFFIX}")
    whole = path.with_suffix("")
    if whole.exists():
        raise ConfigError(f"{whole}: exists already; move it away")
    temporary = whole.with_name(f".{whole.name}.{os.getpid()}.part")
    try:
        _check_length(path)
        with (
            h5py.File(path, "r", libver="latest", swmr=True) as source,
            h5py.File(temporary, "w") as target,
        ):
            for name, value in source.attrs.items():
                target.attrs[name] = value
            for name in source:
                if not isinstance(source.get(name, getlink=True), h5py.HardLink):
                    raise StoreError(f"{path}: {name} is a link; only plain data is read")
                source.copy(name, target)
            trim(target)
        temporary.replace(whole)
    except (OSError, ValueError, RuntimeError, KeyError) as exc:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be finished: {exc}") from exc
    except StoreError:
        temporary.unlink(missing_ok=True)
        raise
    path.unlink()
    return whole


def _check_length(path: Path) -> None:
    """Raise StoreError where a copy cut the file: HDF5 would wait for the rest for minutes."""
    with path.open("rb") as file:
        start = file.read(_SUPERBLOCK.size)
    if len(start) < _SUPERBLOCK.size:
        raise StoreError(f"{path}: is cut, {len(start)} bytes are left of it; copy it again")
    signature, version, _, end = _SUPERBLOCK.unpack(start)
    if signature != b"\x89HDF\r\n\x1a\n" or version != 3:
        raise StoreError(f"{path}: is no interrupted store")
    size = path.stat().st_size
    if size < end:
        raise StoreError(f"{path}: is cut, {size} of {end} bytes are left of it; copy it again")


def _partial(path: Path) -> Path:
    return path.with_name(path.name + _SUFFIX)
