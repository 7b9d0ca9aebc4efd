"""What must not change between the start of a training and its continuation."""

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from torch import nn

from phyemu.channel import channel_files
from phyemu.datasets import Dataset
from phyemu.file_hash import kept_file_sha256
from phyemu.link import hop_specs
from phyemu.toml_config import to_toml

from .config import TrainConfig

__all__ = [
    "channel_fingerprint",
    "dataset_fingerprint",
    "module_digest",
    "training_fingerprint",
]


def module_digest(module: nn.Module) -> str:
    """Return a hash of all weights and buffers of a module."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def training_fingerprint(
    config: TrainConfig, dataset: Dataset, task: Literal["backbone", "phydnn"]
) -> dict[str, Any]:
    """Return what a checkpoint is compared by, key by key, as JSON values.

    How often checkpoints are written may change, and so may what the task does not depend on.
    """
    parts: dict[str, Any] = {"data": config.data, task: getattr(config, task)}
    if task == "phydnn":
        parts |= {"link": config.link, "frame": config.frame}
    fingerprint = {name: to_toml(part) for name, part in parts.items()}
    if task == "phydnn":
        splits = config.phydnn.splits
        channel = config.link.channel
        fingerprint |= channel_fingerprint(hop_specs(channel, len(splits)) if splits else [channel])
    fingerprint |= dataset_fingerprint(dataset)
    fingerprint["arithmetic"] = (
        f"{config.precision}, channels_last {config.channels_last}, compile {config.compile}"
    )
    fingerprint["shards"] = str(config.shards)
    fingerprint["seed"] = str(config.seed)
    return fingerprint


def channel_fingerprint(specs: Sequence[str]) -> dict[str, str]:
    """Return what tells files of channels at the same paths apart; empty where specs name none."""
    digests = [kept_file_sha256(path) for spec in specs for path in channel_files(spec)]
    return {"channel files": " ".join(digests)} if digests else {}


def dataset_fingerprint(dataset: Dataset) -> dict[str, str]:
    """Return what tells two datasets apart, whatever they are called: sizes and labels."""
    labels = [dataset.train.labels, dataset.validation.labels]
    content = hashlib.sha256()
    for tensor in labels:
        content.update(tensor.cpu().numpy().tobytes())
    summary = {key: value for key, value in dataset.summary().items() if key != "name"}
    return {"dataset": f"{summary}", "labels": content.hexdigest()}
