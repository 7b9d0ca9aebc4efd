"""Arrays of an .npz file that somebody else wrote: nothing in it is executed."""

import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ScenarioError

__all__ = ["read_npz"]


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name.

    Args:
        path: The file.
        names: Read these where they are there, and nothing else; None: all of them.

    Raises:
        ScenarioError: The file is missing, damaged, or holds a pickle.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                if names is None or name in names:
                    with archive.open(member) as file:
                        found[name] = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ScenarioError(f"{path}: cannot be read as .npz ({error})") from error
    # Encrypted, or a size that nobody has, or that no integer holds.
    except (RuntimeError, MemoryError, OverflowError) as error:
        raise ScenarioError(f"{path}: cannot be read as .npz ({error})") from error
    return found
