"""The card beside an exported head or tail: all that its user must know, as JSON."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from phyemu.errors import CheckpointError, ConfigError

from .embedding import Lookup
from .slices import SliceLayout
from .symbol_tuples import channel_order, messages_per_position

__all__ = ["ArtefactCard", "Part", "card_of", "card_path", "read_card"]

FORMAT_VERSION = 1
_MOST_VALUES = 2**26  # of an image: 8192 x 2730 pixels of three colours

# Older cards know neither several symbols, codebooks and positions for each slice nor the lookup.
_OPTIONAL = {
    "provenance",
    "format_version",
    "symbols_per_slice",
    "num_codebooks",
    "slice_size",
    "lookup",
}

_KINDS: dict[str, type | tuple[type, ...]] = {
    "architecture": Mapping,
    "split": str,
    "num_embeddings": int,
    "symbols_per_slice": int,
    "num_codebooks": int,
    "slice_dim": int,
    "slice_size": int,
    "feature_shape": int,
    "score": str,
    "lookup": str,
    "image_shape": int,
    "mean": (int, float),
    "std": (int, float),
    "class_names": str,
    "constellation": Mapping,
    "frame": Mapping,
    "provenance": Mapping,
    "embedding_sha256": str,
    "weights_sha256": str,
}


_TUPLES = ("slice_size", "feature_shape", "image_shape", "mean", "std", "class_names")


class Part(StrEnum):
    """Which side of the link an artefact runs on."""

    HEAD = "head"
    TAIL = "tail"
    RELAY = "relay"


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtefactCard:
    """What an exported head or tail is and expects.

    Attributes:
        format_version: Of this card; 1.
        part: Head (device) or tail (server).
        architecture: `{"name": "cifar-resnet", "depth": ..., ...}`, or `{"name": ...}` of a network
            that the user brings.
        split: Name of the last submodule of the head.
        num_embeddings: Of each codebook: M, where a position is a slice and has one.
        symbols_per_slice: u, channel symbols for each slice; their order is
            num_embeddings^(num_codebooks/u).
        num_codebooks: Codebooks, which share the u symbols.
        slice_dim: The length of a slice.
        slice_size: Positions that a slice covers, [height, width].
        feature_shape: Of one image at the cut: [D, H, W] or [tokens, D].
        score: How slices and embeddings are compared.
        lookup: How the tail was trained to look posteriors up: `hard`, `soft` or `learned`.
        image_shape: [channels, height, width].
        mean: Mean of each channel that the head subtracts, full scale 1.
        std: Standard deviation of each channel that the head divides by.
        class_names: Name of each output of the tail.
        constellation: Symbol m is its point m; `points` are [real, imaginary] pairs.
        frame: Settings of the frames on the air, as the waveform room writes them.
        provenance: Where it comes from: run, seed, data, channel, accuracy.
        embedding_sha256: Of the dictionary; equal in the head and the tail that belong together.
        weights_sha256: Of the .safetensors file beside the card.
    """

    format_version: int = FORMAT_VERSION
    part: Part
    architecture: Mapping[str, Any]
    split: str
    num_embeddings: int
    symbols_per_slice: int = 1
    num_codebooks: int = 1
    slice_dim: int
    slice_size: tuple[int, int] = (1, 1)
    feature_shape: tuple[int, ...]
    score: str
    lookup: str = "hard"
    image_shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    constellation: Mapping[str, Any]
    frame: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    embedding_sha256: str
    weights_sha256: str

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ConfigError(
                f"format_version must be {FORMAT_VERSION}, got {self.format_version}; export again"
            )
        object.__setattr__(self, "part", Part(self.part))
        for name in _TUPLES:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, kind in _KINDS.items():
            value = getattr(self, name)
            items = value if isinstance(value, tuple) else (value,)
            if not all(isinstance(item, kind) and not isinstance(item, bool) for item in items):
                raise ConfigError(f"{name} is of the wrong type: {value!r}")
        Lookup(self.lookup)
        if len(self.slice_size) != 2:
            raise ConfigError(f"slice_size must be [height, width], got {self.slice_size}")
        if self.layout.dim != self.slice_dim:
            raise ConfigError(
                f"slice_dim must be {self.layout.dim} for features of {self.feature_shape}, got "
                f"{self.slice_dim}"
            )
        if len(self.image_shape) != 3 or not 0 < math.prod(self.image_shape) <= _MOST_VALUES:
            raise ConfigError(
                f"image_shape must be [channels, height, width] of at most {_MOST_VALUES} values, "
                f"got {list(self.image_shape)}"
            )
        for name in ("mean", "std"):
            if not all(math.isfinite(value) for value in getattr(self, name)):
                raise ConfigError(f"{name} must be finite, got {getattr(self, name)}")
        points = self.constellation.get("points", ())
        if len(points) != self.order:
            raise ConfigError(
                f"constellation must list one point for each of the {self.order} symbols, got "
                f"{len(points)}"
            )
        for point in points:
            if len(point) != 2 or not all(math.isfinite(value) for value in point):
                raise ConfigError(f"a constellation point is [real, imaginary], got {point}")

    @property
    def order(self) -> int:
        """M_c, the order of the modulation."""
        return channel_order(self.num_embeddings, self.symbols_per_slice, self.num_codebooks)

    @property
    def messages_per_position(self) -> int:
        """M, by which a run names its files.

        Raises:
            ConfigError: It is no integer.
        """
        return messages_per_position(
            self.num_embeddings, self.layout.positions_per_slice, self.num_codebooks
        )

    @property
    def hop(self) -> int | None:
        """Which link of a network on more than two devices, from 1; None: it has but one."""
        hop = self.provenance.get("hop")
        return hop if isinstance(hop, int) else None

    @property
    def layout(self) -> SliceLayout:
        """How slices and features correspond."""
        return SliceLayout(self.feature_shape, self.slice_size)

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols of an image."""
        return self.layout.num_slices * self.symbols_per_slice

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"


