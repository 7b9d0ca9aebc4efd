"""The PhyDNN that a run has exported: what is evaluated is what is deployed.

Where only one side runs, only that side is loaded: the device never sees the tail.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn import (
    Lookup,
    PhyDnn,
    PhyDnnHead,
    PhyDnnTail,
    evaluating,
    load_head,
    load_tail,
    read_card,
)
from phyemu.dnn.card import ArtefactCard, Part
from phyemu.errors import CheckpointError, ConfigError
from phyemu.run_files import CONFIG_NAME, METRICS_NAME
from phyemu.toml_config import read_toml
from phyemu.waveform import Constellation, FrameFormat
from phyemu.waveform.sent_frames import SentFrames

from .card_waveform import constellation_of, frame_format_of, waveform_of_card
from .exported_parts import exported_orders, is_chain, part_path

__all__ = [
    "ExportedHead",
    "ExportedPhyDnn",
    "ExportedTail",
    "check_exported",
    "check_two_devices",
    "exported_waveform",
    "load_exported",
    "load_exported_for",
    "load_exported_head",
    "load_exported_tail",
]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedHead:
    """The device's side alone, and what it sends.

    Attributes:
        head: Images to symbols.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
    """

    head: PhyDnnHead
    constellation: Constellation
    frame_format: FrameFormat

    @property
    def card(self) -> ArtefactCard:
        """What it is."""
        return self.head.card

    @property
    def order(self) -> int:
        """Order of the modulation: M, where a slice is one symbol."""
        return self.constellation.order

    @property
    def messages_per_position(self) -> int:
        """M, by which the files of a run are named."""
        return self.head.card.messages_per_position

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols that an image takes."""
        return self.card.symbols_per_image

    def symbols(self, images: Tensor) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of uint8 images, both on the CPU."""
        with evaluating(self.head):
            symbols: Tensor = self.head(images.to(self.head.embedding.vectors.device))
        return symbols.cpu()


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedTail:
    """The server's side alone, and what it hears.

    Attributes:
        tail: Posteriors to logits.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
    """

    tail: PhyDnnTail
    constellation: Constellation
    frame_format: FrameFormat

    @property
    def card(self) -> ArtefactCard:
        """What it is."""
        return self.tail.card

    @property
    def lookup(self) -> Lookup:
        """How the tail was trained to look posteriors up."""
        return self.tail.lookup

    @property
    def order(self) -> int:
        """Order of the modulation: M, where a slice is one symbol."""
        return self.constellation.order

    @property
    def messages_per_position(self) -> int:
        """M, by which the files of a run are named."""
        return self.tail.card.messages_per_position

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols that an image takes."""
        return self.card.symbols_per_image

    def logits(self, posteriors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return logits (batch, num_classes) of posteriors (batch, symbols_per_image, order)."""
        device = self.tail.embedding.vectors.device
        with evaluating(self.tail):
            given = torch.from_numpy(np.ascontiguousarray(posteriors)).to(device)
            logits: Tensor = self.tail(given)
        result: NDArray[np.float32] = logits.cpu().numpy()
        return result


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedPhyDnn(ExportedTail):
    """The head that belongs to a tail, with it.

    Attributes:
        head: The device's side.
    """

    head: PhyDnnHead

    def joined(self) -> PhyDnn:
        """Return both sides as one model, in evaluation mode; weights are shared with them."""
        model = PhyDnn(
            normalise=self.head.normalise,
            head=self.head.head,
            embedding=self.tail.embedding,  # with the demapper, where there is one
            tail=self.tail.tail,
            layout=self.tail.layout,
        )
        return model.eval()


def load_exported(
    path: Path, *, order: int | None = None, model: str | None = None
) -> ExportedPhyDnn:
    """Return the PhyDNN of a run folder.

    Args:
        path: A run folder, or one of the .safetensors files in its head/ or tail/.
        order: M, where the folder holds several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: There is none, a file is damaged, or head and tail do not belong together.
    """
    if path.is_file():
        folder, name = path.parent.parent, path.name
    else:
        folder = path
        check_exported(folder)
        orders = exported_orders(folder)
        if order is not None and order not in orders:
            raise CheckpointError(f"{path}: holds no PhyDNN of order {order}, but {sorted(orders)}")
        name = f"m{min(orders) if order is None else order}.safetensors"
    check_two_devices(folder)
    head = load_head(folder / "head" / name, model=model)
    tail = load_tail(folder / "tail" / name, model=model)
    tail.check_partner(head.card)
    return ExportedPhyDnn(
        head=head,
        tail=tail,
        constellation=constellation_of(folder / "tail" / name, tail.card),
        frame_format=frame_format_of(folder / "tail" / name, tail.card),
    )


def load_exported_for(
    path: Path, *, order: int, symbols_per_image: int, model: str | None = None
) -> ExportedPhyDnn:
    """Return the PhyDNN of a run folder that sends such symbols.

    Args:
        path: As for `load_exported`.
        order: Of the modulation.
        symbols_per_image: Channel symbols of an image.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: There is none, a file is damaged, or head and tail do not belong together.
    """
    if path.is_file():
        return load_exported(path, model=model)
    check_exported(path)
    found = {}
    for size in sorted(exported_orders(path)):
        card = read_card(path / "head" / f"m{size}.safetensors")
        found[card.order, card.symbols_per_image] = size
    if (order, symbols_per_image) not in found:
        known = ", ".join(f"{count} of order {size}" for size, count in found)
        raise CheckpointError(
            f"{path}: holds no PhyDNN that sends {symbols_per_image} symbols of order {order} an "
            f"image, but {known}"
        )
    return load_exported(path, order=found[order, symbols_per_image], model=model)


def load_exported_head(
    folder: Path, *, order: int | None = None, model: str | None = None
) -> ExportedHead:
    """Return the device's side that `folder`/head holds; there need be no tail.

    Args:
        folder: With head/mM.safetensors.
        order: M, where the folder holds several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
    """
    path = part_path(folder, Part.HEAD, order)
    head = load_head(path, model=model)
    return ExportedHead(
        head=head,
        constellation=constellation_of(path, head.card),
        frame_format=frame_format_of(path, head.card),
    )


def load_exported_tail(
    folder: Path, *, order: int | None = None, model: str | None = None
) -> ExportedTail:
    """Return the server's side that `folder`/tail holds; there need be no head.

    Args:
        folder: With tail/mM.safetensors.
        order: M, where the folder holds several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
    """
    path = part_path(folder, Part.TAIL, order)
    tail = load_tail(path, model=model)
    return ExportedTail(
        tail=tail,
        constellation=constellation_of(path, tail.card),
        frame_format=frame_format_of(path, tail.card),
    )


def exported_waveform(folder: Path, *, order: int | None = None) -> SentFrames:
    """Return what the exported head of a folder sends, from its card alone: no network is built.

    Raises:
        CheckpointError: There is none of that order, or the card is damaged.
    """
    path = part_path(folder, Part.HEAD, order)
    card = read_card(path)
    return waveform_of_card(path, card)


def check_exported(folder: Path) -> None:
    """Raise CheckpointError unless the folder holds an export; name those below a loop's folder."""
    if exported_orders(folder):
        return
    if (folder / "loop.toml").is_file():
        runs = [str(run) for run in sorted(folder.glob("phydnn-*")) if exported_orders(run)]
        if runs:
            raise CheckpointError(
                f"{folder}: the folder of a loop, which trained several PhyDNNs; name one of them: "
                f"{', '.join(runs)}"
            )
    system = _system_of(folder)
    if system is not None:
        raise CheckpointError(
            f"{folder}: holds {system} of phyemu train-baseline, which sends no symbols over a "
            f"channel; name a run of phyemu train (what this one came to is in its {METRICS_NAME})"
        )
    if (folder / CONFIG_NAME).is_file() and not (folder / METRICS_NAME).exists():
        raise CheckpointError(
            f"{folder}: the run is unfinished, and has no exported PhyDNN yet; continue it: phyemu "
            f"train --resume -o {folder}"
        )
    raise CheckpointError(
        f"{folder}: holds no exported PhyDNN (head/m*.safetensors); make one: phyemu train"
    )


def _system_of(folder: Path) -> str | None:
    """Return the system that a run folder of a baseline says to hold; None: it says none."""
    try:
        system = read_toml(folder / CONFIG_NAME).get("system")
    except ConfigError:
        return None
    return system if isinstance(system, str) else None


def check_two_devices(folder: Path) -> None:
    """Raise CheckpointError where a run is of a network on more devices."""
    if is_chain(folder):
        raise CheckpointError(
            f"{folder}: is of a network on more than two devices; phyemu evaluate takes it whole, "
            "and phyemu serve tail --sent RECORD scores what its tail receives"
        )
