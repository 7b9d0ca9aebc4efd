"""The name of an image: it becomes the host name of a node."""

import re
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["IMAGE_NAME", "MAX_NAME_LENGTH", "image_name"]

MAX_NAME_LENGTH = 31
IMAGE_NAME = rf"[A-Za-z0-9]([A-Za-z0-9-]{{0,{MAX_NAME_LENGTH - 2}}}[A-Za-z0-9])?"
"""As a regular expression; as in a host name, no dash is at the ends."""

_SUFFIX = ".tar.gz"


def image_name(path: Path) -> str:
    """Return the name of the image that is to be written to `path`.

    Raises:
        ConfigError: The file is not called NAME.tar.gz, or NAME has other characters than letters,
            digits and dashes, or is longer than 31 characters.
    """
    if not path.name.endswith(_SUFFIX):
        raise ConfigError(f"{path}: Colosseum takes images called NAME{_SUFFIX}; call it so")
    name = path.name.removesuffix(_SUFFIX)
    if len(name) > MAX_NAME_LENGTH:
        raise ConfigError(
            f"{path.name}: Colosseum takes names of at most {MAX_NAME_LENGTH} characters before "
            f"{_SUFFIX}, this has {len(name)}"
        )
    if not re.fullmatch(IMAGE_NAME, name):
        raise ConfigError(
            f"{path.name}: the name of an image becomes a host name: letters, digits and dashes, "
            f"no dash at its ends; got {name!r}"
        )
    return name
