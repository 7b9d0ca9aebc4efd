"""Detection of sounder bursts in a sample stream, at carrier offsets of up to +-100 kHz.

Any stretch of one period taken from the inside of a burst is a cyclic shift of the period,
convolved with the channel. So consecutive blocks of one period are correlated cyclically with the
sequence by FFT, with no search over their alignment, and a burst shows as the same delay standing
out in consecutive blocks. In white noise, the part of a block's energy that falls on one delay
exceeds t with probability (1 - t)^(N - 1); t is set so that two consecutive blocks of noise agree
less than once in 10^12 blocks.

The phase from block to block gives the carrier offset modulo one bin. An offset of whole bins moves
the delay by a known shift (see `phyemu.waveform.sounder`), so the candidates (whole bins, start)
form a known set; that whose start fits the edges of the burst wins: the sum of the received samples
times the conjugate sequence over one burst length is largest where the burst really lies.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from phyemu.waveform.burst_detector import BurstDetector, largest_offset
from phyemu.waveform.sounder import (
    SounderFormat,
    sounder_bins,
    sounder_period,
    sounder_spectrum,
)
from phyemu.waveform.sounder_burst import SounderBurst

__all__ = ["SounderDetector", "agree_on_offset"]

_BLOCKS_PER_WINDOW = 256
_FALSE_PAIRS_PER_BLOCK = 1e-12
_STANDARD_ERRORS = 5.0


def agree_on_offset(
    bursts: list[SounderBurst], *, sounder_format: SounderFormat
) -> list[SounderBurst]:
    """Return the bursts of one transmitter with the whole-bin offset that suits them all best.

    A single burst close to the noise may mistake its offset by whole bins. All bursts of a
    transmitter share it, up to a part of a bin, so their scores are added. A burst keeps its own
    offset where its edges speak for it by more than five standard errors: another transmitter.

    Args:
        bursts: Bursts of one format and one detector, most of them of one transmitter.
        sounder_format: That format.
    """
    bin_spacing_hz, size = sounder_format.bin_spacing_hz, sounder_format.burst_samples
    if len(bursts) < 2:
        return bursts
    # Offset = (whole + part) bins; the parts may lie on both sides of the half-bin border, e.g.
    # 3 + 0.49 and 4 - 0.48. Around their circular mean, 0.505, these are 3 - 0.015 and 3 + 0.015.
    whole = np.array([_best_offset(burst) for burst in bursts])
    part = np.array([burst.cfo_hz for burst in bursts]) / bin_spacing_hz - whole
    centre = float(np.angle(np.mean(np.exp(2j * np.pi * part)))) / (2.0 * np.pi)
    carry = np.round(part - centre).astype(int)
    count = len(bursts[0].offsets)
    total = np.zeros(count + 2)
    for burst, step in zip(bursts, carry.tolist(), strict=True):
        total[1 + step : 1 + step + count] += burst.scores
    common = int(total.argmax()) - 1
    agreed: list[SounderBurst] = []
    for burst, step, fraction in zip(bursts, carry.tolist(), part.tolist(), strict=True):
        index = min(max(common - step, 0), count - 1)
        own = int(burst.scores.argmax())
        # The scores differ by the d samples between the two starts: 2 d of `size`, with an error
        # of 2 sqrt(d / snr).
        differing = max(abs(int(burst.starts[index]) - burst.sample_start), 1)
        snr = burst.confidence / max(1.0 - burst.confidence, 1e-6)
        loss = 1.0 - float(burst.scores[index] / burst.scores[own])
        if loss * size > 2.0 * _STANDARD_ERRORS * math.sqrt(differing / max(snr, 1e-6)):
            index = own
        agreed.append(
            replace(
                burst,
                sample_start=int(burst.starts[index]),
                cfo_hz=(float(burst.offsets[index]) + fraction) * bin_spacing_hz,
            )
        )
    return agreed


def _best_offset(burst: SounderBurst) -> int:
    return int(burst.offsets[int(burst.scores.argmax())])


class SounderDetector(BurstDetector):
    """Finds the bursts of one sounder format in a stream; give it the samples in any blocks."""

    def __init__(self, sounder_format: SounderFormat, *, max_cfo_hz: float = 100e3) -> None:
        """Prepare the correlators.

        Args:
            sounder_format: What was transmitted.
            max_cfo_hz: Largest carrier offset that is considered [Hz], >= 0.

        Raises:
            ConfigError: `max_cfo_hz` is negative, or too large for the sounded band.
        """
        length = sounder_format.length
        reach = largest_offset(sounder_format, max_cfo_hz)
        self._format = sounder_format
        self._length = length
        self._burst = sounder_format.burst_samples
        spectrum = np.zeros(length, np.complex128)
        bins = sounder_bins(sounder_format).numpy()
        spectrum[bins % length] = sounder_spectrum(sounder_format).numpy()
        self._conjugate = spectrum.conj().astype(np.complex64)
        self._period = sounder_period(sounder_format).numpy().astype(np.complex128)
        self._offsets = np.arange(-reach, reach + 1)
        # Where the correlation peak moves when the sequence arrives k bins too high.
        moved = np.stack([np.roll(spectrum, k) for k in self._offsets.tolist()])
        self._shifts = np.abs(np.fft.ifft(moved * spectrum.conj())).argmax(axis=1)
        # Two consecutive blocks must exceed t at one of N delays: N p^2 <= rate, p = (1-t)^(N-1).
        exponent = 0.5 * math.log(_FALSE_PAIRS_PER_BLOCK / length) / (sounder_format.num_bins - 1)
        self._threshold = 1.0 - math.exp(exponent)
        super().__init__(
            hop=_BLOCKS_PER_WINDOW * length, lead=(sounder_format.repetitions + 4) * length
        )

    def _bursts_in(self, window: NDArray[np.complex64]) -> list[SounderBurst]:
        length = self._length
        num_blocks = len(window) // length
        if num_blocks < 2:
            return []
        blocks = window[: num_blocks * length].reshape(num_blocks, length)
        delays = fft.ifft(fft.fft(blocks, axis=1) * self._conjugate, axis=1, overwrite_x=True)
        energy = np.einsum("bn,bn->b", blocks.view(np.float32), blocks.view(np.float32))
        # |correlation|^2 is at most N times the energy of the block.
        share = np.square(delays.real) + np.square(delays.imag)
        share /= np.maximum(energy[:, None] * np.float32(length), np.float32(1e-30))
        pairs = np.minimum(share[:-1], share[1:]).max(axis=1)
        (hits,) = np.nonzero(pairs > self._threshold)
        found: list[SounderBurst] = []
        if len(hits) == 0:
            return found
        for run in np.split(hits, np.flatnonzero(np.diff(hits) > 1) + 1):
            first, stop = int(run[0]), int(run[-1]) + 2
            burst = self._burst_of_run(window, first, stop)
            if burst is None:
                continue
            # Close to the noise a burst may break into two runs, which then both find it.
            if found and burst.sample_start - found[-1].sample_start < self._burst:
                if burst.scores.max() <= found[-1].scores.max():
                    continue
                found.pop()
            found.append(burst)
        return found

    def _burst_of_run(
        self, window: NDArray[np.complex64], first: int, stop: int
    ) -> SounderBurst | None:
        """Return the burst in blocks first..stop - 1, which agree; None if it is incomplete."""
        length, size = self._length, self._burst
        # The burst holds all these blocks but, with late echoes, the last: it begins between
        # `begin` and `latest`. Silence stands for what lies outside the stream.
        begin = min((stop - 2) * length - size, (first - 1) * length)
        latest = (first + 1) * length
        if latest - begin > 3 * size:
            return None  # a run that no burst explains
        end = latest + size
        inside = window[max(begin, 0) : min(end, len(window))].astype(np.complex128)
        region = np.zeros(end - begin, np.complex128)
        region[max(-begin, 0) : max(-begin, 0) + len(inside)] = inside
        blocks = region.reshape(-1, length)[first - begin // length :][: stop - first]
        turns = float(np.angle(np.vdot(blocks[:-1], blocks[1:]))) / (2.0 * math.pi)
        # e^(-j 2 pi turns (k + n / N)) over blocks k and samples n: two short tables.
        over_blocks = np.exp(-2j * math.pi * turns * np.arange(len(region) // length))
        over_samples = np.exp(-2j * math.pi * turns / length * np.arange(length))
        derotated = region.reshape(-1, length) * over_samples
        derotated *= over_blocks[:, None]
        aligned = derotated[first - begin // length :][: stop - first]
        response = np.fft.ifft(np.fft.fft(aligned.mean(axis=0)) * self._conjugate)
        delay = int(np.abs(response).argmax())
        # Constant inside the burst, zero mean outside: its sum over one burst length peaks there.
        despread = derotated * np.roll(self._period, delay).conj()
        running = np.concatenate([[0.0], np.cumsum(despread)])
        sums = np.square(np.abs(running[size:] - running[:-size]))
        total = float(np.square(np.abs(inside)).sum())
        starts = np.empty(len(self._offsets), np.int64)
        scores = np.empty(len(self._offsets))
        for index, shift in enumerate(self._shifts.tolist()):
            lattice = np.arange((delay - shift) % length, latest - begin + 1, length)
            best = int(lattice[sums[lattice].argmax()])
            starts[index], scores[index] = best, sums[best] / (size * total)
        best_index = int(scores.argmax())
        start = int(starts[best_index]) + begin
        if start < 0 or start + size > len(window):
            return None
        burst = window[start : start + size]
        early, late = burst[:-length], burst[length:]
        scale = math.sqrt(float(np.vdot(early, early).real * np.vdot(late, late).real))
        return SounderBurst(
            sample_start=start,
            cfo_hz=(float(self._offsets[best_index]) + turns) * self._format.bin_spacing_hz,
            confidence=abs(complex(np.vdot(early, late))) / scale if scale > 0 else 0.0,
            offsets=self._offsets,
            starts=starts + begin,
            scores=scores,
        )
