"""Variables of a MAT-file of level 5, read without trust: every length is checked before use.

SciPy's reader takes the process down with it on some damaged files, and makes an object of every
cell. Only what exchange files hold is understood: numbers, cell arrays of tables of numbers, and a
struct of numbers; other variables are skipped.
Source: MAT-File Format (MathWorks), level 5 MAT-files.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ScenarioError

__all__ = ["MatCells", "MatValue", "read_mat"]

_STORAGE = {
    **{1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"},
    **{12: "i8", 13: "u8"},
}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _FIRST_NUMBER, _LAST_NUMBER = 1, 2, 6, 15
_COMPLEX = 0x0800
_MOST_DIMENSIONS = 8
_MOST_BYTES = 2**31


@dataclass(frozen=True, eq=False, slots=True)
class MatCells:
    """A cell array of tables that have two columns.

    Attributes:
        shape: Of the array.
        cell: Flat index of the cell that a row lies in, first dimension fastest, (row,), rising.
        rows: The rows of all tables, (row, 2), complex128.
    """

    shape: tuple[int, ...]
    cell: NDArray[np.int64]
    rows: NDArray[np.complex128]


MatValue = NDArray[Any] | MatCells | dict[str, Any]


def read_mat(path: Path) -> dict[str, MatValue]:
    """Return the variables of a MAT-file by name.

    Raises:
        ScenarioError: The file is missing, damaged, or of another level.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ScenarioError(f"{path}: no such file") from error
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from error
    if content[:4] == b"\x89HDF" or content[124:126] in (b"\x00\x02", b"\x02\x00"):
        raise ScenarioError(f"{path}: is a .mat of version 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ScenarioError(f"{path}: cannot be read as .mat (it has no header of level 5)")
    found = {}
    try:
        for kind, data in _Reader(memoryview(content), order).elements(128):
            if kind == _COMPRESSED:
                packer = zlib.decompressobj()
                unpacked = packer.decompress(data, _MOST_BYTES)
                if not packer.eof:
                    raise _DamageError("a compressed variable is cut off, or larger than 2 GiB")
                reader = _Reader(memoryview(unpacked), order)
                kind, data = next(reader.elements(0), (0, memoryview(b"")))
            if kind == _MATRIX:
                name, value = _Reader(data, order).variable()
                if value is not None:
                    found[name] = value
    except (_DamageError, zlib.error, MemoryError) as error:
        raise ScenarioError(f"{path}: cannot be read as .mat ({error})") from error
    return found


class _DamageError(Exception):
    """The file contradicts itself, or holds something else; caught above."""


class _Reader:
    """The elements of a stretch of the file, one behind the other."""

    def __init__(self, data: memoryview, order: str) -> None:
        self._data = data
        self._order = order
        self._tag = struct.Struct(f"{order}II")

    def elements(self, position: int) -> Iterator[tuple[int, memoryview]]:
        """Yield the type and the data of each element."""
        data, size = self._data, len(self._data)
        while position < size:
            if position + 8 > size:
                raise _DamageError("it ends within a tag")
            kind, count = self._tag.unpack_from(data, position)
            start = position + 8
            if kind >> 16:  # the small form: type and length share four bytes
                kind, count, start = kind & 0xFFFF, kind >> 16, position + 4
                if count > 4:
                    raise _DamageError("a small element is longer than 4 bytes")
                position += 8
            else:
                padded = count if kind == _COMPRESSED else -(-count // 8) * 8
                position = start + padded
            if start + count > size:
                raise _DamageError("it ends within an element")
            yield kind, data[start : start + count]

    def variable(self) -> tuple[str, MatValue | None]:
        """Return the name and the value of a matrix; None where it is none that we know."""
        parts = self.elements(0)
        flags, shape, name = self._heading(parts)
        kind = flags & 0xFF
        if _FIRST_NUMBER <= kind <= _LAST_NUMBER:
            return name, self._numbers(parts, flags, shape)
        if kind == _CELL:
            return name, self._cells(parts, name, shape)
        if kind == _STRUCT and math.prod(shape) == 1:
            return name, self._struct(parts)
        return name, None

    def _heading(self, parts: Iterator[tuple[int, memoryview]]) -> tuple[int, tuple[int, ...], str]:
        flags = self._array(parts)
        shape = self._array(parts)
        name = bytes(self._array(parts).astype(np.uint8))
        if flags.dtype.kind != "u" or flags.size != 2 or shape.dtype.kind != "i":
            raise _DamageError("a matrix has no proper heading")
        if not 2 <= shape.size <= _MOST_DIMENSIONS or (shape < 0).any():
            raise _DamageError(f"a matrix has the shape {shape.tolist()}")
        return int(flags[0]), tuple(shape.tolist()), name.decode("latin-1")

    def _array(self, parts: Iterator[tuple[int, memoryview]]) -> NDArray[Any]:
        """Return the numbers of the next element."""
        kind, data = next(parts, (0, memoryview(b"")))
        if kind not in _STORAGE:
            raise _DamageError(f"numbers are expected where an element of type {kind} is")
        storage = np.dtype(f"{self._order}{_STORAGE[kind]}")
        if len(data) % storage.itemsize:
            raise _DamageError("an element holds no whole number of numbers")
        return np.frombuffer(data, storage)

    def _numbers(
        self, parts: Iterator[tuple[int, memoryview]], flags: int, shape: tuple[int, ...]
    ) -> NDArray[Any]:
        real = self._array(parts).astype(np.float64)
        size = math.prod(shape)
        if real.size != size:
            raise _DamageError(f"{real.size} numbers for a matrix of {shape}")
        if not flags & _COMPLEX:
            return real.reshape(shape, order="F")
        imaginary = self._array(parts).astype(np.float64)
        if imaginary.size != size:
            raise _DamageError(f"{imaginary.size} imaginary parts for a matrix of {shape}")
        values = np.empty(size, np.complex128)
        values.real, values.imag = real, imaginary
        return values.reshape(shape, order="F")

    def _cells(
        self, parts: Iterator[tuple[int, memoryview]], name: str, shape: tuple[int, ...]
    ) -> MatCells:
        counts, tables = [], []
        index = -1
        for index, (kind, data) in enumerate(parts):
            if kind != _MATRIX:
                raise _DamageError(f"a cell of {name} is an element of type {kind}")
            table = self._table(data, f"cell {index} of {name}")
            counts.append(table.shape[0])
            if table.shape[0]:
                tables.append(table)
        if index + 1 != math.prod(shape):
            raise _DamageError(f"{index + 1} cells in {name}, whose shape is {shape}")
        rows = np.concatenate(tables) if tables else np.empty((0, 2))
        cell = np.repeat(np.arange(len(counts)), counts)
        return MatCells(shape, cell, rows.astype(np.complex128))

    def _table(self, data: memoryview, where: str) -> NDArray[Any]:
        """Return the rows of a cell, (row, 2)."""
        if not len(data):
            return np.empty((0, 2))
        reader = _Reader(data, self._order)
        parts = reader.elements(0)
        flags, shape, _ = reader._heading(parts)
        if math.prod(shape) == 0:
            return np.empty((0, 2))
        if not _FIRST_NUMBER <= flags & 0xFF <= _LAST_NUMBER:
            raise _DamageError(f"{where} holds no numbers")
        if len(shape) != 2 or shape[1] != 2:
            raise _DamageError(f"{where} must hold rows of (delay, gain), got {shape}")
        return reader._numbers(parts, flags, shape)

    def _struct(self, parts: Iterator[tuple[int, memoryview]]) -> dict[str, Any]:
        width = self._array(parts)
        names = bytes(self._array(parts).astype(np.uint8))
        if width.dtype.kind not in "iu" or width.size != 1:
            raise _DamageError("a struct has no proper width of its names")
        if int(width[0]) < 1 or len(names) % int(width[0]):
            raise _DamageError("a struct has no proper names")
        size = int(width[0])
        fields = {}
        for start in range(0, len(names), size):
            name = names[start : start + size].split(b"\0")[0].decode("latin-1")
            kind, data = next(parts, (0, memoryview(b"")))
            if kind != _MATRIX:
                raise _DamageError(f"the field {name} is an element of type {kind}")
            reader = _Reader(data, self._order)
            inner = reader.elements(0)
            flags, shape, _ = reader._heading(inner)
            if _FIRST_NUMBER <= flags & 0xFF <= _LAST_NUMBER:
                fields[name] = reader._numbers(inner, flags, shape)
        return fields
