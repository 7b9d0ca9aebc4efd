"""Comparisons by name: the paper's, and one of minutes."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.toml_config import from_table, read_toml, to_table
from phyemu.training import overlay

from .config import AccuracyConfig, ComparisonConfig, CostConfig
from .trainings import check_trainings

__all__ = ["PRESETS", "comparison_preset", "read_comparison", "resolve_comparison"]

PRESETS = ("paper", "quick")

# A ResNet-8 of four maps on a share of the digits: every row and every path, no result.
_QUICK_TRAINING: dict[str, Any] = {
    "all": {
        "data": {"limit": 120},
        "backbone": {"depth": 8, "width": 4, "epochs": 2, "batch_size": 20},
        "phydnn": {"split": "layer1", "epochs": [1], "batch_size": 20},
        "frame": {"max_payload_symbols": 4096},
    },
    "SC": {"split": "layer1"},
    "BF-1": {"bottlefit": {"mimic_epochs": 1, "epochs": 1, "batch_size": 20}},
    "BF-2": {"bottlefit": {"mimic_epochs": 1, "epochs": 1, "batch_size": 20}},
    "DT-JSCC": {"dt_jscc": {"maps": 16, "epochs": 1, "batch_size": 20}},
}


def comparison_preset(name: str) -> ComparisonConfig:
    """Return the settings of a named comparison.

    `paper`: ResNet-20, 56 and 110 on CIFAR-10 and CIFAR-100, three seeds, every table and figure; a
    GPU's work of days, or less with runs that are given. `quick`: digits and a tiny ResNet-8, one
    seed; it shows that everything runs, and nothing else.

    Raises:
        ConfigError: No such name.
    """
    if name == "paper":
        return ComparisonConfig(
            datasets={"cifar-10": "cifar10:data", "cifar-100": "cifar100:data"},
            cost=CostConfig(device_profile="jetson-orin-nano"),
        )
    if name == "quick":
        return ComparisonConfig(
            datasets={"digits": "digits"},
            backbones=("resnet8",),
            jscc_backbone="resnet8",
            jscc_order=4,
            orders=(8, 4),
            sweep_orders=(8,),
            seeds=(0,),
            snrs_db=(8, 12, 20),
            accuracy=AccuracyConfig(limit=40),
            cost=CostConfig(batch=8, links=2),
            training=copy.deepcopy(_QUICK_TRAINING),
        )
    raise ConfigError(f"preset {name!r} is unknown; there are {', '.join(PRESETS)}")


def resolve_comparison(
    options: Mapping[str, Any],
    *,
    preset: str = "paper",
    file: Path | None = None,
    resumed: ComparisonConfig | None = None,
) -> ComparisonConfig:
    """Return the settings: options before the file before the preset.

    Args:
        options: Values by dotted name, as `cost.engine`.
        preset: Where both say nothing.
        file: TOML with the tables of `ComparisonConfig`.
        resumed: Settings of a comparison, in place of the preset's.

    Raises:
        ConfigError: A name is unknown, or a value out of range.
    """
    # The preset's own tables stay as they are.
    table = copy.deepcopy(to_table(resumed or comparison_preset(preset)))
    given = read_toml(file) if file is not None else {}
    if "datasets" in given:
        # Their order is the file's, and the preset's have no say.
        table["datasets"] = {}
    overlay(table, given)
    for name, value in options.items():
        target = table
        *sections, key = name.split(".")
        for section in sections:
            target = target.setdefault(section, {})
        target[key] = value
    where = "settings" if file is None else str(file)
    config = from_table(ComparisonConfig, table, where=where)
    check_trainings(config)
    return config


def read_comparison(path: Path) -> ComparisonConfig:
    """Return the settings that a comparison's folder holds.

    Raises:
        ConfigError: The file is missing or damaged.
    """
    return from_table(ComparisonConfig, read_toml(path), where=str(path))
