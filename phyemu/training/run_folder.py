"""The folder of a run: opened for its settings alone, and records in it that are whole."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.toml_config import to_toml
from phyemu.whole_file import write_whole

__all__ = ["CONFIG_NAME", "open_run_folder", "write_json"]

CONFIG_NAME = "config.toml"


def open_run_folder(
    config: object, folder: Path, *, read: Callable[[Path], object], resume: bool
) -> None:
    """Make a folder for a run of these settings, or find it to continue.

    Args:
        config: Settings, a dataclass that `to_toml` writes.
        folder: Run folder.
        read: Returns the settings that a run folder holds.
        resume: Whether a run may be there already.

    Raises:
        ConfigError: The folder is in use, or its settings differ.
    """
    text = to_toml(config)
    path = folder / CONFIG_NAME
    if resume and path.is_file():
        if read(folder) != config:
            raise ConfigError(
                f"{path}: the run has other settings than were given; give the same, or none of "
                "them, to continue it"
            )
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder}: exists already; name another folder with -o, or continue it with --resume"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_whole(path, json.dumps(content, indent=1) + "\n")
