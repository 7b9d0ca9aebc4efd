"""The parts that a run exported, by what runs them: torch, ONNX Runtime, TorchScript."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn import ArtefactCard, DeviceArtefact, DeviceFormat, Part, load_for_device
from phyemu.errors import ConfigError
from phyemu.evaluation import (
    HeadSide,
    RelaySide,
    TailSide,
    load_exported_head,
    load_exported_relay,
    load_exported_tail,
)
from phyemu.evaluation.card_waveform import constellation_of, frame_format_of
from phyemu.evaluation.exported_parts import part_path
from phyemu.evaluation.exported_relay import RelayEnd, relay_end, relay_path
from phyemu.waveform import Constellation, FrameFormat

__all__ = [
    "DeviceHead",
    "DeviceRelay",
    "DeviceTail",
    "load_head_side",
    "load_relay_side",
    "load_tail_side",
]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class _DeviceSide:
    artefact: DeviceArtefact
    card: ArtefactCard
    constellation: Constellation
    frame_format: FrameFormat

    @property
    def order(self) -> int:
        """Points of the constellation."""
        return self.constellation.order

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols that an image takes."""
        return self.card.symbols_per_image


class DeviceHead(_DeviceSide):
    """A head in a device's format."""

    def symbols(self, images: Tensor) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of uint8 images, both on the CPU."""
        return torch.from_numpy(self.artefact(images.numpy()).astype(np.int64))


class DeviceTail(_DeviceSide):
    """A tail in a device's format."""

    def logits(self, posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits (batch, num_classes) of posteriors (batch, symbols_per_image, order)."""
        return self.artefact(posteriors).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DeviceRelay:
    """A relay in a device's format.

    Attributes:
        artefact: What runs.
        arriving: What it hears.
        sending: What it sends.
    """

    artefact: DeviceArtefact
    arriving: RelayEnd
    sending: RelayEnd

    def symbols(self, posteriors: NDArray[np.float32]) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of posteriors."""
        return torch.from_numpy(self.artefact(posteriors).astype(np.int64))


def load_head_side(
    folder: Path,
    *,
    device_format: DeviceFormat | None = None,
    order: int | None = None,
    model: str | None = None,
) -> HeadSide:
    """Return the head of a run; there need be no tail.

    Args:
        folder: The run, or where `phyemu export` wrote to.
        device_format: What to run; None: the safetensors, by torch, on a GPU where there is one.
        order: M, where there are several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`); only for
            the safetensors.

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
        ConfigError: ONNX Runtime is missing, or a network was named for a file that needs none.
    """
    if device_format is None:
        exported = load_exported_head(folder, order=order, model=model)
        exported.head.to(_device())
        return exported
    _refuse_model(model, device_format)
    return DeviceHead(**_of_device(folder, Part.HEAD, device_format, order))


def load_tail_side(
    folder: Path,
    *,
    device_format: DeviceFormat | None = None,
    order: int | None = None,
    model: str | None = None,
) -> TailSide:
    """Return the tail of a run; there need be no head.

    Args:
        folder: The run, or where `phyemu export` wrote to.
        device_format: What to run; None: the safetensors, by torch, on a GPU where there is one.
        order: M, where there are several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`); only for
            the safetensors.

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
        ConfigError: ONNX Runtime is missing, or a network was named for a file that needs none.
    """
    if device_format is None:
        exported = load_exported_tail(folder, order=order, model=model)
        exported.tail.to(_device())
        return exported
    _refuse_model(model, device_format)
    return DeviceTail(**_of_device(folder, Part.TAIL, device_format, order))


def load_relay_side(
    folder: Path,
    *,
    relay: int | None = None,
    device_format: DeviceFormat | None = None,
    order: int | None = None,
    model: str | None = None,
) -> RelaySide:
    """Return a relay of a run; there need be neither head nor tail.

    Args:
        folder: The run, or where `phyemu export` wrote to.
        relay: Its number, from 1 behind the head; None: the only one.
        device_format: What to run; None: the safetensors, by torch, on a GPU where there is one.
        order: M, where there are several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`); only for
            the safetensors.

    Raises:
        CheckpointError: There is none, there are several and no number was given, or a file is
            damaged.
        ConfigError: ONNX Runtime is missing, or a network was named for a file that needs none.
    """
    if device_format is None:
        exported = load_exported_relay(folder, relay=relay, order=order, model=model)
        exported.relay.to(_device())
        return exported
    _refuse_model(model, device_format)
    path = relay_path(folder, relay, order, suffix=device_format.suffix)
    artefact = load_for_device(path, Part.RELAY)
    arriving, sending = artefact.card.ends
    return DeviceRelay(
        artefact=artefact, arriving=relay_end(path, arriving), sending=relay_end(path, sending)
    )


def _refuse_model(model: str | None, device_format: DeviceFormat) -> None:
    """Raise ConfigError where a network was named that would not be used."""
    if model is not None:
        raise ConfigError(
            f"a file in format {device_format} holds its network, and {model} is not imported; "
            "leave --model (in Python model=) out"
        )


class _Loaded(TypedDict):
    artefact: DeviceArtefact
    card: ArtefactCard
    constellation: Constellation
    frame_format: FrameFormat


def _of_device(folder: Path, part: Part, device_format: DeviceFormat, order: int | None) -> _Loaded:
    """Return what a side in a device's format is made of."""
    path = part_path(folder, part, order, suffix=device_format.suffix)
    artefact = load_for_device(path, part)
    (card,) = artefact.card.ends
    return {
        "artefact": artefact,
        "card": card,
        "constellation": constellation_of(path, card),
        "frame_format": frame_format_of(path, card),
    }


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
