"""The folder of a run: held for its settings alone, and records in it that are whole."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from phyemu.errors import CheckpointError, ConfigError
from phyemu.folder_lock import LOCK_NAME, locked_folder
from phyemu.run_files import CONFIG_NAME
from phyemu.toml_config import to_table, to_toml
from phyemu.whole_file import write_whole

__all__ = ["held_run_folder", "write_json"]


@contextmanager
def held_run_folder(
    config: object, folder: Path, *, read: Callable[[Path], object], resume: bool
) -> Iterator[None]:
    """Make a folder for a run of these settings, or find it to continue; no other process may.

    Args:
        config: Settings, a dataclass that `to_toml` writes.
        folder: Run folder.
        read: Returns the settings that a run folder holds.
        resume: Whether a run may be there already.

    Raises:
        ConfigError: The folder is in use, cannot be written to, or its settings differ.
    """
    _is_begun(
        config, folder, read=read, resume=resume
    )  # leaves no lock in a folder that is not ours
    with locked_folder(folder, "another process is training there"):
        path = folder / CONFIG_NAME
        if not _is_begun(config, folder, read=read, resume=resume):
            try:
                write_whole(path, to_toml(config))
            except OSError as exc:
                raise ConfigError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
        yield


def _is_begun(
    config: object, folder: Path, *, read: Callable[[Path], object], resume: bool
) -> bool:
    """Return whether the run is there to continue.

    Raises:
        ConfigError: The folder is in use, or its settings differ.
    """
    path = folder / CONFIG_NAME
    if resume and path.is_file():
        begun = read(folder)
        if begun != config:
            names = ", ".join(_differing(to_table(begun), to_table(config)))
            raise ConfigError(
                f"{path}: the run has other settings than were given ({names}); give the same, or "
                "none of them, to continue it"
            )
        return True
    if folder.exists() and (
        not folder.is_dir() or any(entry.name != LOCK_NAME for entry in folder.iterdir())
    ):
        raise ConfigError(
            f"{folder}: exists already; name another folder with -o, or continue it with --resume"
        )
    return False


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted names of the settings that differ."""
    for name in dict.fromkeys((*one, *other)):
        ours, theirs = one.get(name), other.get(name)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            yield from (f"{name}.{inner}" for inner in _differing(ours, theirs))
        elif ours != theirs:
            yield name


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all.

    Raises:
        CheckpointError: It cannot be written.
    """
    try:
        write_whole(path, json.dumps(content, indent=1) + "\n")
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
