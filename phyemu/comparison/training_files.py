"""The files that a training begins with, known again by what they hold."""

import json
from collections.abc import Mapping
from pathlib import Path

from phyemu.errors import ConfigError
from phyemu.file_hash import kept_file_sha256
from phyemu.training.fingerprint import channel_fingerprint
from phyemu.whole_file import write_whole

__all__ = ["check_files", "files_begun_with", "keep_files"]

_RECORD = "begun_with.json"
_NETWORK = "network"


def files_begun_with(
    *, network: Path | None = None, pretrained: str | None = None, channel: str | None = None
) -> dict[str, str]:
    """Return a hash of each file that a training takes in; empty where there are none.

    Args:
        network: Weights of the comparison's own network.
        pretrained: File with weights, as settings name it.
        channel: Spec, which may name files.

    Raises:
        ConfigError: Weights are missing.
    """
    files = {}
    if network is not None:
        files[_NETWORK] = kept_file_sha256(network)
    if pretrained is not None:
        path = Path(pretrained).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{pretrained}: no such file; [pretrained] names weights to start from"
            )
        files["pretrained"] = kept_file_sha256(path)
    if channel is not None:
        files |= channel_fingerprint([channel])
    return files


def keep_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write into a run's folder what it begins with."""
    if files:
        write_whole(folder / _RECORD, json.dumps(files, indent=1) + "\n")


def check_files(folder: Path, files: Mapping[str, str]) -> None:
    """Raise ConfigError where a run began with other files than these."""
    path = folder / _RECORD
    try:
        found = json.loads(path.read_text("utf-8")) if path.is_file() else None
    except ValueError:
        found = {}
    if found is None:
        # Earlier versions kept no record; the network of a comparison seldom changes.
        found = {name: digest for name, digest in files.items() if name == _NETWORK}
    if found != files:
        raise ConfigError(
            f"{folder}: was trained from other weights or through another channel, which lay in "
            "files of the same names; delete the folder, or name another with -o"
        )
