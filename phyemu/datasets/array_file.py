"""Arrays by name in an .npz file, read with suspicion: nothing in it is executed."""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import DatasetError

__all__ = ["read_arrays"]

# What NumPy and zipfile raise over damaged files. RuntimeError: a member that claims to be
# encrypted, or (NotImplementedError) compressed by a method nobody has.
_DAMAGED = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    MemoryError,
    OverflowError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of these names; others in the file are left alone.

    Raises:
        DatasetError: The file cannot be read, is damaged, lacks one, or holds Python objects.
    """
    try:
        # Opened here: NumPy leaves a file open that is no archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: np.asarray(content[name]) for name in names}
    except _DAMAGED as exc:
        reason = " ".join(str(exc).split()) or type(exc).__name__
        raise DatasetError(f"{path}: cannot be read as arrays ({reason})") from exc
