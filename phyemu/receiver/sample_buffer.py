"""A stretch of a stream, grown at its end and cut at its beginning."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["SampleBuffer"]


class SampleBuffer:
    """Holds the samples [start, stop) of a stream; what it returns may be a view."""

    def __init__(self) -> None:
        """Start empty at sample 0."""
        self._storage = np.empty(1 << 17, np.complex64)
        self._first = 0
        self._last = 0
        self._start = 0

    @property
    def start(self) -> int:
        """Index in the stream of the first sample held."""
        return self._start

    @property
    def stop(self) -> int:
        """Index in the stream behind the last sample held."""
        return self._start + self._last - self._first

    def append(self, iq: NDArray[np.complex64]) -> None:
        """Take the next samples, (num_samples,), complex64."""
        held = self._last - self._first
        if self._last + len(iq) > len(self._storage):
            size = len(self._storage)
            # Moved down, or into a larger storage, only where it leaves room: constant on average.
            needed = 2 * (held + len(iq))
            storage = np.empty(needed, np.complex64) if needed > size else self._storage
            storage[:held] = self._storage[self._first : self._last].copy()
            self._storage, self._first, self._last = storage, 0, held
        self._storage[self._last : self._last + len(iq)] = iq
        self._last += len(iq)

    def read(self, begin: int, end: int) -> NDArray[np.complex64]:
        """Return the samples [begin, end) as far as they are held; valid until the next append."""
        low = self._first + max(begin - self._start, 0)
        high = self._first + min(max(end - self._start, 0), self._last - self._first)
        return self._storage[low : max(low, high)]

    def drop_before(self, index: int) -> None:
        """Forget the samples before `index`."""
        step = min(max(index - self._start, 0), self._last - self._first)
        self._first += step
        self._start += step

    def restart(self, index: int) -> None:
        """Forget everything held; the next sample is that of the index in the stream."""
        self._first = self._last = 0
        self._start = index
