"""Overlapping windows over a sample stream, the same for any size of the blocks that arrive."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, SignalError

__all__ = ["OverlappingWindows"]


class OverlappingWindows:
    """Cuts a stream into windows of `hop + overlap` samples that start every `hop` samples.

    What is found in a window then depends on the stream alone, not on how it was delivered. With
    hop 3 and overlap 2, the stream 0 1 2 3 4 5 6 gives the windows 0 1 2 3 4, 3 4 5 6 (the last).
    """

    def __init__(self, *, hop: int, overlap: int) -> None:
        """Start at sample 0 with nothing stored.

        Args:
            hop: Distance of two windows [samples], >= 1.
            overlap: Samples that a window shares with the next one, >= 0.

        Raises:
            ConfigError: A length is out of range.
        """
        if hop < 1 or overlap < 0:
            raise ConfigError(f"need hop >= 1 and overlap >= 0, got {hop=}, {overlap=}")
        self._hop = hop
        self._overlap = overlap
        self._pieces: list[NDArray[np.complex64]] = []
        self._stored = 0
        self._start = 0
        self._received = 0

    @property
    def num_samples(self) -> int:
        """Number of samples received so far."""
        return self._received

    def push(self, iq: NDArray[np.complex64]) -> Iterator[tuple[int, NDArray[np.complex64]]]:
        """Take the next samples and yield (first sample index, samples) of each full window.

        Args:
            iq: The next samples, (num_samples,), complex; copied where they must be kept.

        Raises:
            SignalError: Not one-dimensional and complex, or a sample is NaN or infinite.
        """
        if iq.ndim != 1 or not np.iscomplexobj(iq):
            raise SignalError(
                f"need complex samples of shape (num_samples,), got {iq.dtype} {iq.shape}"
            )
        finite = np.isfinite(iq)
        if not finite.all():
            bad = self._received + int(np.argmin(finite))
            raise SignalError(f"sample {bad} is NaN or infinite; cut it out of the recording first")
        self._pieces.append(iq.astype(np.complex64))
        self._stored += len(iq)
        self._received += len(iq)
        full = self._hop + self._overlap
        if self._stored < full:
            return
        stored = np.concatenate(self._pieces)
        first = 0
        while len(stored) - first >= full:
            yield self._start, stored[first : first + full]
            first += self._hop
            self._start += self._hop
        rest = stored[first:].copy()
        self._pieces, self._stored = [rest], len(rest)

    def finish(self) -> Iterator[tuple[int, NDArray[np.complex64]]]:
        """Yield the last, shorter window, if any samples are left."""
        if self._stored:
            yield self._start, np.concatenate(self._pieces)
        self._pieces, self._stored = [], 0
