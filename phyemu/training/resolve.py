"""The settings of a run from what a user gives: a preset, a file, single options."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from phyemu.errors import ConfigError
from phyemu.run_files import CONFIG_NAME
from phyemu.toml_config import from_table, read_toml, to_table

from .config import TrainConfig
from .distributed import num_started_processes
from .presets import Preset, named_preset, preset, stages_behind
from .run import read_run_config

__all__ = ["backbone_depth", "overlay", "pick_device", "resolve_config", "settle_stages"]

_CHANNEL = "awgn:12"  # what the paper trains through, where a user names none


def resolve_config(
    options: Mapping[str, Any],
    *,
    file: Path | None = None,
    resumed: Path | None = None,
    named: Preset | None = None,
) -> TrainConfig:
    """Return the settings: options before the file before the preset of the dataset.

    Args:
        options: Values by dotted name, as `link.channel`; `backbone.name` stands for the depth
            (`resnet20`), and one number in `phydnn.epochs` for each of several orders. Where
            nothing else is given, `shards` are those of the run that is resumed, else the processes
            that torchrun started.
        file: TOML file.
        resumed: Run folder whose settings take the place of the preset of the dataset.
        named: Preset by name, in place of both.

    Raises:
        ConfigError: A name is unknown, or a value out of range.
    """
    given = read_toml(file) if file is not None else {}
    run = None
    if resumed is not None and (resumed / CONFIG_NAME).is_file():
        run = read_run_config(resumed)
    if named is None and run is not None:
        base = run
    else:
        dataset = options.get("data.dataset", _find(given, "data", "dataset") or "digits")
        channel = options.get("link.channel", _find(given, "link", "channel") or _CHANNEL)
        base = (
            preset(str(dataset), str(channel))
            if named is None
            else named_preset(named, str(dataset), str(channel))
        )
    table = to_table(base)
    where = "settings" if file is None else str(file)
    overlay(table, given)
    for name, value in options.items():
        section, _, key = name.rpartition(".")
        target = table.setdefault(section, {}) if section else table
        if name == "backbone.name":
            key, value = "depth", backbone_depth(str(value))
            for of_model in ("model", "options", "fresh_layers"):  # the file names another network
                target.pop(of_model, None)
        target[key] = value
    if "shards" not in given and "shards" not in options:
        table["shards"] = num_started_processes() if run is None else run.shards
    said = {name.removeprefix("phydnn.") for name in options if name.startswith("phydnn.")}
    settle_stages(table, base, {*said, *given.get("phydnn", {})})
    return from_table(TrainConfig, table, where=where)


def settle_stages(table: dict[str, Any], base: TrainConfig, given: Collection[str]) -> None:
    """Let what `base` says of each stage and layer follow orders, cut and network of `table`.

    A stage has the epochs of its place. Where `base` says how many symbols a slice takes at each
    order, a stage has as many as keep the modulation of its first, or else one a codebook.
    Where `base` compares features behind every stage of a ResNet after its cut, so does `table`,
    but where features of layers cannot be had or the network is another.

    Args:
        table: Settings over those of `base`; changed.
        base: Where they come from.
        given: Settings of `[phydnn]` that a user gave; they stay, but for one number of epochs,
            which is that of each stage.
    """
    phydnn = table["phydnn"]
    orders, epochs = phydnn["orders"], phydnn["epochs"]
    if not isinstance(orders, list) or not isinstance(epochs, list):
        return  # refused, with its place, where the table is read
    if "epochs" not in given:
        phydnn["epochs"] = [*epochs[: len(orders)], *epochs[-1:] * (len(orders) - len(epochs))]
    elif len(epochs) == 1 < len(orders):
        phydnn["epochs"] = epochs * len(orders)
    elif len(epochs) != len(orders):
        raise ConfigError(
            f"phydnn.epochs (--epochs): {epochs} are {len(epochs)} numbers, but the orders are "
            f"{orders}; give one number, or one for each order (--order)"
        )
    own = base.phydnn
    sizes, codebooks = phydnn["slice_size"], phydnn["codebooks"]
    counts = [*orders, *(sizes if isinstance(sizes, list) else [sizes]), codebooks]
    sound = all(isinstance(count, int) and count > 0 for count in counts) and 1 not in orders
    if sound and "symbols_per_slice" not in given and len(own.symbols_per_slice) > 1:
        wanted = own.channel_order(0)
        phydnn["symbols_per_slice"] = [
            _symbols_of(order, wanted, sizes, codebooks) for order in orders
        ]
    layers = own.feature_layers
    if layers and layers == stages_behind(own.split) and "feature_layers" not in given:
        other = phydnn["splits"] or table["compile"] or table["backbone"].get("model")
        keeps = phydnn["feature_distillation"] and not other
        phydnn["feature_layers"] = list(stages_behind(str(phydnn["split"]))) if keeps else []


def _symbols_of(order: int, wanted: int, slice_size: Sequence[int], codebooks: int) -> int:
    """Return the symbols of order `wanted` that carry a slice; one a codebook, where none do."""
    messages = order ** math.prod(slice_size)
    symbols = round(math.log(messages, wanted))
    fits = wanted**symbols == messages and symbols % codebooks == 0
    return symbols if fits else codebooks


def pick_device(name: str) -> torch.device:
    """Return the device of that name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        ConfigError: The device is unknown or absent.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as exc:
        raise ConfigError(f"device {name!r} is unknown; write auto, cpu, cuda or cuda:1") from exc
    if device.type == "meta":
        raise ConfigError(f"device {name!r} computes nothing; write auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {name!r}: there is no CUDA here; use cpu")
    return device


def _find(table: Mapping[str, Any], section: str, key: str) -> Any:
    part = table.get(section)
    return part.get(key) if isinstance(part, Mapping) else None


def overlay(table: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Put the given values over those of `table`, table by table."""
    for key, value in given.items():
        if isinstance(value, Mapping) and isinstance(table.get(key), dict):
            overlay(table[key], value)
        else:
            table[key] = value


def backbone_depth(name: str) -> int:
    """Return the depth of a backbone named as `resnet20`.

    Raises:
        ConfigError: Another name.
    """
    match = re.fullmatch(r"resnet-?(\d+)", name.lower())
    if match is None:
        raise ConfigError(f"backbone {name!r} is unknown; write resnet8, resnet20, ... resnet110")
    return int(match[1])
