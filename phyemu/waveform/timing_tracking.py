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

__all__ = ["MIN_BLOCKS", "clock_offset_ppm"]

MIN_BLOCKS = 4
"""Blocks that a frame needs to show its clock offset."""

_PRIOR_PPM = 20.0
_GRID = 121


def clock_offset_ppm(
    spectra: Tensor,
    *,
    delay_samples: NDArray[np.float64] | float,
    frame_format: FrameFormat,
    max_offset_ppm: float,
) -> NDArray[np.float64]:
    """Return how much longer frames are than they should be, (...) [ppm]; 0 for short frames.

    Args:
        spectra: `block_spectra` of whole frames times the weights of the equaliser,
            (..., num_blocks, BLOCK_SYMBOLS x samples_per_symbol), on the CPU.
        delay_samples: Delay of a frame's first symbols in these spectra, (...) or a number
            [samples].
        frame_format: Pulse and rate.
        max_offset_ppm: Largest offset searched, either way.
    """
    shape = spectra.shape[:-2]
    if spectra.shape[-2] < MIN_BLOCKS or max_offset_ppm <= 0:
        return np.zeros(shape)
    delays = np.asarray(delay_samples, np.float64)[..., None]
    start = np.exp(2j * np.pi * delays / frame_format.samples_per_symbol)
    values = (_correlations(spectra, frame_format) * start).reshape(-1, spectra.shape[-2])
    offsets, turns = _candidates(max_offset_ppm, values.shape[-1])
    # Not by BLAS, which starts threads for a product as small as this.
    sums = np.einsum("ob,rb->ro", turns, values).real / values.shape[-1]
    spread = np.square(np.abs(values)).mean(-1, keepdims=True)
    # Scores as log likelihoods of phases seen in noise of the spread that the sums leave.
    most = sums.max(-1, keepdims=True)
    noise = np.maximum(spread - np.square(most), 1e-6 * spread)
    scores = 2.0 * values.shape[-1] * np.maximum(most, 0.0) / noise * sums
    scores -= 0.5 * np.square(offsets / _PRIOR_PPM)
    best = scores.argmax(-1)
    inner = best.clip(1, _GRID - 2)
    rows = np.arange(len(scores))
    left, middle, right = scores[rows, inner - 1], scores[rows, inner], scores[rows, inner + 1]
    curvature = left - 2.0 * middle + right
    bent = (curvature < 0) & (best == inner)
    fraction = np.where(bent, 0.5 * (left - right) / np.where(bent, curvature, -1.0), 0.0)
    found: NDArray[np.float64] = offsets[best] + fraction * (offsets[1] - offsets[0])
    return found.reshape(shape)


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
    """Return each block's correlation of its upper with its lower band edge, (..., num_blocks)."""
    half = BLOCK_SYMBOLS // 2
    reach = math.floor(half * frame_format.rolloff) - 1
    # Frequency k is k bins above 0: the upper edge lies around 256, the lower one 512 bins below.
    values = spectra.numpy()
    upper = values[..., half - reach : half + reach + 1]
    # Both edges are one piece: neither wraps around.
    first = half - reach - BLOCK_SYMBOLS + values.shape[-1]
    lower = values[..., first : first + 2 * reach + 1]
    result: NDArray[np.complex128] = np.einsum("...bk,...bk->...b", upper, lower.conj())
    return result.astype(np.complex128)
