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
from phyemu.whole_file import write_whole

from .architecture import build_architecture
from .card import ArtefactCard, Part, card_path, read_card
from .demapper import Demapper
from .embedding import Embedding, Lookup, Score
from .modes import evaluating
from .normalise import Normalise
from .phydnn import PhyDnn
from .pretrained import install_state
from .slices import from_slices, to_slices
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
        features = self.head(self.normalise(images))
        return self.embedding.encode(to_slices(features, self.card.layout.slice_size))


class PhyDnnTail(nn.Module):
    """The server's side: posteriors in, logits out."""

    def __init__(self, card: ArtefactCard, *, embedding: Embedding, tail: nn.Module) -> None:
        super().__init__()
        self.card = card
        self.embedding = embedding
        self.tail = tail
        self.layout = card.layout
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
        CheckpointError: The files cannot be written.
    """
    return _export(model, path, info, Part.HEAD, model.head)


def export_tail(model: PhyDnn, path: Path, info: ArtefactInfo) -> ArtefactCard:
    """Write dictionary and tail to `path` (.safetensors) and its card beside it.

    Raises:
        ConfigError: The suffix is another, or `info` does not fit the model.
        CheckpointError: The files cannot be written.
    """
    return _export(model, path, info, Part.TAIL, model.tail)


def load_head(
    path: Path, *, backbone: nn.Module | None = None, model: str | None = None
) -> PhyDnnHead:
    """Return an exported head, in evaluation mode, on the CPU.

    Args:
        path: The .safetensors file; its card lies beside it.
        backbone: The network, where it is not one of phyemu's; its weights do not matter and are
            overwritten.
        model: In place of `backbone`: the network's name, as the card has it, to be imported and
            built (`UserModel`). Without either nothing is imported that a card names.

    Raises:
        CheckpointError: A file is missing or damaged, or of another part or architecture.
    """
    card, state = _read(path, Part.HEAD)
    head, tail = _parts(path, card, backbone, model)
    try:
        normalise = Normalise(card.mean, card.std)
    except ConfigError as exc:
        raise CheckpointError(f"{card_path(path)}: {exc}") from exc
    loaded = PhyDnnHead(
        card, normalise=normalise, head=head, embedding=embedding_of_card(path, card, state)
    )
    install_state(loaded.head, below(state, "head."), source=str(path))
    check_shapes(path, [head, tail], [card])
    return loaded.eval()


def load_tail(
    path: Path, *, backbone: nn.Module | None = None, model: str | None = None
) -> PhyDnnTail:
    """Return an exported tail, in evaluation mode, on the CPU.

    Args:
        path: The .safetensors file; its card lies beside it.
        backbone: The network, where it is not one of phyemu's; its weights do not matter and are
            overwritten.
        model: In place of `backbone`: the network's name, as the card has it, to be imported and
            built (`UserModel`). Without either nothing is imported that a card names.

    Raises:
        CheckpointError: A file is missing or damaged, or of another part or architecture.
    """
    card, state = _read(path, Part.TAIL)
    head, tail = _parts(path, card, backbone, model)
    loaded = PhyDnnTail(card, embedding=embedding_of_card(path, card, state), tail=tail)
    install_state(loaded.tail, below(state, "tail."), source=str(path))
    check_shapes(path, [head, tail], [card])
    return loaded.eval()


def _export(
    model: PhyDnn, path: Path, info: ArtefactInfo, part: Part, side: nn.Module
) -> ArtefactCard:
    card_path(path)  # refuses another suffix before anything is written
    tensors = {f"{part}.{name}": value for name, value in side.state_dict().items()}
    dictionary = model.embedding.state_dict()
    if part is Part.HEAD:  # the demapper is the server's
        dictionary = {name: dictionary[name] for name in _SHARED}
    tensors |= {f"embedding.{name}": value for name, value in dictionary.items()}
    content = weights_content(tensors)
    card = describe_part(model, info, part, content)
    write_artefact(path, content, card.to_json())
    return card


def weights_content(tensors: Mapping[str, Tensor]) -> bytes:
    """Return tensors as the content of a .safetensors file."""
    # Copies: safetensors takes neither shared nor permuted (channels_last) storage.
    return safetensors.torch.save(
        {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    )


def describe_part(model: PhyDnn, info: ArtefactInfo, part: Part, content: bytes) -> ArtefactCard:
    """Return the card of one side of a link, whose weights are in `content`."""
    vectors = model.embedding.vectors.detach().cpu().contiguous().numpy()
    return ArtefactCard(
        part=part,
        architecture=dict(info.architecture),
        split=info.split,
        num_embeddings=model.embedding.num_embeddings,
        symbols_per_slice=model.embedding.symbols_per_slice,
        num_codebooks=model.embedding.num_codebooks,
        slice_dim=model.embedding.dim,
        slice_size=model.layout.slice_size,
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


def write_artefact(path: Path, content: bytes, card: str) -> None:
    """Write weights, and the card beside them, each whole or not at all; their folder is made.

    Raises:
        CheckpointError: They cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        write_whole(card_path(path), card)
    except OSError as exc:
        raise CheckpointError(f"{path}: cannot be written ({exc.strerror or exc})") from exc


