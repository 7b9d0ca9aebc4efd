"""A trained backbone, and the file of it: its weights, and what images are normalised with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from phyemu.datasets import Dataset
from phyemu.dnn import Normalise
from phyemu.errors import CheckpointError, ConfigError
from phyemu.run_files import BACKBONE_NAME

from .checkpoint import read_checkpoint, write_checkpoint
from .history import EpochRecord

__all__ = [
    "BackboneResult",
    "backbone_file",
    "save_backbone",
    "stored_architecture",
    "stored_normalisation",
]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class BackboneResult:
    """A trained backbone.

    Attributes:
        backbone: Normalised images to logits; the weights of the best epoch, in evaluation mode.
        architecture: What a card says of it, so that it can be built again.
        normalise: What it was trained with.
        validation_accuracy: Of these very weights, in percent.
        epoch: The best epoch, from 1; 0 where the given weights were taken as they are.
        history: Every epoch.
    """

    backbone: nn.Module
    architecture: Mapping[str, Any]
    normalise: Normalise
    validation_accuracy: float
    epoch: int
    history: tuple[EpochRecord, ...]


def save_backbone(path: Path, result: BackboneResult, dataset: Dataset) -> None:
    """Write a backbone, with the record that `stored_normalisation` reads.

    Args:
        path: File to write (.safetensors).
        result: The backbone.
        dataset: What it was trained on.

    Raises:
        CheckpointError: The file cannot be written.
    """
    normalised = {
        "mean": result.normalise.mean.tolist(),
        "std": result.normalise.std.tolist(),
    }
    record = {
        "architecture": result.architecture,
        "dataset": {**dataset.summary(), **normalised},
        "epoch": result.epoch,
        "validation_accuracy": result.validation_accuracy,
    }
    write_checkpoint(path, result.backbone.state_dict(), record)


def backbone_file(path: Path) -> Path:
    """Return the file with the weights of a network: `path`, or what a run folder holds.

    Raises:
        CheckpointError: The folder holds none.
    """
    if not path.is_dir():
        return path
    file = path / BACKBONE_NAME
    if not file.is_file():
        raise CheckpointError(
            f"{path}: holds no {file.name}; name a run of phyemu train, or a file"
        )
    return file


def stored_architecture(file: Path) -> Mapping[str, Any] | None:
    """Return what the file of a network says of how it is built, if anything.

    Args:
        file: As for `stored_normalisation`.

    Raises:
        CheckpointError: The record is damaged.
    """
    record = _record_of(file)
    if record is None or "architecture" not in record:
        return None
    architecture = record["architecture"]
    if not isinstance(architecture, Mapping):
        raise CheckpointError(
            f"{file}: describes its network by {architecture!r}, which is no object; it is damaged"
        )
    return architecture


def stored_normalisation(file: Path) -> Normalise | None:
    """Return what a network was trained with, where the file of its weights says so.

    Args:
        file: Of `save_backbone`, or of other people's training: these say nothing.

    Raises:
        CheckpointError: The file is of a training of phyemu, and its record is damaged.
    """
    record = _record_of(file)
    if record is None:
        return None
    try:
        dataset = record["dataset"]
        return Normalise(
            [float(value) for value in dataset["mean"]], [float(value) for value in dataset["std"]]
        )
    except (KeyError, TypeError, ValueError, ConfigError) as exc:
        raise CheckpointError(f"{file}: does not say what it was trained on ({exc})") from exc


def _record_of(file: Path) -> Mapping[str, Any] | None:
    if file.suffix != ".safetensors":
        return None
    try:
        return read_checkpoint(file)[1]
    except CheckpointError:  # a bare state dict
        return None
