"""Samples that carry their own number, so that a lost, doubled or changed one is told.

Sample n is (n mod 2^24) / 2^24 + j (n div 2^24) / 2^24: exact in 32 bits for 2^48 samples.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK_SAMPLES", "NumberedBlock"]

# Divides 2^24, so that within a block only the real part moves.
BLOCK_SAMPLES = 1 << 20
_STEPS = 1 << 24


class NumberedBlock:
    """Makes the samples of one block after the other, in the same memory."""

    def __init__(self) -> None:
        """Prepare the memory."""
        self.iq: NDArray[np.complex64] = np.empty(BLOCK_SAMPLES, np.complex64)
        self._parts = self.iq.view(np.float32).reshape(-1, 2)
        self._ramp = np.arange(BLOCK_SAMPLES, dtype=np.float32) / np.float32(_STEPS)

    def fill(self, block_index: int) -> None:
        """Put the samples of this block into `iq`."""
        begin = block_index * BLOCK_SAMPLES
        np.add(self._ramp, np.float32(begin % _STEPS / _STEPS), out=self._parts[:, 0])
        self._parts[:, 1] = begin // _STEPS / _STEPS

    def count_differing(self, received: NDArray[np.complex64]) -> int:
        """Return how many of the samples of this block were received as others, bit for bit."""
        ours = self.iq[: len(received)].view(np.uint64)
        theirs = received.view(np.uint64)
        # The comparison of all is several times faster than counting, and mostly enough.
        return 0 if np.array_equal(ours, theirs) else int(np.count_nonzero(ours != theirs))