def _read(path: Path, part: Part) -> tuple[ArtefactCard, dict[str, Tensor]]:
    card = read_card(path)
    if card.part is not part:
        raise CheckpointError(f"{path}: is a {card.part}, not a {part}")
    return card, read_weights(path, card)


def read_weights(path: Path, card: ArtefactCard) -> dict[str, Tensor]:
    """Return the tensors of a .safetensors file that is the one its card describes."""
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
        return safetensors.torch.load(content)
    except (SafetensorError, ValueError, KeyError) as exc:
        raise CheckpointError(f"{path}: is no safetensors file ({exc})") from exc


def _parts(
    path: Path, card: ArtefactCard, backbone: nn.Module | None, model: str | None
) -> tuple[nn.Module, nn.Module]:
    try:
        if backbone is None:
            backbone = build_architecture(card.architecture, model=model)
        return split_model(backbone, card.split)
    except ConfigError as exc:
        raise CheckpointError(f"{card_path(path)}: {exc}") from exc


def check_shapes(path: Path, segments: Sequence[nn.Module], cards: Sequence[ArtefactCard]) -> None:
    """Raise CheckpointError unless one blank image has the shapes that the cards of its hops say.

    Args:
        path: The .safetensors file.
        segments: Of the network, from the images to the logits.
        cards: One for each cut between them.
    """
    names, shape = cards[0].class_names, cards[0].image_shape
    whole = nn.Sequential(*segments)
    try:
        with evaluating(whole):
            features = torch.zeros((1, *shape))
            for segment, card in zip(segments, cards, strict=False):
                features = segment(features)
                if features.shape[1:] != card.feature_shape:
                    raise CheckpointError(
                        f"{card_path(path)}: features behind {card.split} are "
                        f"{tuple(features.shape[1:])}, but the card says {card.feature_shape}"
                    )
            logits = segments[-1](features)
    except (RuntimeError, ValueError, TypeError, AssertionError) as exc:
        reason = " ".join(str(exc).split())
        raise CheckpointError(
            f"{card_path(path)}: the network does not take images of {shape} ({reason})"
        ) from exc
    if logits.shape[1:] != (len(names),):
        raise CheckpointError(
            f"{card_path(path)}: the network tells {logits.shape[-1]} classes apart, but the card "
            f"names {len(names)}"
        )


def embedding_of_card(
    path: Path, card: ArtefactCard, state: Mapping[str, Tensor], prefix: str = "embedding."
) -> Embedding:
    """Return the dictionary that a file holds under a prefix, as its card describes it."""
    own = below(state, prefix)
    if not _SHARED <= set(own):
        raise CheckpointError(f"{path}: holds no dictionary of embeddings; export again")
    expected = (card.num_codebooks * card.num_embeddings, card.slice_dim)
    if own["vectors"].shape != expected:
        raise CheckpointError(
            f"{path}: embeddings are {tuple(own['vectors'].shape)}, but the card says {expected}"
        )
    try:
        embedding = Embedding(
            own["vectors"],
            score=Score(card.score),
            score_scale=own["score_scale"].reshape(-1).tolist(),
            symbols_per_slice=card.symbols_per_slice,
            num_codebooks=card.num_codebooks,
            demapper=Demapper(
                card.order,
                card.symbols_per_slice // card.num_codebooks,
                generator=torch.Generator(),
            )
            if card.part is Part.TAIL and Lookup(card.lookup) is Lookup.LEARNED
            else None,
        )
    except (ConfigError, ValueError) as exc:
        raise CheckpointError(f"{path}: {exc}") from exc
    install_state(embedding, own, source=str(path))
    return embedding


def below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    return {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