def card_path(weights_path: Path) -> Path:
    """Return where the card of a .safetensors file lies: beside it, as .json.

    Raises:
        ConfigError: The path has another suffix.
    """
    if weights_path.suffix != ".safetensors":
        raise ConfigError(f"{weights_path}: an exported head or tail must be named .safetensors")
    return weights_path.with_suffix(".json")


def read_card(weights_path: Path) -> ArtefactCard:
    """Return the card of a .safetensors file.

    Raises:
        CheckpointError: The card is missing, no JSON, or not of this version.
    """
    return card_of(read_card_content(weights_path), where=card_path(weights_path))


def read_card_content(weights_path: Path) -> dict[str, Any]:
    """Return the JSON object beside a .safetensors file.

    Raises:
        CheckpointError: It is missing or no JSON object.
    """
    path = card_path(weights_path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CheckpointError(
            f"{path}: the card of {weights_path.name} cannot be read ({exc.strerror}); copy both "
            "files"
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise CheckpointError(f"{path}: is no JSON ({exc}); export again") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: must hold a JSON object; export again")
    return content


def card_of(content: Any, *, where: Path) -> ArtefactCard:
    """Return the card that JSON values describe.

    Args:
        content: As `ArtefactCard.to_json` writes it, parsed.
        where: The file they are from, for messages.

    Raises:
        CheckpointError: They describe no card of this version.
    """
    if not isinstance(content, dict):
        raise CheckpointError(f"{where}: must hold a JSON object; export again")
    if content.get("part") == Part.RELAY:
        raise CheckpointError(f"{where}: is of a relay between two links, not of a head or tail")
    known = {entry.name for entry in fields(ArtefactCard)}
    needed = known - _OPTIONAL
    for problem, names in (("lacks", needed - set(content)), ("has unknown", set(content) - known)):
        if names:
            raise CheckpointError(f"{where}: {problem} {', '.join(sorted(names))}; export again")
    try:
        return ArtefactCard(**content)
    except (ConfigError, TypeError, ValueError, AttributeError, ArithmeticError) as exc:
        raise CheckpointError(f"{where}: is no valid card: {exc}") from exc
