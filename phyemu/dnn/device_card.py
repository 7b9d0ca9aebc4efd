"""The card beside a part in a device's format: what goes in and out, and whose it is."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from phyemu.errors import CheckpointError, ConfigError

from .card import ArtefactCard, Part, card_of
from .relay_card import RelayCard, relay_card_of

__all__ = ["DeviceCard", "DeviceFormat", "device_card_path", "read_device_card"]

FORMAT_VERSION = 1


class DeviceFormat(StrEnum):
    """How a part is written for machines without phyemu."""

    ONNX = "onnx"
    """For ONNX Runtime, TensorRT and others."""
    TORCHSCRIPT = "torchscript"
    """For torch alone, also from C++."""

    @property
    def suffix(self) -> str:
        """Return how the name of such a file ends."""
        return ".onnx" if self is DeviceFormat.ONNX else ".pt"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceCard:
    """What a file for a device is and expects.

    Attributes:
        format_version: Of this card; 1.
        format: Of the file.
        exporter: What wrote it, e.g. `torch 2.13.0, ONNX opset 18`.
        input: `name`, `dtype` and `shape`, whose first entry is "batch".
        output: Likewise.
        checked_with: What ran the file after it was written, e.g. `onnxruntime 1.32.0`.
        largest_difference: Of its outputs from those of the safetensors: of logits as they are, of
            symbols the share that differs.
        file_sha256: Of the file beside the card.
        artefact: The card of the safetensors it was made from.
    """

    format_version: int = FORMAT_VERSION
    format: DeviceFormat
    exporter: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    checked_with: str
    largest_difference: float
    file_sha256: str
    artefact: ArtefactCard | RelayCard

    def __post_init__(self) -> None:
        if self.format_version != FORMAT_VERSION:
            raise ConfigError(
                f"format_version must be {FORMAT_VERSION}, got {self.format_version}; export again"
            )
        object.__setattr__(self, "format", DeviceFormat(self.format))
        for name in ("input", "output"):
            value = getattr(self, name)
            if not isinstance(value, Mapping) or not {"name", "dtype", "shape"} <= value.keys():
                raise ConfigError(f"{name} must have name, dtype and shape, got {value!r}")
        for name in ("exporter", "checked_with", "file_sha256"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"{name} is of the wrong type: {getattr(self, name)!r}")

    @property
    def part(self) -> Part:
        """Return which part of the network it is."""
        return self.artefact.part

    @property
    def ends(self) -> tuple[ArtefactCard, ...]:
        """Return the card of its link; of a relay, that of what arrives and of what is sent."""
        if isinstance(self.artefact, RelayCard):
            return self.artefact.arriving, self.artefact.sending
        return (self.artefact,)

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        content = asdict(self)
        if isinstance(self.artefact, RelayCard):
            content["artefact"] = self.artefact.to_dict()
        return json.dumps(content, indent=2, allow_nan=False) + "\n"


def device_card_path(path: Path) -> Path:
    """Return where the card of a device's file lies: beside it, its whole name followed by .json.

    >>> device_card_path(Path("head/m4.onnx")).name
    'm4.onnx.json'
    """
    return path.with_name(f"{path.name}.json")


def read_device_card(path: Path) -> DeviceCard:
    """Return the card of a device's file.

    Raises:
        CheckpointError: The card is missing, no JSON, or not of this version.
    """
    beside = device_card_path(path)
    try:
        content = json.loads(beside.read_text(encoding="utf-8"))
    except OSError as exc:
        raise CheckpointError(
            f"{beside}: the card of {path.name} cannot be read ({exc.strerror}); copy both files, "
            "or write them: phyemu export"
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise CheckpointError(f"{beside}: is no JSON ({exc}); export again") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{beside}: must hold a JSON object; export again")
    known = {entry.name for entry in fields(DeviceCard)}
    for problem, names in (
        ("lacks", known - {"format_version"} - set(content)),
        ("has unknown", set(content) - known),
    ):
        if names:
            raise CheckpointError(f"{beside}: {problem} {', '.join(sorted(names))}; export again")
    described = content.pop("artefact")
    is_relay = isinstance(described, dict) and described.get("part") == Part.RELAY
    artefact = (relay_card_of if is_relay else card_of)(described, where=beside)
    try:
        return DeviceCard(**content, artefact=artefact)
    except (ConfigError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{beside}: is no valid card: {exc}") from exc
