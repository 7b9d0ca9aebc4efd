"""Pickles of plain data and byte arrays, read without running anything.

The python version of CIFAR is pickled dictionaries of lists, bytes and uint8 arrays. The names
such a pickle may ask for are mapped to the small stand-ins below; any other name is refused before
it is imported, so a file cannot call a function of its choosing.
"""

import io
import pickle
import pickletools
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import DatasetError

__all__ = ["load_plain_pickle"]

_MAX_PROTOCOL = 4


class _ArrayType:
    """Stands for the name numpy.ndarray; cannot be called."""


class _PickledDtype:
    """Stands for numpy.dtype; only bytes are allowed."""

    def __init__(self, code: object, *_flags: object) -> None:
        if code not in ("u1", b"u1", "uint8", b"uint8"):
            raise pickle.UnpicklingError(f"array of type {code!r}, must be uint8")

    def __setstate__(self, state: object) -> None:
        """Ignore byte order and alignment, which bytes do not have."""


class _PickledArray:
    """Stands for an array until its state says what is in it."""

    values: NDArray[np.uint8]

    def __setstate__(self, state: Any) -> None:
        _version, shape, dtype, fortran_order, content = state
        if not isinstance(dtype, _PickledDtype) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("array without type or content")
        values = np.frombuffer(content, dtype=np.uint8)
        # Column-major content is the row-major content of the transposed array.
        self.values = values.reshape(shape[::-1]).T if fortran_order else values.reshape(shape)


def _reconstruct(array_type: object, _shape: object, _code: object) -> _PickledArray:
    if array_type is not _ArrayType:
        raise pickle.UnpicklingError("only plain arrays are allowed")
    return _PickledArray()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("only latin1 byte strings are allowed")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], object] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _PickledDtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:
        """Return the stand-in of an allowed name; refuse every other."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"asks for {module}.{name}, which is not allowed"
            ) from None

    def persistent_load(self, pid: Any, /) -> Any:
        """Refuse references to objects outside of the file."""
        raise pickle.UnpicklingError("refers to an object outside of the file")


def load_plain_pickle(content: bytes, *, source: str) -> dict[str, Any]:
    """Return the dictionary pickled in `content`; byte string keys become text.

    Arrays come back as (...) uint8, read-only. Python 2 strings come back as bytes.

    Args:
        content: The pickle, as published for CIFAR.
        source: The file, for the message.

    Raises:
        DatasetError: It asks for anything but plain data, is damaged, or holds no dictionary.
    """
    try:
        # Later opcodes share buffers with the reader; CIFAR is of protocol 2.
        if any(opcode.proto > _MAX_PROTOCOL for opcode, _, _ in pickletools.genops(content)):
            raise pickle.UnpicklingError(f"is of a protocol above {_MAX_PROTOCOL}")
        loaded = _RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        struct.error,
        ArithmeticError,
        AttributeError,
        ImportError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
    ) as exc:
        reason = str(exc).splitlines()[0] if str(exc) else type(exc).__name__
        raise DatasetError(f"{source}: not a pickle of plain data: {reason}") from exc
    if not isinstance(loaded, dict):
        raise DatasetError(f"{source}: must hold a dictionary, got {type(loaded).__name__}")
    plain: dict[str, Any] = {}
    for key, value in loaded.items():
        name = key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)
        plain[name] = getattr(value, "values", None) if isinstance(value, _PickledArray) else value
    return plain
