"""Detection of repeated chips in a sample stream, at carrier offsets of up to +-100 kHz.

A sequence that repeats makes samples one period apart alike, whatever the carrier offset and the
channel: their correlation, summed over some consecutive blocks of one period, is the first gate,
and its phase is the carrier offset modulo one bin. With that undone the blocks are averaged, and
the average is correlated cyclically with the sequence by FFT, once for each number of whole bins
that the offset may hold. Unlike a Zadoff-Chu sequence, chips that are a bin off fit nowhere, so the
best of these correlations tells offset and delay at once.

White noise keeps its law under any unitary map of all blocks at once, and the first gate looks only
at what such a map leaves alone; so the part of the average's energy that falls on one delay exceeds
t with probability (1 - t)^(N - 1) even then. t is set so that noise passes less than once in 10^12
averages, whatever else the gate lets through.

A burst begins where the sum over all its repetitions, each against the code that it should hold, is
largest. Repetition without end is cut into frames that follow the delay as it drifts.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.errors import ConfigError
from phyemu.waveform.burst_detector import BurstDetector, largest_offset
from phyemu.waveform.sounder import SounderFormat, sounder_codes, sounder_period
from phyemu.waveform.sounder_burst import SounderBurst

__all__ = ["ChipDetector"]

_WINDOW_SAMPLES = 1 << 18
_GATE_RATE = 1e-4
_FALSE_RATE = 1e-12
_MAX_AVERAGED = 16
_STEADY = 0.5


class ChipDetector(BurstDetector):
    """Finds the bursts, or the frames, of one format with chips; give it any blocks."""

    def __init__(self, sounder_format: SounderFormat, *, max_cfo_hz: float = 100e3) -> None:
        """Prepare the correlators.

        Args:
            sounder_format: What was transmitted, a format with chips.
            max_cfo_hz: Largest carrier offset that is considered [Hz], >= 0.

        Raises:
            ConfigError: The format has no chips; `max_cfo_hz` is negative or too large.
        """
        if sounder_format.chips is None:
            raise ConfigError("the format sends a Zadoff-Chu sequence; use SounderDetector")
        self._length = length = sounder_format.length
        reach = largest_offset(sounder_format, max_cfo_hz)
        self._format = sounder_format
        self._size = sounder_format.burst_samples
        self._largest = max_cfo_hz / sounder_format.bin_spacing_hz
        self._offsets = np.arange(-reach, reach + 1)
        codes = range(sounder_format.num_codes)
        self._periods = np.stack([sounder_period(sounder_format, g).numpy() for g in codes])
        self._conjugates = fft.fft(self._periods, axis=1).conj().astype(np.complex64)
        self._codes = np.array(sounder_codes(sounder_format))
        # Blocks of a period lie anywhere; of R periods alike, R - 1 are whole.
        alike = sounder_format.repetitions // sounder_format.num_codes
        self._follows = sounder_format.guard_repetitions == 0
        self._num_pairs = min(alike - 1 if self._follows else alike - 2, _MAX_AVERAGED)
        self._gate = -math.log(_GATE_RATE) / (self._num_pairs * length)
        tests = len(self._offsets) * sounder_format.num_codes * length
        self._threshold = 1.0 - math.exp(math.log(_FALSE_RATE / tests) / (length - 1))
        lead_blocks = sounder_format.repetitions * (1 if self._follows else 2)
        own_blocks = max(_WINDOW_SAMPLES // length, lead_blocks)
        # Frames of a sequence without end lie on a grid that the windows must keep.
        own_blocks -= own_blocks % sounder_format.repetitions
        super().__init__(hop=own_blocks * length, lead=lead_blocks * length)
        self._last_start: int | None = None
        self._slipped = 0

    def _bursts_in(self, window: NDArray[np.complex64]) -> list[SounderBurst]:
        """Return the bursts of a window; of a sequence without end, frames on the window's grid."""
        length = self._length
        num_blocks = len(window) // length
        if num_blocks < self._num_pairs + 1 or len(window) < self._size:
            return []
        level = np.complex64(window.mean(dtype=np.complex128))  # a DC offset repeats, too
        blocks = (window[: num_blocks * length] - level).reshape(num_blocks, length)
        energy = np.einsum("bn,bn->b", blocks.view(np.float32), blocks.view(np.float32))
        alike = np.einsum("bn,bn->b", blocks[:-1].conj(), blocks[1:]).astype(np.complex128)
        kernel = np.ones(self._num_pairs)
        together = np.convolve(alike, kernel, mode="valid")
        both = np.convolve(np.sqrt(energy[1:].astype(float) * energy[:-1]), kernel, mode="valid")
        coherence = np.abs(together) / np.maximum(both, 1e-30)
        turns = np.angle(together) / (2.0 * math.pi)
        found = self._frames if self._follows else self._bursts
        return found(blocks, turns, coherence)

    def chained(self, bursts: list[SounderBurst]) -> list[SounderBurst]:
        """Return the bursts of the next window, the frames of a sequence without end moved.

        The delay is known modulo a period; where it drifts over the end of one, the frame is moved
        by whole periods, so that it follows the frame before it without a jump.
        """
        if not self._follows:
            return bursts
        moved: list[SounderBurst] = []
        for burst in bursts:
            if self._last_start is not None:
                distance = burst.sample_start - self._last_start
                jump = distance - round(distance / self._size) * self._size
                self._slipped -= round(jump / self._length)
            self._last_start = burst.sample_start
            start = burst.sample_start + self._slipped * self._length
            if start >= 0:
                moved.append(replace(burst, sample_start=start, starts=np.array([start])))
        return moved

    def _frames(
        self,
        blocks: NDArray[np.complex64],
        turns: NDArray[np.float64],
        coherence: NDArray[np.float64],
    ) -> list[SounderBurst]:
        """Return the frames on the grid in which the sequence is repeated without end."""
        each = len(self._codes)
        grid = np.arange(0, len(coherence), each)
        grid = grid[np.square(coherence[grid]) > self._gate]
        if len(grid) == 0:
            return []
        offsets, delays, shares = self._identified(blocks, grid, turns[grid])
        known = set(grid[shares > self._threshold].tolist())
        return [
            self._burst(
                first * self._length + int(delays[index]),
                float(turns[first]) + int(offsets[index]),
                float(coherence[first]),
                float(shares[index]),
            )
            for index, first in enumerate(grid.tolist())
            if first in known
            and (
                (first - each in known and first + each in known)
                or _is_steady(blocks[first : first + each + 1])
            )
        ]

    def _bursts(
        self,
        blocks: NDArray[np.complex64],
        turns: NDArray[np.float64],
        coherence: NDArray[np.float64],
    ) -> list[SounderBurst]:
        """Return the bursts, in order."""
        free = np.square(coherence) > self._gate
        found: list[SounderBurst] = []
        # The most coherent stretches first; what a burst holds is not looked at again.
        for block in np.argsort(-coherence).tolist():
            if not free[block]:
                continue
            burst = self._burst_at(blocks, block, float(turns[block]), float(coherence[block]))
            if burst is None:
                free[max(block - self._num_pairs // 2, 0) : block + self._num_pairs // 2 + 1] = (
                    False
                )
                continue
            first = burst.sample_start // self._length
            behind = -(-(burst.sample_start + self._size) // self._length)
            free[max(first - self._num_pairs, 0) : behind] = False
            if all(abs(burst.sample_start - other.sample_start) >= self._size for other in found):
                found.append(burst)
        return sorted(found, key=lambda burst: burst.sample_start)

    def _identified(
        self, blocks: NDArray[np.complex64], first: NDArray[np.int64], turns: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Return whole bins, delay and share of the energy of averages that begin at `first`."""
        length, count = self._length, self._num_pairs + 1
        average = np.zeros((len(first), length), np.complex64)
        for step in range(count):
            phase = np.exp(-2j * math.pi * step * turns).astype(np.complex64)
            average += phase[:, None] * blocks[first + step]
        n = np.arange(length) / length
        average *= np.exp(-2j * math.pi * turns[:, None] * n).astype(np.complex64)
        energy = np.square(np.abs(average), dtype=np.float64).sum(axis=1)
        spectra = fft.fft(average, axis=1, overwrite_x=True)
        offsets, delays = np.zeros(len(first), np.int64), np.zeros(len(first), np.int64)
        peaks = np.full(len(first), -1.0)
        for offset in self._offsets.tolist():
            within = np.abs(offset + turns) <= self._largest + 0.5
            moved = np.roll(spectra, -offset, axis=1)
            for conjugate in self._conjugates:
                matched = np.abs(fft.ifft(moved * conjugate, axis=1, overwrite_x=True))
                delay = matched.argmax(axis=1)
                peak = matched[np.arange(len(first)), delay].astype(np.float64)
                better = within & (peak > peaks)
                offsets[better], delays[better], peaks[better] = offset, delay[better], peak[better]
        # |correlation|^2 is at most N times the energy of the average.
        shares = np.square(np.maximum(peaks, 0.0)) / np.maximum(length * energy, 1e-30)
        return offsets, delays, shares

    def _burst_at(
        self, blocks: NDArray[np.complex64], first: int, turns: float, coherence: float
    ) -> SounderBurst | None:
        """Return the burst around averaged blocks; None where there is none, or not all of it."""
        offsets, delays, shares = self._identified(blocks, np.array([first]), np.array([turns]))
        if shares[0] < self._threshold:
            return None
        delay, total = int(delays[0]), turns + int(offsets[0])
        length, each = self._length, len(self._codes)
        # From here on: blocks that begin with the strongest path, the carrier undone.
        low = max(first - each - 1, 0)
        region = blocks[low : first + self._num_pairs + each + 2].reshape(-1)[delay:]
        periods = region[: len(region) // length * length].reshape(-1, length)
        carrier = np.exp(-2j * math.pi * ((total / length * np.arange(length)) % 1.0))
        known = (self._periods.conj() * carrier).astype(np.complex64)
        # einsum, not a matrix product: BLAS would start threads for these few thousand samples.
        matched = np.einsum("bn,gn->bg", periods, known).astype(np.complex128)
        matched = matched * np.exp(-2j * math.pi * total * np.arange(len(periods)))[:, None]
        num_starts = len(periods) - each + 1
        if num_starts < 1:
            return None
        sums = np.zeros(num_starts, np.complex128)
        for repetition, code in enumerate(self._codes.tolist()):
            sums += matched[repetition : repetition + num_starts, code]
        begin = int(np.abs(sums).argmax())
        inside = periods[begin : begin + each]
        share = abs(sums[begin]) ** 2 / max(float(np.vdot(inside, inside).real) * self._size, 1e-30)
        return self._burst((low + begin) * length + delay, total, coherence, float(share))

    def _burst(self, start: int, turns: float, coherence: float, share: float) -> SounderBurst:
        """Return a burst whose offset [bins] has no rival."""
        return SounderBurst(
            sample_start=start,
            cfo_hz=turns * self._format.bin_spacing_hz,
            confidence=min(coherence, 1.0),
            offsets=np.array([round(turns)]),
            starts=np.array([start]),
            scores=np.array([share]),
        )


def _is_steady(blocks: NDArray[np.complex64]) -> bool:
    """Return whether no block has much less energy than the others, as where sending begins."""
    energy = np.square(np.abs(blocks)).sum(axis=1)
    return bool(energy.min() > _STEADY * energy.max())
