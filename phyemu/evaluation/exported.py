"""The PhyDNN that a run has exported: what is evaluated is what is deployed.

Where only one side runs, only that side is loaded: the device never sees the tail.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from phyemu.dnn import PhyDnn, PhyDnnHead, PhyDnnTail, load_head, load_tail, read_card
from phyemu.dnn.card import ArtefactCard
from phyemu.errors import CheckpointError, ConfigError
from phyemu.waveform import Constellation, FrameFormat, constellation, custom_constellation

__all__ = [
    "ExportedHead",
    "ExportedPhyDnn",
    "ExportedTail",
    "check_exported",
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
    def order(self) -> int:
        """Order of the modulation: M, where a slice is one symbol."""
        return self.constellation.order

    @property
    def num_embeddings(self) -> int:
        """M, by which the files of a run are named."""
        return self.head.card.num_embeddings

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols of an image: N_s, times those for each slice."""
        return self.head.card.symbols_per_image


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
    def order(self) -> int:
        """Order of the modulation: M, where a slice is one symbol."""
        return self.constellation.order

    @property
    def num_embeddings(self) -> int:
        """M, by which the files of a run are named."""
        return self.tail.card.num_embeddings

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols of an image: N_s, times those for each slice."""
        return self.tail.card.symbols_per_image


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
            embedding=self.head.embedding,
            tail=self.tail.tail,
            layout=self.tail.layout,
        )
        return model.eval()


def load_exported(path: Path, *, order: int | None = None) -> ExportedPhyDnn:
    """Return the PhyDNN of a run folder.

    Args:
        path: A run folder, or one of the .safetensors files in its head/ or tail/.
        order: M, where the folder holds several; None: the smallest.

    Raises:
        CheckpointError: There is none, a file is damaged, or head and tail do not belong together.
    """
    if path.is_file():
        folder, name = path.parent.parent, path.name
    else:
        folder = path
        check_exported(folder)
        orders = _orders(folder)
        if order is not None and order not in orders:
            raise CheckpointError(f"{path}: holds no PhyDNN of order {order}, but {sorted(orders)}")
        name = f"m{min(orders) if order is None else order}.safetensors"
    head, tail = load_head(folder / "head" / name), load_tail(folder / "tail" / name)
    tail.check_partner(head.card)
    return ExportedPhyDnn(
        head=head,
        tail=tail,
        constellation=_constellation(folder / "tail" / name, tail.card),
        frame_format=_frame_format(folder / "tail" / name, tail.card),
    )


def load_exported_for(path: Path, *, order: int, symbols_per_image: int) -> ExportedPhyDnn:
    """Return the PhyDNN of a run folder that sends such symbols.

    Args:
        path: As for `load_exported`.
        order: Of the modulation.
        symbols_per_image: Channel symbols of an image.

    Raises:
        CheckpointError: There is none, a file is damaged, or head and tail do not belong together.
    """
    if path.is_file():
        return load_exported(path)
    check_exported(path)
    found = {}
    for size in sorted(_orders(path)):
        card = read_card(path / "head" / f"m{size}.safetensors")
        found[card.order, card.symbols_per_image] = size
    if (order, symbols_per_image) not in found:
        known = ", ".join(f"{count} of order {size}" for size, count in found)
        raise CheckpointError(
            f"{path}: holds no PhyDNN that sends {symbols_per_image} symbols of order {order} an "
            f"image, but {known}"
        )
    return load_exported(path, order=found[order, symbols_per_image])


def load_exported_head(folder: Path, *, order: int | None = None) -> ExportedHead:
    """Return the device's side that `folder`/head holds; there need be no tail.

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
    """
    path = _side(folder, "head", order)
    head = load_head(path)
    return ExportedHead(
        head=head,
        constellation=_constellation(path, head.card),
        frame_format=_frame_format(path, head.card),
    )


def load_exported_tail(folder: Path, *, order: int | None = None) -> ExportedTail:
    """Return the server's side that `folder`/tail holds; there need be no head.

    Raises:
        CheckpointError: There is none of that order, or a file is damaged.
    """
    path = _side(folder, "tail", order)
    tail = load_tail(path)
    return ExportedTail(
        tail=tail,
        constellation=_constellation(path, tail.card),
        frame_format=_frame_format(path, tail.card),
    )


def check_exported(folder: Path) -> None:
    """Raise CheckpointError unless the folder holds an export; name those below a loop's folder."""
    if _orders(folder):
        return
    if (folder / "loop.toml").is_file():
        runs = [str(run) for run in sorted(folder.glob("phydnn-*")) if _orders(run)]
        if runs:
            raise CheckpointError(
                f"{folder}: the folder of a loop, which trained several PhyDNNs; name one of them: "
                f"{', '.join(runs)}"
            )
    raise CheckpointError(
        f"{folder}: holds no exported PhyDNN (head/m*.safetensors); make one: phyemu train"
    )


def _orders(folder: Path, side: str = "head") -> list[int]:
    names = [path.stem[1:] for path in (folder / side).glob("m*.safetensors")]
    return [int(name) for name in names if name.isdecimal()]


def _side(folder: Path, side: str, order: int | None) -> Path:
    """Return the file of one side, of the smallest order where none is given."""
    orders = _orders(folder, side)
    if not orders:
        raise CheckpointError(f"{folder}: holds no exported {side} ({side}/m*.safetensors)")
    if order is not None and order not in orders:
        raise CheckpointError(f"{folder}: holds no {side} of order {order}, but {sorted(orders)}")
    return folder / side / f"m{min(orders) if order is None else order}.safetensors"


def _frame_format(path: Path, card: ArtefactCard) -> FrameFormat:
    try:
        return FrameFormat.from_dict(card.frame)
    except ConfigError as exc:
        raise CheckpointError(f"{path}: its card describes no frames ({exc})") from exc


def _constellation(path: Path, card: ArtefactCard) -> Constellation:
    described = card.constellation
    try:
        name, order = str(described["name"]), int(described["order"])
        if order != card.order:
            raise CheckpointError(
                f"{path}: the card has a constellation of {order} points for symbols of order "
                f"{card.order}"
            )
        if name != "custom":
            return constellation(name, order)
        pairs = torch.tensor(described["points"], dtype=torch.float32)
        return custom_constellation(torch.view_as_complex(pairs))
    except (KeyError, TypeError, ValueError, RuntimeError) as exc:
        raise CheckpointError(f"{path}: its card describes no constellation ({exc})") from exc
