"""An image that was written, as its maker is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["PackagedImage"]


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
