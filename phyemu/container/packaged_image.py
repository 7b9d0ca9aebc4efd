"""An image that was written, as its maker is told of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from .addition import AddedFile
from .manifest import manifest_path, sizes_by_part
from .python_target import PythonTarget

__all__ = ["PackagedImage", "packaged_image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedImage:
    """An image that was written.

    Attributes:
        path: Of the image.
        manifest: Of its manifest.
        sha256: Of the image.
        size: Of the image [bytes].
        base_size: Of the base's entries, not compressed [bytes].
        sizes: Bytes of each part that was added, not compressed, the largest first.
        python: Of the node.
        distributions: Version of each distribution that was added.
        notes: What its user should know.
    """

    path: Path
    manifest: Path
    sha256: str
    size: int
    base_size: int
    sizes: Mapping[str, int]
    python: str
    distributions: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())


class _Written(Protocol):
    """What both kinds of images tell of themselves."""

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def added(self) -> tuple[AddedFile, ...]: ...


def packaged_image(
    output: Path,
    written: _Written,
    *,
    base_size: int,
    target: PythonTarget,
    versions: Mapping[str, str],
    notes: Sequence[str],
) -> PackagedImage:
    """Return what the maker of an image is told, once it is written to `output`."""
    return PackagedImage(
        path=output,
        manifest=manifest_path(output),
        sha256=written.sha256,
        size=written.size,
        base_size=base_size,
        sizes=sizes_by_part(written.added),
        python=f"3.{target.minor} ({target.program})",
        distributions=versions,
        notes=tuple(notes),
    )
