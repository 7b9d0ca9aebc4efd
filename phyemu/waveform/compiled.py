"""Numba functions that are made of numba functions in other files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["kernel"]

F = TypeVar("F", bound=Callable[..., Any])

# When and how large the sources of this folder are: any of them may be part of a kernel.
_SOURCES = sorted(Path(__file__).parent.glob("*.py"))
_STAMP = tuple((source.stat().st_mtime, source.stat().st_size) for source in _SOURCES)


def kernel(function: F) -> F:
    """Return the compiled function, `nogil`; kept on disk as long as all its sources are the same.

    Numba takes up what it kept as long as the file of the function is the same. Here it must be the
    files of this folder too, or old code would go on inside new code.
    """
    compiled = numba.njit(cache=True, nogil=True)(function)
    kept = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if kept is not None:
        kept._source_stamp = (kept._source_stamp, _STAMP)
    return cast(F, compiled)
