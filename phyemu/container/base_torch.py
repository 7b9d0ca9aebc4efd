"""A PyTorch that a base already has: then the environment needs to bring none, nor CUDA."""

import posixpath
import re

from packaging.version import InvalidVersion, Version

from .base_tree import BaseTree

__all__ = ["MIN_TORCH", "find_torch", "is_of_torch"]

MIN_TORCH = Version("2.4")

_METADATA = re.compile(r"torch-(.+)\.dist-info")
_OF_TORCH = re.compile(r"torch|triton|pytorch-triton|(nvidia|cuda)-.+")


def find_torch(tree: BaseTree, python: str, minor: int) -> Version | None:
    """Return the version of the PyTorch that a base's Python imports; None: none, or too old.

    Args:
        tree: What is at which path.
        python: Path of the Python, such as `opt/conda/bin/python3.11`.
        minor: Of the Python.
    """
    prefix = posixpath.dirname(posixpath.dirname(python))
    folders = [
        f"{prefix}/lib/python3.{minor}/site-packages",
        f"usr/local/lib/python3.{minor}/dist-packages",
    ]
    for folder in folders:
        landing = tree.followed(folder)
        for path in tree.paths_below(landing):
            match = _METADATA.fullmatch(posixpath.basename(path))
            if match and posixpath.dirname(path) == landing:
                try:
                    version = Version(match[1])
                except InvalidVersion:
                    continue
                return version if version >= MIN_TORCH else None
    return None


def is_of_torch(name: str) -> bool:
    """Return whether a distribution is PyTorch, or comes with it alone."""
    return _OF_TORCH.fullmatch(name.lower().replace("_", "-")) is not None
