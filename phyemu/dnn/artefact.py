"""Heads and tails as files: written apart, as they run on different machines.

An artefact is NAME.safetensors (weights of one side and the dictionary) and NAME.json (its card).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from phyemu.errors import CheckpointError, ConfigError

from .architecture import build_architecture
from .card import ArtefactCard, Part, card_path, read_card
from .demapper import Demapper
from .embedding import Embedding, Lookup, Score
from .normalise import Normalise
from .phydnn import PhyDnn
from .pretrained import install_state
from .slices import SliceLayout, from_slices, to_slices
from .split import split_model

_SHARED = {"vectors", "score_scale"}  # of the dictionary, by both sides

__all__ = [
    "ArtefactInfo",
    "PhyDnnHead",
    "PhyDnnTail",
    "export_head",
    "export_tail",
    "load_head",
    "load_tail",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtefactInfo:
    """What an export must say that the model does not know.

    Attributes:
        architecture: Of `describe_architecture`.
        split: Name of the last submodule of the head.
        image_shape: (channels, height, width).
        class_names: Name of each class.
        constellation: `name`, `order`, and `points` as [real, imaginary] pairs, m for
            symbol m.
        frame: Settings of the frames on the air.
        provenance: Where the model comes from.
        lookup: How the tail was trained to look posteriors up.
    """

    architecture: Mapping[str, Any]
    split: str
    image_shape: tuple[int, int, int]
    class_names: Sequence[str]
    constellation: Mapping[str, Any]
    frame: Mapping[str, Any]
    provenance: Mapping[str, Any]
    lookup: Lookup = Lookup.HARD


class PhyDnnHead(nn.Module):
    """The device's side: images in, symbols out."""

    def __init__(
        self, card: ArtefactCard, *, normalise: Normalise, head: nn.Module, embedding: Embedding
    ) -> None:
        super().__init__()
        self.card = card
        self.normalise = normalise
        self.head = head
        self.embedding = embedding

    def forward(self, images: Tensor) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of images (batch, channels, H, W).

        Args:
            images: uint8, or float in [0, 1]; normalised here.
        """
        return self.embedding.encode(to_slices(self.head(self.normalise(images))))


class PhyDnnTail(nn.Module):
    """The server's side: posteriors in, logits out."""

    def __init__(self, card: ArtefactCard, *, embedding: Embedding, tail: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.embedding = embedding
        self.tail = tail
        self.layout = SliceLayout(card.feature_shape)
        self.lookup = Lookup(card.lookup)

    def forward(self, posteriors: Tensor, lookup: Lookup | None = None) -> Tensor:
        """Return logits (batch, num_classes) of posteriors (batch, symbols_per_image, M_c).

        Args:
            posteriors: Rows of equal entries mark lost symbols.
            lookup: Hard, soft or learned; None: as in training.

        Raises:
            ConfigError: The lookup is learned, but the tail has no demapper.
        """
        mode = self.lookup if lookup is None else lookup
        logits: Tensor = self.tail(
            from_slices(self.embedding.lookup(posteriors, mode), self.layout)
        )
        return logits.float()

    def check_partner(self, head: ArtefactCard) -> None:
        """Raise CheckpointError unless that head has the dictionary of this tail."""
        if head.embedding_sha256 != self.card.embedding_sha256:
            raise CheckpointError(
                "head and tail have different dictionaries, so they are of different exports; "
                "export both from one run"
            )


def export_head(model: PhyDnn, path: Path, info: ArtefactInfo) -> ArtefactCard:
    """Write normalisation, head and dictionary to `path` (.safetensors) and its card beside it.

    Raises:
        ConfigError: The suffix is another, or `info` does not fit the model.
    """
    return _export(model, path, info, Part.HEAD, model.head)


def export_tail(model: PhyDnn, path: Path, info: ArtefactInfo) -> ArtefactCard:
    """Write dictionary and tail to `path` (.safetensors) and its card beside it.

    Raises:
        ConfigError: The suffix is another, or `info` does not fit the model.
    """
    return _export(model, path, info, Part.TAIL, model.tail)


def load_head(path: Path, *, backbone: nn.Module | None = None) -> PhyDnnHead:
    """Return an exported head, in evaluation mode, on the CPU.

    Args:
        path: The .safetensors file; its card lies beside it.
        backbone: The network, where it is not one of phyemu's; its weights do not matter and are
            overwritten.

    Raises:
        CheckpointError: A file is missing or damaged, or of another part or architecture.
    """
    card, state = _read(path, Part.HEAD)
    head, _ = _parts(path, card, backbone)
    try:
        normalise = Normalise(card.mean, card.std)
    except ConfigError as exc:
        raise CheckpointError(f"{card_path(path)}: {exc}") from exc
    loaded = PhyDnnHead(
        card, normalise=normalise, head=head, embedding=_embedding(path, card, state)
    )
    install_state(loaded.head, _below(state, "head."), source=str(path))
    return loaded.eval()


def load_tail(path: Path, *, backbone: nn.Module | None = None) -> PhyDnnTail:
    """Return an exported tail, in evaluation mode, on the CPU.

    Args:
        path: The .safetensors file; its card lies beside it.
        backbone: The network, where it is not one of phyemu's; its weights do not matter and are
            overwritten.

    Raises:
        CheckpointError: A file is missing or damaged, or of another part or architecture.
    """
    card, state = _read(path, Part.TAIL)
    _, tail = _parts(path, card, backbone)
    loaded = PhyDnnTail(card, embedding=_embedding(path, card, state), tail=tail)
    install_state(loaded.tail, _below(state, "tail."), source=str(path))
    return loaded.eval()


def _export(
    model: PhyDnn, path: Path, info: ArtefactInfo, part: Part, side: nn.Module
) -> ArtefactCard:
    beside = card_path(path)
    tensors = {f"{part}.{name}": value for name, value in side.state_dict().items()}
    dictionary = model.embedding.state_dict()
    if part is Part.HEAD:  # the demapper is the server's
        dictionary = {name: dictionary[name] for name in _SHARED}
    tensors |= {f"embedding.{name}": value for name, value in dictionary.items()}
    # Copies: safetensors takes neither shared nor permuted (channels_last) storage.
    content = safetensors.torch.save(
        {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    )
    vectors = model.embedding.vectors.detach().cpu().contiguous().numpy()
    card = ArtefactCard(
        part=part,
        architecture=dict(info.architecture),
        split=info.split,
        num_embeddings=model.embedding.num_embeddings,
        symbols_per_slice=model.embedding.symbols_per_slice,
        slice_dim=model.embedding.dim,
        feature_shape=model.layout.shape,
        score=str(model.embedding.score),
        lookup=str(info.lookup),
        image_shape=info.image_shape,
        mean=tuple(model.normalise.mean.tolist()),
        std=tuple(model.normalise.std.tolist()),
        class_names=tuple(info.class_names),
        constellation=dict(info.constellation),
        frame=dict(info.frame),
        provenance=dict(info.provenance),
        embedding_sha256=hashlib.sha256(vectors.tobytes()).hexdigest(),
        weights_sha256=hashlib.sha256(content).hexdigest(),
    )
    _write_whole(path, content)
    _write_whole(beside, card.to_json().encode())
    return card


def _write_whole(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _read(path: Path, part: Part) -> tuple[ArtefactCard, dict[str, Tensor]]:
    card = read_card(path)
    if card.part is not part:
        raise CheckpointError(f"{path}: is a {card.part}, not a {part}")
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be read ({exc.strerror})") from exc
    if hashlib.sha256(content).hexdigest() != card.weights_sha256:
        raise CheckpointError(
            f"{path}: is damaged, or not the file that {card_path(path).name} describes; copy both "
            "again"
        )
    try:
        return card, safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as exc:
        raise CheckpointError(f"{path}: is no safetensors file ({exc})") from exc


def _parts(
    path: Path, card: ArtefactCard, backbone: nn.Module | None
) -> tuple[nn.Module, nn.Module]:
    try:
        network = build_architecture(card.architecture) if backbone is None else backbone
        return split_model(network, card.split)
    except ConfigError as exc:
        raise CheckpointError(f"{card_path(path)}: {exc}") from exc


def _embedding(path: Path, card: ArtefactCard, state: Mapping[str, Tensor]) -> Embedding:
    own = _below(state, "embedding.")
    if not _SHARED <= set(own):
        raise CheckpointError(f"{path}: holds no dictionary of embeddings; export again")
    if own["vectors"].shape != (card.num_embeddings, card.slice_dim):
        raise CheckpointError(
            f"{path}: embeddings are {tuple(own['vectors'].shape)}, but the card says "
            f"{(card.num_embeddings, card.slice_dim)}"
        )
    try:
        embedding = Embedding(
            own["vectors"],
            score=Score(card.score),
            score_scale=float(own["score_scale"]),
            symbols_per_slice=card.symbols_per_slice,
            demapper=Demapper(card.order, card.symbols_per_slice, generator=torch.Generator())
            if card.part is Part.TAIL and Lookup(card.lookup) is Lookup.LEARNED
            else None,
        )
    except (ConfigError, ValueError) as exc:
        raise CheckpointError(f"{path}: {exc}") from exc
    install_state(embedding, own, source=str(path))
    return embedding


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
