"""What the card of an exported head or tail says of the waveform."""

from pathlib import Path

from phyemu.dnn.card import ArtefactCard
from phyemu.errors import CheckpointError, ConfigError
from phyemu.waveform import Constellation, FrameFormat, described_constellation
from phyemu.waveform.sent_frames import SentFrames

__all__ = ["constellation_of", "frame_format_of", "waveform_of_card"]


def waveform_of_card(path: Path, card: ArtefactCard) -> SentFrames:
    """Return what a card says of the frames on the air; `path` is named in messages.

    Raises:
        CheckpointError: It describes no constellation or no frames.
    """
    return SentFrames(
        constellation=constellation_of(path, card), frame_format=frame_format_of(path, card)
    )


def frame_format_of(path: Path, card: ArtefactCard) -> FrameFormat:
    """Return the frames that a card describes.

    Args:
        path: Of the artefact, for messages.
        card: Its card.

    Raises:
        CheckpointError: It describes none.
    """
    try:
        return FrameFormat.from_dict(card.frame)
    except ConfigError as exc:
        raise CheckpointError(f"{path}: its card describes no frames ({exc})") from exc


def constellation_of(path: Path, card: ArtefactCard) -> Constellation:
    """Return the constellation that a card describes.

    Args:
        path: Of the artefact, for messages.
        card: Its card.

    Raises:
        CheckpointError: It describes none.
    """
    try:
        found = described_constellation(card.constellation)
    except ConfigError as exc:
        raise CheckpointError(f"{path}: its card describes no constellation ({exc})") from exc
    if found.order != card.order:
        raise CheckpointError(
            f"{path}: the card has a constellation of {found.order} points for symbols of order "
            f"{card.order}"
        )
    return found
