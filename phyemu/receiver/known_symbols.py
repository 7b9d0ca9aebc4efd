"""The symbols of a frame that its receiver knows: preamble, header once read, pilots."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.waveform import (
    HEADER_SYMBOLS,
    FrameFormat,
    Header,
    encode_header,
    frame_layout,
    pilot_points,
    preamble_points,
)

__all__ = ["known_symbols"]


def known_symbols(
    frame_format: FrameFormat, header: Header
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """Return where the known symbols of a frame are, and what they are."""
    positions, values = _known_but_header(frame_format, header.payload_symbols)
    values = values.copy()
    first = frame_format.preamble_symbols
    values[first : first + HEADER_SYMBOLS] = encode_header(header).numpy()
    return positions, values


@lru_cache(maxsize=64)
def _known_but_header(
    frame_format: FrameFormat, payload_symbols: int
) -> tuple[NDArray[np.int64], NDArray[np.complex64]]:
    """Return what `known_symbols` does, for a header of zeros; do not write to it."""
    layout = frame_layout(frame_format, payload_symbols)
    header = torch.zeros(HEADER_SYMBOLS, dtype=torch.complex64)
    first = torch.cat([preamble_points(frame_format), header])
    pilots = pilot_points(len(layout.pilot_positions))
    positions = torch.cat([torch.arange(len(first)), layout.pilot_positions])
    return positions.numpy(), torch.cat([first, pilots]).numpy()
