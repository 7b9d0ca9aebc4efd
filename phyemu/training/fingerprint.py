"""What must not change between the start of a training and its continuation."""

import hashlib
from typing import Any, Literal

from torch import nn

from phyemu.datasets import Dataset
from phyemu.toml_config import to_toml

from .config import TrainConfig

__all__ = ["module_digest", "training_fingerprint"]


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
    labels = [dataset.train.labels, dataset.validation.labels]
    content = hashlib.sha256()
    for tensor in labels:
        content.update(tensor.cpu().numpy().tobytes())
    summary = {key: value for key, value in dataset.summary().items() if key != "name"}
    fingerprint["dataset"] = f"{summary}"
    fingerprint["labels"] = content.hexdigest()
    fingerprint["arithmetic"] = (
        f"{config.precision}, channels_last {config.channels_last}, compile {config.compile}"
    )
    fingerprint["shards"] = str(config.shards)
    fingerprint["seed"] = str(config.seed)
    return fingerprint
