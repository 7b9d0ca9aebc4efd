"""Networks of the systems without symbols as one file: tensors, and how to build what they fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from phyemu.datasets import Dataset
from phyemu.dnn import Normalise, build_architecture, describe_architecture, split_model
from phyemu.dnn.pretrained import install_state
from phyemu.errors import CheckpointError, ConfigError
from phyemu.training import read_checkpoint, write_checkpoint

from .bottlefit_network import BottleFitNet
from .system import System, SystemName, network_system

__all__ = ["load_network", "save_bottlefit", "save_network"]


def save_network(
    path: Path,
    name: SystemName,
    backbone: nn.Module,
    normalise: Normalise,
    dataset: Dataset,
    *,
    split: str | None = None,
) -> None:
    """Write a network that runs as it was trained: whole on one side, or cut in two.

    Args:
        path: File to write (.safetensors).
        name: SC, edge-only or device-only.
        backbone: Normalised images to logits.
        normalise: What it was trained with.
        dataset: Its image shape is written, and its class names are.
        split: Last submodule of the head; SC only.

    Raises:
        ConfigError: The backbone cannot be cut there.
        CheckpointError: The file cannot be written.
    """
    if split is not None:
        split_model(backbone, split)
    model = nn.ModuleDict({"normalise": normalise, "backbone": backbone})
    record = {**_record(name, backbone, dataset), "split": split}
    write_checkpoint(path, model.state_dict(), record)


def save_bottlefit(
    path: Path, name: SystemName, network: BottleFitNet, backbone: nn.Module, dataset: Dataset
) -> None:
    """Write a network with a bottleneck.

    Args:
        path: File to write (.safetensors).
        name: BF-1 or BF-2.
        network: With the bottleneck.
        backbone: What it was made from; its architecture is written.
        dataset: Its image shape is written, and its class names are.

    Raises:
        CheckpointError: The file cannot be written.
    """
    maps = network.head.narrowed.out_channels
    record = {**_record(name, backbone, dataset), "maps": maps}
    write_checkpoint(path, network.state_dict(), record)


def load_network(path: Path, *, backbone: nn.Module | None = None) -> System:
    """Return the system that a file holds, in evaluation mode, on the CPU.

    Args:
        path: Of `save_network` or `save_bottlefit`.
        backbone: The network, where it is not one of phyemu's; its weights do not matter and are
            overwritten.

    Raises:
        CheckpointError: The file is missing, damaged, or does not say what it is.
    """
    tensors, record = read_checkpoint(path)
    try:
        name = SystemName(record["system"])
        channels, height, width = (int(size) for size in record["image_shape"])
        if backbone is None:
            backbone = build_architecture(_mapping(record["architecture"]))
        normalise = Normalise([0.0] * channels, [1.0] * channels)  # the file has the real one
        shape = (channels, height, width)
        if name in (SystemName.BOTTLEFIT_1, SystemName.BOTTLEFIT_2):
            network = BottleFitNet(backbone, normalise, maps=int(record["maps"]), generator=None)
            install_state(network, tensors, source=str(path))
            return network_system(name, network.head, network.tail, image_shape=shape)
        model = nn.ModuleDict({"normalise": normalise, "backbone": backbone})
        install_state(model, tensors, source=str(path))
        return _whole_or_cut(name, normalise, backbone, record["split"], shape)
    except (ConfigError, KeyError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{path}: describes no system ({exc})") from exc


def _record(name: SystemName, backbone: nn.Module, dataset: Dataset) -> dict[str, Any]:
    kind = type(backbone)
    return {
        "system": name,
        "architecture": describe_architecture(
            backbone, name=f"{kind.__module__}.{kind.__qualname__}"
        ),
        "image_shape": list(dataset.image_shape),
        "class_names": list(dataset.train.class_names),
    }


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"an architecture must be an object, got {value!r}")
    return value


def _whole_or_cut(
    name: SystemName,
    normalise: Normalise,
    backbone: nn.Module,
    split: str | None,
    image_shape: tuple[int, int, int],
) -> System:
    if name is SystemName.SPLIT_COMPUTING:
        if split is None:
            raise ValueError(f"{name} has no split point")
        head, tail = split_model(backbone, split)
        return network_system(name, nn.Sequential(normalise, head), tail, image_shape=image_shape)
    whole = nn.Sequential(normalise, backbone)
    if name is SystemName.EDGE_ONLY:
        return network_system(name, None, whole, image_shape=image_shape)
    if name is SystemName.DEVICE_ONLY:
        return network_system(name, whole, None, image_shape=image_shape)
    raise ValueError(f"a {name} is not stored like this")
