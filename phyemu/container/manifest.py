"""The manifest beside an image: what it was made from, and every path that was added."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .addition import AddedFile

__all__ = ["manifest_path", "render_manifest", "sizes_by_part"]

FORMAT = "phyemu-image"
VERSION = 1


def manifest_path(output: Path) -> Path:
    """Return where the manifest of `NAME.tar.gz` is: `NAME.manifest.json` beside it."""
    return output.with_name(f"{output.name.removesuffix('.tar.gz')}.manifest.json")


def sizes_by_part(added: Iterable[AddedFile]) -> dict[str, int]:
    """Return the bytes of each part of what was added, the largest first; not compressed."""
    sizes: Counter[str] = Counter()
    for file in added:
        sizes[file.part] += file.size
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def render_manifest(made_of: Mapping[str, Any], added: Iterable[AddedFile]) -> bytes:
    """Return the manifest: JSON with sorted keys, without times or paths of this machine.

    Args:
        made_of: What else it says.
        added: Every added path.
    """
    files = list(added)
    paths = {
        file.path: {"size": file.size, "sha256": file.sha256, "part": file.part}
        if file.sha256
        else ({"target": file.target} if file.target else {"folder": True})
        for file in files
    }
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        **made_of,
        "sizes": sizes_by_part(files),
        "added": paths,
    }
    return (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode()
