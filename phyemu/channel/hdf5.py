"""HDF5 files with a versioned schema: written atomically, read with suspicion.

A file's root has the attributes `phyemu_kind` ("channel-model", "responses", ...),
`schema_version`, `phyemu_version` and `provenance` (JSON). Every dataset has the attribute `unit`
("" for a pure number). Complex numbers are stored as h5py does: compound of float `r` and `i`.
"""

import contextlib
import json
import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from phyemu import __version__
from phyemu.errors import ConfigError, StoreError

__all__ = ["StoreReader", "StoreWriter"]

SCHEMA_VERSION = 2
"""2 added paths/family, paths/shape, drift and uncertainty; files of 1 are read as ever."""
# Nothing we store is larger; a file that claims more is refused before memory is taken.
_MAX_ELEMENTS = 1 << 28
_CHUNK_ROWS = 4096  # of datasets that grow


class StoreWriter:
    """Writes a store under a temporary name; leaving the context puts it in its place.

    On an exception the temporary file is removed and what was at `path` stays.
    """

    def __init__(
        self, path: Path | str, *, kind: str, provenance: Mapping[str, Any], force: bool = False
    ) -> None:
        """Begin a store.

        Args:
            path: File to write.
            kind: What it holds.
            provenance: JSON values: where the content comes from.
            force: Overwrite an existing file.

        Raises:
            ConfigError: The file exists, or the provenance is no JSON.
            StoreError: The file cannot be created.
        """
        self.path = Path(path)
        if self.path.exists() and not force:
            raise ConfigError(f"{self.path}: exists already; give --force to overwrite it")
        try:
            text = json.dumps(dict(provenance), allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise ConfigError(f"{self.path}: provenance is no JSON: {exc}") from exc
        self._temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._create()
        except OSError as exc:
            raise StoreError(f"{self.path}: cannot be written: {exc}") from exc
        self._file.attrs["phyemu_kind"] = kind
        self._file.attrs["schema_version"] = SCHEMA_VERSION
        self._file.attrs["phyemu_version"] = __version__
        self._file.attrs["provenance"] = text

    def _create(self) -> h5py.File:
        return h5py.File(self._temporary, "w")

    def dataset(self, name: str, values: Any, *, unit: str) -> None:
        """Write an array or a scalar at `name` ("group/name") with its unit."""
        array = np.asarray(values)
        options = {"compression": "gzip", "shuffle": True} if array.size > 1024 else {}
        try:
            item = self._file.create_dataset(name, data=array, **options)
        except (OSError, TypeError, ValueError) as exc:
            raise StoreError(f"{self.path}: dataset {name} cannot be written: {exc}") from exc
        item.attrs["unit"] = unit

    def append(self, name: str, values: Any, *, unit: str) -> None:
        """Write an array behind those that `name` holds already; its first dimension grows.

        Raises:
            StoreError: It cannot be written: the disk is full, say.
        """
        array = np.asarray(values)
        try:
            if name not in self._file:
                item = self._file.create_dataset(
                    name,
                    shape=(0, *array.shape[1:]),
                    maxshape=(None, *array.shape[1:]),
                    chunks=(_CHUNK_ROWS, *array.shape[1:]),
                    dtype=array.dtype,
                )
                item.attrs["unit"] = unit
            item = self._file[name]
            begin = item.shape[0]
            item.resize(begin + len(array), axis=0)
            item[begin:] = array
        except (OSError, TypeError, ValueError, RuntimeError) as exc:
            raise StoreError(f"{self.path}: dataset {name} cannot be written: {exc}") from exc

    def flush(self) -> None:
        """Hand what was written to the system.

        Raises:
            StoreError: The disk is full, say.
        """
        try:
            self._file.flush()
        except (OSError, RuntimeError) as exc:
            raise StoreError(f"{self.path}: cannot be written: {exc}") from exc

    def texts(self, name: str, values: Sequence[str]) -> None:
        """Write a list of words (ASCII) at `name`."""
        item = self._file.create_dataset(name, data=np.array(values, dtype="S"))
        item.attrs["unit"] = ""

    def attribute(self, group: str, name: str, value: str | float | int | bool) -> None:
        """Write an attribute of a group (created when new); "/" is the root."""
        self._file.require_group(group).attrs[name] = value

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put the file in its place, or remove it after an exception."""
        self._file.close()
        if kind is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink(missing_ok=True)


class StoreReader:
    """Reads a store; whatever is not as it should be is one `StoreError` that names it."""

    def __init__(self, path: Path | str, *, kind: str | None) -> None:
        """Open a store.

        Args:
            path: File to read.
            kind: What it must hold; None: anything.

        Raises:
            StoreError: No HDF5 file, not one of ours, of another kind, or of a newer schema.
        """
        self.path = Path(path)
        if not self.path.is_file():
            raise StoreError(f"{self.path}: no such file")
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as exc:
            raise StoreError(
                f"{self.path}: no HDF5 file, or damaged; phyemu sound and phyemu fit "
                "make those of a recording"
            ) from exc
        try:
            self.kind = self.text("/", "phyemu_kind")
            version = self.number("/", "schema_version")
            if not 1 <= version <= SCHEMA_VERSION:
                raise StoreError(
                    f"{self.path}: attribute schema_version is {version:g}, this phyemu reads 1 to "
                    f"{SCHEMA_VERSION}; update phyemu"
                )
            if kind is not None and self.kind != kind:
                raise StoreError(
                    f"{self.path}: attribute phyemu_kind is {self.kind!r}, wanted {kind!r}"
                )
        except StoreError:
            self._file.close()
            raise

    @property
    def provenance(self) -> dict[str, Any]:
        """Return the provenance."""
        try:
            value = json.loads(self.text("/", "provenance"))
        except json.JSONDecodeError as exc:
            raise StoreError(f"{self.path}: attribute provenance is no JSON") from exc
        if not isinstance(value, dict):
            raise StoreError(f"{self.path}: attribute provenance is no JSON object")
        return value

    def has(self, name: str) -> bool:
        """Return whether a group or dataset of that name exists."""
        with self._foreign(name):
            return name in self._file

    def _item(self, name: str) -> Any:
        with self._foreign(name):
            parts = [part for part in name.split("/") if part]
            item: Any = self._file
            for part in parts:
                if not isinstance(item, h5py.Group) or part not in item:
                    raise StoreError(f"{self.path}: {name} is missing")
                # A link may point into another file, or around in a circle.
                if not isinstance(item.get(part, getlink=True), h5py.HardLink):
                    raise StoreError(f"{self.path}: {name} is a link; only plain data is read")
                item = item[part]
            return item

    @contextlib.contextmanager
    def _foreign(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError) as exc:
            raise StoreError(f"{self.path}: {name} cannot be read: {exc}") from exc

    def array(
        self,
        name: str,
        *,
        shape: tuple[int | None, ...],
        kind: str = "float",
        finite: bool = True,
        rows: slice | None = None,
    ) -> NDArray[Any]:
        """Return a dataset.

        Args:
            name: "group/name".
            shape: Its shape; None where any length goes.
            rows: Rows of its first dimension to read; None: all.
            kind: "float" (float64 comes back), "complex" (complex128) or "int" (int64).
            finite: Whether NaN and infinity are refused.

        Raises:
            StoreError: Missing, of another shape or type, not finite, or not plain data.
        """
        item = self._item(name)
        if not isinstance(item, h5py.Dataset):
            raise StoreError(f"{self.path}: {name} is no dataset")
        with self._foreign(name):
            if item.is_virtual or item.external:
                raise StoreError(f"{self.path}: dataset {name} keeps its data in another file")
            found = item.shape
            fits = (
                found is not None
                and len(found) == len(shape)
                and all(
                    want is None or want == have for want, have in zip(shape, found, strict=True)
                )
            )
            if not fits:
                wanted = ", ".join("any" if want is None else str(want) for want in shape)
                raise StoreError(
                    f"{self.path}: dataset {name} has shape {found}, wanted ({wanted})"
                )
            allowed = {"float": "fiu", "complex": "cfiu", "int": "iu"}[kind]
            if item.dtype.kind not in allowed:
                raise StoreError(
                    f"{self.path}: dataset {name} holds {item.dtype}, wanted {kind} numbers"
                )
            count = len(range(*rows.indices(found[0]))) if rows is not None else found[0]
            claimed = math.prod((count, *found[1:]))
            if claimed > _MAX_ELEMENTS:
                raise StoreError(
                    f"{self.path}: dataset {name} claims {claimed} elements, more than "
                    f"the {_MAX_ELEMENTS} allowed"
                )
            target = {"float": np.float64, "complex": np.complex128, "int": np.int64}[kind]
            values: NDArray[Any] = np.asarray(item[() if rows is None else rows]).astype(target)
        if finite and not np.isfinite(values).all():
            raise StoreError(f"{self.path}: dataset {name} holds NaN or infinity")
        return values

    def texts(self, name: str, *, count: int, allowed: Collection[str]) -> tuple[str, ...]:
        """Return a list of `count` words.

        Raises:
            StoreError: Missing, of another length, no text, or a word that is not allowed.
        """
        item = self._item(name)
        if not isinstance(item, h5py.Dataset) or h5py.check_string_dtype(item.dtype) is None:
            raise StoreError(f"{self.path}: {name} is no dataset of text")
        with self._foreign(name):
            if item.shape != (count,):
                raise StoreError(
                    f"{self.path}: dataset {name} has shape {item.shape}, wanted ({count})"
                )
            if item.is_virtual or item.external:
                raise StoreError(f"{self.path}: dataset {name} keeps its data in another file")
            words = tuple(str(word) for word in item.asstr()[()])
        for word in words:
            if word not in allowed:
                raise StoreError(
                    f"{self.path}: dataset {name} holds {word[:40]!r}; known: {', '.join(allowed)}"
                )
        return words

    def _attribute(self, group: str, name: str) -> Any:
        item = self._item(group)
        label = f"{group.strip('/')}/{name}".lstrip("/")
        with self._foreign(label):
            if name not in item.attrs:
                raise StoreError(f"{self.path}: attribute {label} is missing; no phyemu store?")
            return item.attrs[name]

    def has_attribute(self, group: str, name: str) -> bool:
        """Return whether a group has an attribute of that name."""
        item = self._item(group)
        with self._foreign(f"{group}/{name}"):
            return name in item.attrs

    def text(self, group: str, name: str) -> str:
        """Return an attribute that is text."""
        value = self._attribute(group, name)
        if not isinstance(value, str):
            raise StoreError(f"{self.path}: attribute {group.strip('/')}/{name} is no text")
        return value

    def number(self, group: str, name: str) -> float:
        """Return an attribute that is a number (infinity allowed, NaN not)."""
        value = self._attribute(group, name)
        if not isinstance(value, int | float | np.number | np.bool_) or np.iscomplexobj(value):
            raise StoreError(f"{self.path}: attribute {group.strip('/')}/{name} is no number")
        if math.isnan(float(value)):
            raise StoreError(f"{self.path}: attribute {group.strip('/')}/{name} is NaN")
        return float(value)

    def __enter__(self) -> Self:
        """Return the reader."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self._file.close()
