"""The loop's settings from what a user gives: single options before a file before the defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.loop.config import LoopConfig, default_training
from phyemu.training import backbone_depth, from_table, overlay, read_toml, to_table

__all__ = ["resolve_loop_config"]

_BACKBONE = "train.backbone.name"


def resolve_loop_config(options: Mapping[str, Any], *, file: Path | None = None) -> LoopConfig:
    """Return the settings; the dataset decides which defaults of training apply.

    Args:
        options: Values by dotted name, such as `train.data.dataset`; `train.backbone.name` stands
            for the depth (`resnet20`).
        file: TOML file with the tables of `LoopConfig`.

    Raises:
        ConfigError: A name is unknown, or a value out of range.
    """
    given = read_toml(file) if file is not None else {}
    for name, value in options.items():
        if name == _BACKBONE:
            name, value = "train.backbone.depth", backbone_depth(str(value))
        table = given
        *sections, key = name.split(".")
        for section in sections:
            table = table.setdefault(section, {})
        table[key] = value
    dataset = given.get("train", {}).get("data", {}).get("dataset", "digits")
    merged = to_table(LoopConfig(train=default_training(str(dataset))))
    overlay(merged, given)
    return from_table(LoopConfig, merged, where="settings" if file is None else str(file))
