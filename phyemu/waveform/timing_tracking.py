"""Sampling clock offset of a frame, from the spectra of its equalised blocks, without decisions.

Pulses with excess bandwidth carry each symbol twice, around +1/2T and -1/2T. Behind the equaliser
both copies agree, and a delay of tau turns the one against the other by 2 pi tau / T (the spectral
line of Oerder and Meyr, IEEE Trans. Commun. 36(5), 1988). Over a frame the delay grows in
proportion to time, so the offset is the frequency at which the blocks' correlations add up; at the
preamble the delay is known to be zero, which anchors it.
"""

import math
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

from phyemu.waveform.equalisation import BLOCK_HOP_SYMBOLS, BLOCK_SYMBOLS
from phyemu.waveform.equalisation_kernel import edge_correlations
from phyemu.waveform.frame_format import FrameFormat

__all__ = ["MIN_BLOCKS", "clock_offset_ppm"]

MIN_BLOCKS = 4
"""Blocks that a frame needs to show its clock offset."""

_PRIOR_PPM = 20.0
_GRID = 121


def clock_offset_ppm(
    spectra: NDArray[np.complex64],
    weights: NDArray[np.complex64],
    *,
    delay_samples: NDArray[np.float64],
    frame_format: FrameFormat,
    max_offset_ppm: float,
) -> NDArray[np.float64]:
    """Return how much longer frames are than they should be, (frames,) [ppm]; 0 for short frames.

    Args:
        spectra: `block_spectra` of whole blocks of frames,
            (frames, num_blocks, BLOCK_SYMBOLS x samples_per_symbol).
        weights: Of the equaliser, (frames, BLOCK_SYMBOLS x samples_per_symbol).
        delay_samples: Delay of a frame's first symbols in these spectra, (frames,) [samples].
        frame_format: Pulse and rate.
        max_offset_ppm: Largest offset searched, either way.
    """
    frames, num_blocks, size = spectra.shape
    if num_blocks < MIN_BLOCKS or max_offset_ppm <= 0:
        return np.zeros(frames)
    half = BLOCK_SYMBOLS // 2
    reach = math.floor(half * frame_format.rolloff) - 1
    # Frequency k is k bins above 0: the upper edge lies around 256, the lower one 512 bins below.
    # Both edges are one piece: neither wraps around.
    upper, lower = half - reach, half - reach - BLOCK_SYMBOLS + size
    values = np.empty((frames, num_blocks), np.complex128)
    for row in range(frames):
        values[row] = edge_correlations(spectra[row], weights[row], upper, lower, 2 * reach + 1)
    values *= np.exp(2j * np.pi / frame_format.samples_per_symbol * delay_samples)[:, None]
    offsets, turns = _candidates(max_offset_ppm, num_blocks)
    found: NDArray[np.float64] = _most_likely(values, offsets, turns)
    return found


@numba.njit(cache=True, nogil=True, fastmath=True)
def _most_likely(
    values: NDArray[np.complex128],
    offsets: NDArray[np.float64],
    turns: NDArray[np.complex128],
) -> NDArray[np.float64]:
    """Return the offset at which each frame's correlations add up best, (frames,) [ppm]."""
    frames, num_blocks = values.shape
    count = len(offsets)
    found = np.empty(frames)
    sums, scores = np.empty(count), np.empty(count)
    for frame in range(frames):
        spread, most = 0.0, -np.inf
        for block in range(num_blocks):
            value = values[frame, block]
            spread += (value.real**2 + value.imag**2) / num_blocks
        for index in range(count):
            total = 0.0
            for block in range(num_blocks):
                turn, value = turns[index, block], values[frame, block]
                total += turn.real * value.real - turn.imag * value.imag
            sums[index] = total / num_blocks
            most = max(most, sums[index])
        # Scores as log likelihoods of phases seen in noise of the spread that the sums leave.
        noise = max(spread - most * most, 1e-6 * spread)
        factor = 2.0 * num_blocks * max(most, 0.0) / noise if noise > 0.0 else 0.0
        best = 0
        for index in range(count):
            scores[index] = factor * sums[index] - 0.5 * (offsets[index] / _PRIOR_PPM) ** 2
            if scores[index] > scores[best]:
                best = index
        found[frame] = offsets[best]
        if 0 < best < count - 1:
            left, middle, right = scores[best - 1], scores[best], scores[best + 1]
            curvature = left - 2.0 * middle + right
            if curvature < 0.0:
                step = offsets[1] - offsets[0]
                found[frame] += 0.5 * (left - right) / curvature * step
    return found


@lru_cache(maxsize=8)
def _candidates(
    max_offset_ppm: float, num_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the offsets tried [ppm], and how they turn each block back, (offsets, blocks)."""
    offsets = np.linspace(-max_offset_ppm, max_offset_ppm, _GRID)
    # The middle of block b is this many symbols behind the first symbol.
    centres = np.arange(num_blocks) * BLOCK_HOP_SYMBOLS + BLOCK_HOP_SYMBOLS / 2.0
    return offsets, np.exp(2j * np.pi * np.multiply.outer(offsets * 1e-6, centres))
