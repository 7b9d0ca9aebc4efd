"""A burst of a sounder that was found in a stream."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SounderBurst"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SounderBurst:
    """A burst that was found, with its rivals.

    Attributes:
        sample_start: First sample of the burst's strongest path in the stream.
        cfo_hz: Carrier frequency offset; finer estimates need the whole burst [Hz].
        confidence: Coherence of consecutive periods, about S / (S + N), 0..1.
        offsets: Carrier offsets that were weighed, in whole bins, ascending, (K,), int64.
        starts: The first sample that each of them implies, (K,), int64.
        scores: How well each fits the edges, energy relative to the whole burst, (K,), float64.
    """

    sample_start: int
    cfo_hz: float
    confidence: float
    offsets: NDArray[np.int64]
    starts: NDArray[np.int64]
    scores: NDArray[np.float64]
