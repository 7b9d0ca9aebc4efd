"""Backbones by description, so that an artefact can be rebuilt without the code that trained it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from phyemu.errors import ConfigError

from .dt_jscc import DtJscc, DtJsccShape
from .resnet import ResNet, ResNetConfig

__all__ = ["build_architecture", "describe_architecture"]

_CIFAR_RESNET = "cifar-resnet"
_DT_JSCC = "dt-jscc"


def describe_architecture(backbone: nn.Module, *, name: str | None = None) -> dict[str, Any]:
    """Return what a card says of a backbone.

    Args:
        backbone: One of ours, or a network that the user brings.
        name: Of a network that the user brings, e.g. `timm/mobilenetv3_small_050`; ours have names.

    Raises:
        ConfigError: The network is not ours and has no name.
    """
    if isinstance(backbone, ResNet):
        return {"name": _CIFAR_RESNET, **asdict(backbone.config)}
    if isinstance(backbone, DtJscc):
        return {"name": _DT_JSCC, **asdict(backbone.config)}
    if not name:
        raise ConfigError(f"{type(backbone).__name__} needs a name to be found by; pass name=")
    return {"name": name}


def build_architecture(description: Mapping[str, Any]) -> nn.Module:
    """Return a backbone of that description, with weights yet to be loaded.

    Raises:
        ConfigError: The description is not of a network of ours, or malformed.
    """
    settings = dict(description)
    name = settings.pop("name", None)
    if name not in (_CIFAR_RESNET, _DT_JSCC):
        raise ConfigError(
            f"architecture {name!r} is not one of phyemu's ({_CIFAR_RESNET}, {_DT_JSCC}); pass the "
            "network as backbone="
        )
    try:
        config = (ResNetConfig if name == _CIFAR_RESNET else DtJsccShape)(**settings)
    except TypeError as exc:
        raise ConfigError(f"architecture {name}: {exc}") from exc
    with torch.random.fork_rng(devices=[]):  # layers draw their defaults from the global generator
        return ResNet(config) if isinstance(config, ResNetConfig) else DtJscc(config)
