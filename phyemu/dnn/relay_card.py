"""The card beside an exported relay: that of what arrives, and that of what is sent."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phyemu.errors import CheckpointError, ConfigError

from .card import ArtefactCard, Part, card_of, card_path, read_card_content

__all__ = ["RelayCard", "read_relay_card", "relay_card_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayCard:
    """What an exported relay is and expects.

    Attributes:
        arriving: Of the hop before: its split point is where the segment begins.
        sending: Of the hop behind: its split point is where the segment ends.
    """

    arriving: ArtefactCard
    sending: ArtefactCard

    def __post_init__(self) -> None:
        arriving, sending = self.arriving, self.sending
        if (arriving.part, sending.part) != (Part.TAIL, Part.HEAD):
            raise ConfigError(
                f"a relay hears as a tail and sends as a head, got {arriving.part} and "
                f"{sending.part}"
            )
        for name in ("architecture", "weights_sha256", "image_shape", "class_names"):
            if getattr(arriving, name) != getattr(sending, name):
                raise ConfigError(f"the two cards of a relay differ in {name}")

    @property
    def part(self) -> Part:
        """Return that it is a relay."""
        return Part.RELAY

    def to_dict(self) -> dict[str, Any]:
        """Return the card as JSON values."""
        return {
            "part": self.part,
            "arriving": asdict(self.arriving),
            "sending": asdict(self.sending),
        }

    def to_json(self) -> str:
        """Return the card as indented JSON."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"


def read_relay_card(path: Path) -> RelayCard:
    """Return the card of an exported relay.

    Raises:
        CheckpointError: The card is missing, no JSON, or not one of a relay.
    """
    return relay_card_of(read_card_content(path), where=card_path(path))


def relay_card_of(content: Any, *, where: Path) -> RelayCard:
    """Return the card that JSON values describe.

    Args:
        content: As `RelayCard.to_dict` returns it.
        where: The file they are from, for messages.

    Raises:
        CheckpointError: They describe no card of a relay.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{where}: must hold a JSON object; export again")
    sides = {name: content.get(name) for name in ("arriving", "sending")}
    found = {
        name: card_of(side, where=where)
        for name, side in sides.items()
        if isinstance(side, Mapping)
    }
    if content.get("part") != Part.RELAY or set(content) != {"part", *found} or len(found) != 2:
        raise CheckpointError(f"{where}: is no card of a relay (part, arriving, sending)")
    try:
        return RelayCard(**found)
    except ConfigError as exc:
        raise CheckpointError(f"{where}: {exc}; export again") from exc
