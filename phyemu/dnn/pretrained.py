"""Weights of other people's training, checked name by name."""

import difflib
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from phyemu.errors import CheckpointError, ConfigError

from .resnet import ResNet, ResNetConfig

__all__ = ["load_pretrained", "pretrained_resnet"]


def load_pretrained(model: nn.Module, path: Path, *, fresh_layers: Collection[str] = ()) -> None:
    """Load the weights in `path` into `model`, in place, all of them or none.

    Args:
        model: Of the same architecture.
        path: .safetensors, or a torch file that holds a state dict, bare or under `state_dict`;
            a `module.` before every name (of data parallel training) is taken away. Torch files are
            read with `weights_only=True`, so they cannot run code.
        fresh_layers: Submodules that keep the weights they have, whatever the file holds for them.

    Raises:
        ConfigError: A fresh layer is no submodule of the model.
        CheckpointError: The file is missing or damaged, or belongs to another architecture; the
            message names the first tensor that does not fit, with both shapes.
    """
    state = read_state(path)
    if fresh_layers:
        modules = [name for name, _ in model.named_modules() if name]
        for layer in fresh_layers:
            if layer not in modules:
                near = difflib.get_close_matches(layer, modules, n=3) or modules[-3:]
                raise ConfigError(
                    f"fresh layer {layer!r}: {type(model).__name__} has no such submodule; near "
                    f"names: {', '.join(near)}"
                )
        prefixes = tuple(f"{layer}." for layer in fresh_layers)
        state = {name: value for name, value in state.items() if not name.startswith(prefixes)}
        own = model.state_dict().items()
        state |= {name: value for name, value in own if name.startswith(prefixes)}
    install_state(model, state, source=str(path))


def pretrained_resnet(path: Path) -> ResNet:
    """Return the CIFAR residual network whose weights `path` holds; its size is read from them.

    Raises:
        CheckpointError: The file is missing or damaged, or is no CIFAR residual network.
    """
    state = read_state(path)
    try:
        width, in_channels = state["conv1.weight"].shape[:2]
        num_classes = len(state["linear.weight"])
        blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("layer1."))
        config = ResNetConfig(
            depth=6 * blocks + 2,
            num_classes=num_classes,
            in_channels=in_channels,
            width=width,
        )
    except (KeyError, ValueError, IndexError, ConfigError) as exc:
        raise CheckpointError(
            f"{path}: holds no CIFAR residual network (conv1, layer1..layer3, linear); its first "
            f"tensors are {', '.join(list(state)[:3])}"
        ) from exc
    with torch.random.fork_rng(devices=[]):
        model = ResNet(config)
    install_state(model, state, source=str(path))
    return model


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by name."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        if path.suffix == ".safetensors":
            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        SafetensorError,
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
        AssertionError,  # how torch's unpickler refuses some malformed records
    ) as exc:
        raise CheckpointError(
            f"{path}: cannot be read as tensors alone (torch weights_only, or safetensors); it is "
            "damaged, or holds Python objects: save its state_dict()"
        ) from exc
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise CheckpointError(f"{path}: holds no state dict (names to tensors)")
    return {name.removeprefix("module."): value for name, value in content.items()}


def install_state(model: nn.Module, state: Mapping[str, Tensor], *, source: str) -> None:
    """Copy `state` into `model` when every name and shape fits, else raise CheckpointError."""
    own = model.state_dict()
    kind = type(model).__name__
    for name, value in own.items():
        if name not in state:
            if name.endswith("num_batches_tracked"):  # files of older torch versions lack it
                continue
            raise CheckpointError(
                f"{source}: lacks {name} {_shape(value)} of {kind}; it is of another architecture"
            )
        if state[name].shape != value.shape:
            raise CheckpointError(
                f"{source}: {name} is {_shape(state[name])}, but {kind} has {_shape(value)}; it is "
                "of another architecture"
            )
        if value.is_floating_point() and not bool(torch.isfinite(state[name]).all()):
            raise CheckpointError(f"{source}: {name} holds values that are not finite")
    unknown = next((name for name in state if name not in own), None)
    if unknown is not None:
        raise CheckpointError(
            f"{source}: {unknown} {_shape(state[unknown])} is not in {kind}; it is of another "
            "architecture"
        )
    model.load_state_dict({**own, **state})


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))
