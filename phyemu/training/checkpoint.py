"""Tensors and JSON in one safetensors file that is written whole or not at all."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from phyemu.errors import CheckpointError

__all__ = ["read_checkpoint", "write_checkpoint"]

_FORMAT = "phyemu-checkpoint-1"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write a checkpoint; an interruption leaves the one before.

    Args:
        path: File to write; its folder is made.
        tensors: By name, any device.
        record: Anything JSON can hold; floats come back bit for bit.

    Raises:
        CheckpointError: The file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # safetensors refuses tensors that share memory, and layouts such as channels_last.
        copies = {
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in tensors.items()
        }
        metadata = {"format": _FORMAT, "record": json.dumps(record)}
        save_file(copies, partial, metadata=metadata)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, SafetensorError) as exc:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise CheckpointError(f"{path}: cannot be written ({exc})") from exc


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors (on the CPU) and the record of a checkpoint.

    Raises:
        CheckpointError: The file is missing, damaged, or no checkpoint of phyemu.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != _FORMAT:
            raise CheckpointError(
                f"{path}: holds no {_FORMAT} (its format is {metadata.get('format')!r})"
            )
        record: dict[str, Any] = json.loads(metadata["record"])
    except (SafetensorError, OSError, ValueError, KeyError) as exc:
        raise CheckpointError(f"{path}: damaged or no safetensors file ({exc})") from exc
    return tensors, record
