"""An image against its manifest, and against what a batch needs in it."""

from pathlib import Path
from typing import Any

from phyemu.batch.json_file import read_json
from phyemu.batch.plan import PlannedImage
from phyemu.container.manifest import manifest_path
from phyemu.container.node_files import CONTENT
from phyemu.errors import ConfigError
from phyemu.file_hash import file_sha256

__all__ = ["check_packaged"]


def check_packaged(path: Path, planned: PlannedImage | None) -> bool:
    """Refuse an image that its manifest does not describe, or that lacks content of a batch.

    An image without a manifest, which another program wrote, is not looked into; then this returns
    False.

    Args:
        path: The image.
        planned: What a batch needs in it; None: nothing is known of it.

    Raises:
        ConfigError: The image was cut, changed, or packaged with other content.
    """
    beside = manifest_path(path)
    if not beside.is_file():
        return False
    found = read_json(beside)
    if file_sha256(path) != _inside(found, "image", "sha256"):
        raise ConfigError(
            f"{path}: is not the image that {beside.name} describes (cut short, or of another "
            "run); package it again, or copy both again"
        )
    for file in planned.files if planned is not None else ():
        if _inside(found, "added", f"{CONTENT}/{file.path}", "sha256") != file.sha256:
            raise ConfigError(
                f"{path}: holds another {CONTENT}/{file.path} than the batch needs, or none; "
                "package it again with the batch's content"
            )
    return True


def _inside(found: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found
