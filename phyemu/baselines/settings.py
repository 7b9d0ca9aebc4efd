"""The settings of a run from what a user gives: a preset, a file, single options; the backbone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from phyemu.dnn import Normalise, build_architecture, load_pretrained, pretrained_resnet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.run_files import CONFIG_NAME
from phyemu.toml_config import from_table, read_toml, to_table
from phyemu.training import (
    DataConfig,
    Precision,
    backbone_file,
    overlay,
    stored_architecture,
    stored_normalisation,
)

from .config import BottleFitConfig, DtJsccConfig, SystemConfig
from .run import read_system_config
from .system import SystemName

__all__ = ["load_backbone", "resolve_system_config", "system_preset"]


def system_preset(name: SystemName, dataset: str) -> SystemConfig:
    """Return the settings to begin with for a system and a dataset.

    Those of the systems' authors, in bfloat16, but for a faster second stage of BottleFit, which
    docs/baselines.md measures. The digits' networks are small: a DT-JSCC of 64 maps and order 16,
    and smaller batches.

    Args:
        name: Which system.
        dataset: As `phyemu.datasets.load_dataset` reads it.
    """
    general = SystemConfig(
        system=name,
        data=DataConfig(dataset=dataset),
        precision=Precision.BFLOAT16,
        channels_last=True,
        bottlefit=BottleFitConfig(learning_rate=1e-2),
    )
    if dataset != "digits":
        return general
    return replace(
        general,
        precision=Precision.FLOAT32,
        channels_last=False,
        split="layer2",
        bottlefit=BottleFitConfig(batch_size=32, learning_rate=1e-2),
        dt_jscc=DtJsccConfig(maps=64, order=16, epochs=60, halve_epochs=20, batch_size=32),
    )


def resolve_system_config(
    name: SystemName,
    options: Mapping[str, Any],
    *,
    file: Path | None = None,
    resumed: Path | None = None,
) -> SystemConfig:
    """Return the settings: options before the file before the preset of system and dataset.

    Args:
        name: Which system.
        options: Values by dotted name, as `data.dataset`; `epochs` stands for those of every
            stage of the system's training.
        file: TOML file.
        resumed: Run folder whose settings take the place of the preset.

    Raises:
        ConfigError: A name is unknown, a value out of range, or the settings are of another
            system.
    """
    given = dict(read_toml(file)) if file is not None else {}
    if resumed is not None and (resumed / CONFIG_NAME).is_file():
        base = read_system_config(resumed)
    else:
        data = given.get("data")
        in_file = data.get("dataset") if isinstance(data, Mapping) else None
        base = system_preset(name, str(options.get("data.dataset", in_file or "digits")))
    table = to_table(base)
    overlay(table, given)
    for key, value in options.items():
        for dotted in _meant(name, key):
            section, _, own = dotted.rpartition(".")
            (table.setdefault(section, {}) if section else table)[own] = value
    config = from_table(SystemConfig, table, where="settings" if file is None else str(file))
    if config.system is not name:
        raise ConfigError(f"the settings are of {config.system}, but {name} was asked for")
    return config


def load_backbone(path: Path, *, model: str | None = None) -> tuple[nn.Module, Normalise | None]:
    """Return a trained network, and what it was trained with where the file says so.

    Args:
        path: Run folder of `phyemu train`, its `backbone.safetensors`, or the state dict of a
            CIFAR residual network.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: The file is missing or damaged, or is of another network, or of one that
            was not named.
    """
    file = backbone_file(path)
    described = stored_architecture(file)
    if described is None:
        if model is not None:
            raise CheckpointError(
                f"{file}: does not say how {model} is built; name a run of phyemu train"
            )
        network: nn.Module = pretrained_resnet(file)
    else:
        try:
            network = build_architecture(described, model=model)
        except ConfigError as exc:
            raise CheckpointError(f"{file}: {exc}") from exc
        load_pretrained(network, file)
    return network, stored_normalisation(file)


def _meant(name: SystemName, key: str) -> tuple[str, ...]:
    if key != "epochs":
        return (key,)
    if name is SystemName.DT_JSCC:
        return ("dt_jscc.epochs",)
    return ("bottlefit.mimic_epochs", "bottlefit.epochs")
