"""Sampling clock offset of a frame, from the spectra of its equalised blocks, without decisions.

Pulses with excess bandwidth carry each symbol twice, around +1/2T and -1/2T. Behind the equaliser
both copies agree, and a delay of tau turns the one against the other by 2 pi tau / T (the spectral
line of Oerder and Meyr, IEEE Trans. Commun. 36(5), 1988). Over a frame the delay grows in
proportion to time, so the offset is the frequency at which the blocks' correlations add up; at the
preamble the delay is known to be zero, which anchors it.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phyemu.waveform.equalisation import BLOCK_HOP_SYMBOLS, BLOCK_SYMBOLS
from phyemu.waveform.frame_format import FrameFormat

__all__ = ["clock_offset_ppm"]

_MIN_BLOCKS = 4
_PRIOR_PPM = 20.0
_GRID = 121


def clock_offset_ppm(
    spectra: Tensor, *, delay_samples: float, frame_format: FrameFormat, max_offset_ppm: float
) -> float:
    """Return how much longer a frame is than it should be [ppm]; 0 for short frames.

    Args:
        spectra: `block_spectra` of the whole frame times the weights of the equaliser,
            (num_blocks, BLOCK_SYMBOLS x samples_per_symbol).
        delay_samples: Delay of the frame's first symbols in these spectra [samples].
        frame_format: Pulse and rate.
        max_offset_ppm: Largest offset searched, either way.
    """
    if len(spectra) < _MIN_BLOCKS or max_offset_ppm <= 0:
        return 0.0
    start = np.exp(2j * np.pi * delay_samples / frame_format.samples_per_symbol)
    values = _correlations(spectra, frame_format) * start
    offsets, turns = _candidates(max_offset_ppm, len(values))
    # Not by BLAS, which starts threads for a product as small as this.
    sums = np.einsum("ob,b->o", turns, values).real / len(values)
    spread = float(np.square(np.abs(values)).mean())
    # Scores as log likelihoods of phases seen in noise of the spread that the sums leave.
    noise = max(spread - float(sums.max()) ** 2, 1e-6 * spread)
    scores = 2.0 * len(values) * max(float(sums.max()), 0.0) / noise * sums
    scores -= 0.5 * (offsets / _PRIOR_PPM) ** 2
    best = int(scores.argmax())
    if best in (0, _GRID - 1):
        return float(offsets[best])
    left, middle, right = scores[best - 1 : best + 2]
    curvature = left - 2.0 * middle + right
    fraction = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float(offsets[best] + fraction * (offsets[1] - offsets[0]))


@lru_cache(maxsize=8)
def _candidates(
    max_offset_ppm: float, num_blocks: int
) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """Return the offsets tried [ppm], and how they turn each block back, (offsets, blocks)."""
    offsets = np.linspace(-max_offset_ppm, max_offset_ppm, _GRID)
    # The middle of block b is this many symbols behind the first symbol.
    centres = np.arange(num_blocks) * BLOCK_HOP_SYMBOLS + BLOCK_HOP_SYMBOLS / 2.0
    return offsets, np.exp(2j * np.pi * np.multiply.outer(offsets * 1e-6, centres))


def _correlations(spectra: Tensor, frame_format: FrameFormat) -> NDArray[np.complex128]:
    """Return each block's correlation of its upper with its lower band edge, (num_blocks,)."""
    half = BLOCK_SYMBOLS // 2
    reach = math.floor(half * frame_format.rolloff) - 1
    # Frequency k is k bins above 0: the upper edge lies around 256, the lower one 512 bins below.
    values = spectra.numpy()
    upper = values[:, half - reach : half + reach + 1]
    # Both edges are one piece: neither wraps around.
    first = half - reach - BLOCK_SYMBOLS + values.shape[1]
    lower = values[:, first : first + 2 * reach + 1]
    result: NDArray[np.complex128] = np.einsum("bk,bk->b", upper, lower.conj())
    return result.astype(np.complex128)
