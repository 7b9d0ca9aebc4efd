"""The walk over a stream that all detectors of sounder bursts share."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError
from phyemu.waveform.sounder import SounderFormat
from phyemu.waveform.sounder_burst import SounderBurst
from phyemu.waveform.windows import OverlappingWindows

__all__ = ["BurstDetector", "largest_offset"]


class BurstDetector(ABC):
    """Finds the bursts of one sounder format in a stream; give it the samples in any blocks.

    A window owns the bursts that begin behind its lead and within its hop, so that it sees each
    from before its beginning until behind its end, and the same bursts are found for any blocks.
    """

    def __init__(self, *, hop: int, lead: int) -> None:
        """Begin a stream.

        Args:
            hop: Distance of two windows [samples].
            lead: Samples before and behind what a window owns.
        """
        self._hop = hop
        self._lead = lead
        self._windows = OverlappingWindows(hop=hop, overlap=2 * lead)

    @property
    def num_samples(self) -> int:
        """Number of samples received so far."""
        return self._windows.num_samples

    def process(self, iq: NDArray[np.complex64]) -> list[SounderBurst]:
        """Return the bursts that the next samples complete, in order.

        Args:
            iq: The next samples, (num_samples,), complex64.

        Raises:
            SignalError: Wrong shape or type, NaN or infinite samples.
        """
        windows = self.windows(iq)
        return [burst for window in windows for burst in self.chained(self.search(*window))]

    def finish(self) -> list[SounderBurst]:
        """Return the bursts in what is left at the end of the stream."""
        windows = self.last_windows()
        return [burst for window in windows for burst in self.chained(self.search(*window))]

    def windows(
        self, iq: NDArray[np.complex64]
    ) -> Iterator[tuple[int, NDArray[np.complex64], bool]]:
        """Yield what `search` takes: the windows that the next samples complete.

        `process` is all of them searched and chained in order. Windows may be searched in any
        order and at the same time; their bursts are chained in the order of the windows.

        Raises:
            SignalError: Wrong shape or type, NaN or infinite samples.
        """
        for start, window in self._windows.push(iq):
            yield start, window, False

    def last_windows(self) -> Iterator[tuple[int, NDArray[np.complex64], bool]]:
        """Yield the windows that are left at the end of the stream."""
        for start, window in self._windows.finish():
            yield start, window, True

    def search(self, start: int, window: NDArray[np.complex64], last: bool) -> list[SounderBurst]:
        """Return the bursts that begin in a window's own part of the stream; changes nothing.

        Args:
            start: Position of the window in the stream [samples].
            window: Its samples.
            last: Whether the stream ends with it.
        """
        own_start = 0 if start == 0 else self._lead
        own_stop = len(window) if last else self._lead + self._hop
        return [
            replace(burst, sample_start=burst.sample_start + start, starts=burst.starts + start)
            for burst in self._bursts_in(window)
            if own_start <= burst.sample_start < own_stop
        ]

    def chained(self, bursts: list[SounderBurst]) -> list[SounderBurst]:
        """Return the bursts of the next window as those of the stream: here, as they are."""
        return bursts

    @abstractmethod
    def _bursts_in(self, window: NDArray[np.complex64]) -> Iterable[SounderBurst]:
        """Return the bursts of a window, counted from its first sample; changes nothing."""


def largest_offset(sounder_format: SounderFormat, max_cfo_hz: float) -> int:
    """Return how many whole bins a carrier offset may hold.

    Raises:
        ConfigError: `max_cfo_hz` is negative, or too large for the sounded band.
    """
    reach = math.ceil(max_cfo_hz / sounder_format.bin_spacing_hz) if max_cfo_hz >= 0 else -1
    if not 0 <= reach < sounder_format.num_bins // 4:
        raise ConfigError(
            f"max_cfo_hz must be 0 or more and below a quarter of the sounded band, got "
            f"{max_cfo_hz:g}"
        )
    return reach
