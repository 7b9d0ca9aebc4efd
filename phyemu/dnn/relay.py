"""A device between two links, as files: what arrives on one hop is sent on by the next.

An export of a relay is NAME.safetensors (a segment of the network and two dictionaries) and
NAME.json, which holds two cards: what arrives, as a tail has it, and what is sent, as a head has.
"""

from pathlib import Path

from torch import Tensor, nn

from phyemu.errors import CheckpointError, ConfigError

from .architecture import build_architecture
from .artefact import (
    ArtefactInfo,
    below,
    check_shapes,
    describe_part,
    embedding_of_card,
    read_weights,
    weights_content,
    write_artefact,
)
from .card import ArtefactCard, Part, card_path
from .embedding import Embedding, Lookup
from .multi_hop import MultiHopPhyDnn
from .pretrained import install_state
from .relay_card import RelayCard, read_relay_card
from .slices import from_slices, to_slices
from .split import cut

__all__ = ["PhyDnnRelay", "export_relay", "load_relay"]


class PhyDnnRelay(nn.Module):
    """The device between two links: posteriors in, symbols out."""

    def __init__(
        self, card: RelayCard, *, arriving: Embedding, segment: nn.Module, sending: Embedding
    ) -> None:
        super().__init__()
        self.card = card
        self.arriving = arriving
        self.segment = segment
        self.sending = sending
        self.layout = card.arriving.layout

    def forward(self, posteriors: Tensor, lookup: Lookup | None = None) -> Tensor:
        """Return the symbols to send on, (batch, symbols an image) int64.

        Args:
            posteriors: Of the symbols that arrived, (batch, symbols an image, M_c); rows of equal
                entries mark lost ones.
            lookup: Hard or soft; None: as in training.
        """
        mode = Lookup(self.card.arriving.lookup) if lookup is None else lookup
        features = self.segment(from_slices(self.arriving.lookup(posteriors, mode), self.layout))
        return self.sending.encode(to_slices(features, self.card.sending.layout.slice_size))

    def check_partner(self, sender: ArtefactCard) -> None:
        """Raise CheckpointError unless that sender has the dictionary that this relay hears by."""
        if sender.embedding_sha256 != self.card.arriving.embedding_sha256:
            raise CheckpointError(
                "a relay and what sends to it have different dictionaries, so they are of "
                "different exports; export all parts from one run"
            )


def export_relay(
    model: MultiHopPhyDnn, hop: int, path: Path, arriving: ArtefactInfo, sending: ArtefactInfo
) -> RelayCard:
    """Write the segment between hops `hop` and `hop + 1` (from 0) to `path`, its card beside it.

    Args:
        model: The model.
        hop: The hop that arrives.
        path: .safetensors.
        arriving: Of that hop: its split point, constellation and frames.
        sending: Of the next one.

    Raises:
        ConfigError: The suffix is another, or there is no such relay.
        CheckpointError: The files cannot be written.
    """
    if not 0 <= hop < model.num_hops - 1:
        raise ConfigError(f"{model.num_hops} hops have relays 0..{model.num_hops - 2}, got {hop}")
    card_path(path)
    parts = {
        Part.RELAY: model.segments[hop + 1],
        "arriving": model.embedding_of(hop),
        "sending": model.embedding_of(hop + 1),
    }
    tensors = {
        f"{prefix}.{name}": value
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }
    content = weights_content(tensors)
    card = RelayCard(
        arriving=describe_part(model.hop(hop), arriving, Part.TAIL, content),
        sending=describe_part(model.hop(hop + 1), sending, Part.HEAD, content),
    )
    write_artefact(path, content, card.to_json())
    return card


def load_relay(
    path: Path, *, backbone: nn.Module | None = None, model: str | None = None
) -> PhyDnnRelay:
    """Return an exported relay, in evaluation mode, on the CPU.

    Args:
        path: The .safetensors file; its card lies beside it.
        backbone: The network, where it is not one of phyemu's; its weights do not matter.
        model: In place of `backbone`: the network's name, to be imported and built (`UserModel`).

    Raises:
        CheckpointError: A file is missing or damaged, or of another part or architecture.
    """
    card = read_relay_card(path)
    state = read_weights(path, card.arriving)
    try:
        if backbone is None:
            backbone = build_architecture(card.arriving.architecture, model=model)
        first, segment, last = cut(backbone, [card.arriving.split, card.sending.split])
    except ConfigError as exc:
        raise CheckpointError(f"{card_path(path)}: {exc}") from exc
    relay = PhyDnnRelay(
        card,
        arriving=embedding_of_card(path, card.arriving, state, "arriving."),
        segment=segment,
        sending=embedding_of_card(path, card.sending, state, "sending."),
    )
    install_state(relay.segment, below(state, f"{Part.RELAY}."), source=str(path))
    check_shapes(path, [first, segment, last], [card.arriving, card.sending])
    return relay.eval()
