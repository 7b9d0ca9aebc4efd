"""The parts that a run with several split points has exported, from the device to the server."""

from dataclasses import dataclass
from pathlib import Path

from phyemu.dnn import (
    PhyDnnHead,
    PhyDnnRelay,
    PhyDnnTail,
    load_head,
    load_relay,
    load_tail,
)
from phyemu.dnn.card import ArtefactCard
from phyemu.errors import CheckpointError
from phyemu.waveform.sent_frames import SentFrames

from .card_waveform import waveform_of_card
from .exported_parts import exported_orders, is_chain, relay_name

__all__ = ["ExportedChain", "load_exported_chain"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedChain:
    """Head, relays and tail that belong together.

    Attributes:
        head: Images to the symbols of the first hop.
        relays: Posteriors of a hop to the symbols of the next.
        tail: Posteriors of the last hop to logits.
        waveforms: Constellation and frames of each hop.
    """

    head: PhyDnnHead
    relays: tuple[PhyDnnRelay, ...]
    tail: PhyDnnTail
    waveforms: tuple[SentFrames, ...]

    @property
    def num_hops(self) -> int:
        """Links between the parts."""
        return len(self.waveforms)

    @property
    def messages_per_position(self) -> int:
        """M."""
        return self.tail.card.messages_per_position

    def senders(self) -> tuple[ArtefactCard, ...]:
        """Return the card of what sends on each hop."""
        return (self.head.card, *(relay.card.sending for relay in self.relays))


def load_exported_chain(
    folder: Path, *, order: int | None = None, model: str | None = None
) -> ExportedChain:
    """Return the parts of a run folder: head, relay1, relay2, ..., tail.

    Args:
        folder: Run folder.
        order: M, where the folder holds several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: It holds no such parts, a file is damaged, or they do not belong together.
    """
    if not is_chain(folder):
        raise CheckpointError(f"{folder}: holds no relay (relay1/m*.safetensors)")
    orders = exported_orders(folder)
    if not orders or (order is not None and order not in orders):
        raise CheckpointError(
            f"{folder}: holds no PhyDNN of order {'any' if order is None else order}, but "
            f"{sorted(orders)}"
        )
    name = f"m{min(orders) if order is None else order}.safetensors"
    head = load_head(folder / "head" / name, model=model)
    relays: list[PhyDnnRelay] = []
    while is_chain(folder, relay=len(relays) + 1):
        relays.append(load_relay(folder / relay_name(len(relays) + 1) / name, model=model))
    tail = load_tail(folder / "tail" / name, model=model)
    senders = [head.card, *(relay.card.sending for relay in relays)]
    for relay, sender in zip(relays, senders, strict=False):
        relay.check_partner(sender)
    tail.check_partner(senders[-1])
    return ExportedChain(
        head=head,
        relays=tuple(relays),
        tail=tail,
        waveforms=tuple(waveform_of_card(folder, sender) for sender in senders),
    )
