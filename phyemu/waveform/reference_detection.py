"""Detection of known samples of any waveform in a stream, at offsets of up to +-100 kHz.

The known samples are cut into chunks so short that the carrier turns by less than a third of a
cycle within one. Each chunk is correlated with the stream; the products of neighbouring chunks
give the carrier offset at every position, and with it undone the chunks add up to one correlation
over all samples. Its share of the received energy exceeds t in white noise with probability
(1 - t)^(M - 1) for a given offset; the threshold allows for the choice among the chunks' offsets.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.errors import SignalError
from phyemu.waveform.windows import OverlappingWindows

__all__ = ["ReferenceDetector", "ReferenceHit"]

_HOP = 1 << 15
_FALSE_RATE = 1e-13
_MIN_SAMPLES = 128


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceHit:
    """Where the known samples were found.

    Attributes:
        sample_start: Position of the first known sample in the stream.
        cfo_hz: Carrier frequency offset [Hz].
        confidence: Square root of the share of the received energy that is explained, 0..1.
    """

    sample_start: int
    cfo_hz: float
    confidence: float


class ReferenceDetector:
    """Finds every occurrence of known samples in a stream; give it the samples in any blocks."""

    def __init__(
        self,
        known: NDArray[np.complex64],
        *,
        sample_rate_hz: float,
        max_cfo_hz: float = 100e3,
    ) -> None:
        """Prepare the correlators.

        Args:
            known: What to look for, (M,), complex, at least 128 samples.
            sample_rate_hz: Of the stream [Hz].
            max_cfo_hz: Largest carrier offset considered [Hz].

        Raises:
            SignalError: `known` is too short or silent.
        """
        if len(known) < _MIN_SAMPLES:
            raise SignalError(
                f"a reference needs at least {_MIN_SAMPLES} samples, got {len(known)}"
            )
        chunk = int(min(max(sample_rate_hz * 0.3 / max(max_cfo_hz, 1.0), 16), len(known) // 4))
        count = len(known) // chunk
        self._chunk, self._count, self._length = chunk, count, chunk * count
        self._rate = sample_rate_hz
        self._size = fft.next_fast_len(_HOP + 2 * self._length)
        pieces = known[: self._length].reshape(count, chunk).astype(np.complex64)
        self._energy = float(np.square(np.abs(pieces)).sum())
        if self._energy <= 0.0:
            raise SignalError("the reference holds only zeros")
        self._filters = [fft.fft(piece, self._size).conj() for piece in pieces]
        exponent = math.log(_FALSE_RATE / count) / (self._length - 1)
        self._threshold = 1.0 - math.exp(exponent)
        self._windows = OverlappingWindows(hop=_HOP, overlap=2 * self._length)

    def process(self, iq: NDArray[np.complex64]) -> list[ReferenceHit]:
        """Return the hits that the next samples complete, in order.

        Raises:
            SignalError: Wrong shape or type, NaN or infinite samples.
        """
        return [
            hit
            for start, window in self._windows.push(iq)
            for hit in self._hits(start, window, last=False)
        ]

    def finish(self) -> list[ReferenceHit]:
        """Return the hits in what is left at the end of the stream."""
        return [
            hit
            for start, window in self._windows.finish()
            for hit in self._hits(start, window, last=True)
        ]

    def _hits(self, start: int, window: NDArray[np.complex64], *, last: bool) -> list[ReferenceHit]:
        positions = len(window) - self._length + 1
        if positions < 1:
            return []
        spectrum = fft.fft(window, self._size)
        chunks = np.empty((self._count, positions), np.complex64)
        for index, taps in enumerate(self._filters):
            offset = index * self._chunk
            chunks[index] = fft.ifft(spectrum * taps)[offset : offset + positions]
        turns = np.angle((chunks[1:] * chunks[:-1].conj()).sum(axis=0))
        total = chunks[self._count - 1].copy()
        step = np.exp(-1j * turns).astype(np.complex64)
        for index in range(self._count - 2, -1, -1):  # Horner's rule: sum_j c_j step^j
            total = total * step + chunks[index]
        power = np.square(np.abs(window), dtype=np.float64)
        running = np.concatenate([[0.0], np.cumsum(power)])
        energy = np.maximum(running[self._length :] - running[: -self._length], 1e-30)
        share = np.square(np.abs(total)) / (energy * self._energy)
        found: list[ReferenceHit] = []
        # A window owns the middle of its positions, so that it sees what stands beside a peak.
        own_start = 0 if start == 0 else self._length
        own_stop = positions if last else _HOP + self._length
        candidates = np.flatnonzero(share > self._threshold)
        for position in candidates.tolist():
            near = share[max(0, position - self._length // 2) : position + self._length // 2 + 1]
            if share[position] < near.max() or not own_start <= position < own_stop:
                continue
            found.append(
                ReferenceHit(
                    sample_start=start + position,
                    cfo_hz=float(turns[position]) / (2.0 * math.pi) * self._rate / self._chunk,
                    confidence=min(1.0, math.sqrt(float(share[position]))),
                )
            )
        return found
