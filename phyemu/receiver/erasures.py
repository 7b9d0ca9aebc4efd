"""Samples that a stream lacks, and the symbols of a frame that are lost with them."""

import numpy as np
from numpy.typing import NDArray

from phyemu.waveform import FrameFormat
from phyemu.waveform.synchronisation import Synchronisation

__all__ = ["MissingSamples", "erased_symbols"]


class MissingSamples:
    """The stretches [begin, end) of a stream that are missing, in order."""

    def __init__(self) -> None:
        """Start with nothing missing."""
        self._stretches: list[tuple[int, int]] = []

    def add(self, begin: int, end: int) -> None:
        """Take note of a stretch behind all others."""
        if self._stretches and self._stretches[-1][1] == begin:
            begin = self._stretches.pop()[0]
        self._stretches.append((begin, end))

    def within(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return the stretches that reach into [begin, end), whole."""
        return [part for part in self._stretches if part[0] < end and part[1] > begin]

    def drop_before(self, index: int) -> None:
        """Forget the stretches that end at or before `index`."""
        self._stretches = [part for part in self._stretches if part[1] > index]


def erased_symbols(
    missing: list[tuple[int, int]],
    found: Synchronisation,
    *,
    sample_start: int,
    num_symbols: int,
    frame_format: FrameFormat,
) -> NDArray[np.bool_]:
    """Return which symbols of a frame have samples that are missing, (num_symbols,).

    A symbol lies in the samples that its pulse reaches over the paths of the channel.

    Args:
        missing: Stretches [begin, end), in the samples of the frame.
        found: The synchronisation, for the paths.
        sample_start: First sample of the frame, counted as `missing` is.
        num_symbols: All symbols of the frame.
        frame_format: Pulse and rate.
    """
    sps, span = frame_format.samples_per_symbol, 2 * frame_format.pulse_delay_samples
    paths = found.first_delay + np.flatnonzero(found.channel.response.numpy())
    earliest, latest = (int(paths[0]), int(paths[-1])) if len(paths) else (0, 0)
    erased = np.zeros(num_symbols, bool)
    for begin, end in missing:
        # Symbol k lies in sample_start + k sps + [earliest, latest + span].
        low = -((sample_start + latest + span - begin) // sps)
        high = -((sample_start + earliest - end) // sps)
        erased[max(low, 0) : max(high, 0)] = True
    return erased
