"""The relay that a run with several split points has exported, alone on its device."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.dnn import PhyDnnRelay, evaluating, load_relay
from phyemu.dnn.card import ArtefactCard
from phyemu.errors import CheckpointError
from phyemu.waveform import Constellation, FrameFormat

from .card_waveform import constellation_of, frame_format_of
from .exported_parts import part_path, relay_name, relay_numbers

__all__ = ["ExportedRelay", "RelayEnd", "load_exported_relay", "relay_end", "relay_path"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class RelayEnd:
    """One of the two links of a relay.

    Attributes:
        card: Of what arrives, as a tail has it, or of what is sent, as a head has.
        constellation: Point m is sent for symbol m.
        frame_format: Frames on the air.
    """

    card: ArtefactCard
    constellation: Constellation
    frame_format: FrameFormat

    @property
    def order(self) -> int:
        """Points of the constellation."""
        return self.constellation.order

    @property
    def symbols_per_image(self) -> int:
        """Channel symbols that an image takes."""
        return self.card.symbols_per_image


def relay_end(path: Path, card: ArtefactCard) -> RelayEnd:
    """Return one of the links of a relay; `path` is named in messages.

    Raises:
        CheckpointError: The card describes no constellation or no frames.
    """
    return RelayEnd(
        card=card,
        constellation=constellation_of(path, card),
        frame_format=frame_format_of(path, card),
    )


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class ExportedRelay:
    """A relay, run by torch.

    Attributes:
        relay: Posteriors of one link to the symbols of the next.
        arriving: What it hears.
        sending: What it sends.
    """

    relay: PhyDnnRelay
    arriving: RelayEnd
    sending: RelayEnd

    def symbols(self, posteriors: NDArray[np.float32]) -> Tensor:
        """Return symbols (batch, symbols_per_image) int64 of posteriors, on the CPU."""
        device = self.relay.arriving.vectors.device
        with evaluating(self.relay):
            given = torch.from_numpy(np.ascontiguousarray(posteriors)).to(device)
            symbols: Tensor = self.relay(given)
        return symbols.cpu()


def relay_path(
    folder: Path, relay: int | None, order: int | None, *, suffix: str = ".safetensors"
) -> Path:
    """Return the file of a relay.

    Args:
        folder: A run, or where `phyemu export` wrote to.
        relay: Its number, from 1 behind the head; None: the only one.
        order: M, where there are several; None: the smallest.
        suffix: Of the files.

    Raises:
        CheckpointError: There is none, or there are several and no number was given.
    """
    found = relay_numbers(folder, suffix=suffix)
    if relay is None and len(found) > 1:
        names = ", ".join(map(relay_name, found))
        raise CheckpointError(f"{folder}: holds {names}; say which one this device is: --relay K")
    number = relay or (found[0] if found else 1)
    return part_path(folder, relay_name(number), order, suffix=suffix)


def load_exported_relay(
    folder: Path,
    *,
    relay: int | None = None,
    order: int | None = None,
    model: str | None = None,
) -> ExportedRelay:
    """Return a relay of a run; neither head nor tail need be there.

    Args:
        folder: With relay1/mM.safetensors, or relay2, ...
        relay: Its number, from 1 behind the head; None: the only one.
        order: M, where there are several; None: the smallest.
        model: Name of a network that is not phyemu's, which may be imported (`UserModel`).

    Raises:
        CheckpointError: There is none, there are several and no number was given, or a file is
            damaged.
    """
    path = relay_path(folder, relay, order)
    loaded = load_relay(path, model=model)
    return ExportedRelay(
        relay=loaded,
        arriving=relay_end(path, loaded.card.arriving),
        sending=relay_end(path, loaded.card.sending),
    )
