"""The PhyDNN that a run has exported: what is evaluated is what is deployed."""

from dataclasses import dataclass
from pathlib import Path

import torch

from phyemu.dnn import PhyDnn, PhyDnnHead, PhyDnnTail, load_head, load_tail
from phyemu.errors import CheckpointError
from phyemu.waveform import Constellation, FrameFormat, constellation, custom_constellation

__all__ = ["ExportedPhyDnn", "check_exported", "load_exported"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedPhyDnn:
    """Head and tail that belong together, and what they send.

    Attributes:
        head: The device's side.
        tail: The server's side.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
    """

    head: PhyDnnHead
    tail: PhyDnnTail
    constellation: Constellation
    frame_format: FrameFormat

    @property
    def order(self) -> int:
        """M."""
        return self.constellation.order

    @property
    def symbols_per_image(self) -> int:
        """N_s."""
        return self.tail.layout.num_slices

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
        constellation=_constellation(folder / "tail" / name, tail),
        frame_format=FrameFormat.from_dict(tail.card.frame),
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


def _orders(folder: Path) -> list[int]:
    names = [path.stem[1:] for path in (folder / "head").glob("m*.safetensors")]
    return [int(name) for name in names if name.isdecimal()]


def _constellation(path: Path, tail: PhyDnnTail) -> Constellation:
    card = tail.card.constellation
    try:
        name, order = str(card["name"]), int(card["order"])
        if order != tail.card.num_embeddings:
            raise CheckpointError(
                f"{path}: the card has a constellation of {order} points for "
                f"{tail.card.num_embeddings} embeddings"
            )
        if name != "custom":
            return constellation(name, order)
        pairs = torch.tensor(card["points"], dtype=torch.float32)
        return custom_constellation(torch.view_as_complex(pairs))
    except (KeyError, TypeError, ValueError, RuntimeError) as exc:
        raise CheckpointError(f"{path}: its card describes no constellation ({exc})") from exc
