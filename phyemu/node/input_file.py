"""An input file of a node: small, regular, text; anything else is refused in one line.

Colosseum pushes its files over those that are there, so a reader may meet half of one, none, or
something that is no file at all.
"""

import os
import stat
from pathlib import Path

from phyemu.errors import ConfigError

__all__ = ["MAX_INPUT_BYTES", "read_input"]

MAX_INPUT_BYTES = 1 << 20
"""No input of a node is longer; a list of mandated outcomes has some kilobytes."""


def read_input(path: Path) -> bytes:
    """Return what an input file holds; it never waits (for a writer of a pipe, say).

    Raises:
        FileNotFoundError: There is none.
        ConfigError: It is no regular file, too long, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"{path}: is no regular file")
            content = file.read(MAX_INPUT_BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read ({exc.strerror})") from exc
    if len(content) > MAX_INPUT_BYTES:
        raise ConfigError(f"{path}: longer than {MAX_INPUT_BYTES} bytes; it is no input of a node")
    return content
