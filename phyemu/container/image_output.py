"""The files that an image is: written whole, or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from phyemu.errors import ConfigError, ImageError

from .manifest import manifest_path

__all__ = ["refuse_existing", "write_image"]

_MODE = 0o755
"""What Colosseum wants of an image."""


def refuse_existing(output: Path, *, force: bool) -> None:
    """Raise ConfigError where an image or its manifest would be overwritten, unless `force`d."""
    for path in (output, manifest_path(output)):
        if path.exists() and not force:
            raise ConfigError(f"{path}: exists already; give --force to overwrite it")
    if not output.parent.is_dir():
        raise ConfigError(f"{output.parent}: no such folder")


def write_image(output: Path, write: Callable[[BinaryIO], bytes]) -> None:
    """Write an image and its manifest.

    Args:
        output: Of the image.
        write: Writes the image to the file it is given, and returns the manifest.

    Raises:
        ImageError: The files cannot be written.
    """
    beside = manifest_path(output)
    partial = output.with_name(f".{output.name}.partial")
    partial_manifest = beside.with_name(f".{beside.name}.partial")
    try:
        with partial.open("wb") as file:
            manifest = write(file)
        partial_manifest.write_bytes(manifest)
        partial.chmod(_MODE)
        partial.replace(output)
        partial_manifest.replace(beside)
    except OSError as exc:
        raise ImageError(f"{exc.filename or output}: cannot be written ({exc.strerror})") from exc
    finally:
        partial.unlink(missing_ok=True)
        partial_manifest.unlink(missing_ok=True)
