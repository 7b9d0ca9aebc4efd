"""Complex 16-bit integers, as they travel between a USRP and the host, to and from complex64.

The scale is SigMF's for ci16: full scale 1 is 32768, so that a recording in ci16 holds exactly what
the device sent. (UHD's own conversion to floating point scales by 32767 and would not.)
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["from_sc16", "to_sc16"]

_SCALE = np.float32(32768.0)


def from_sc16(samples: NDArray[np.uint32], out: NDArray[np.complex64]) -> None:
    """Write the samples (channels, n), I in the low half of each word, to `out` (channels, n)."""
    for source, target in zip(samples, out, strict=True):
        np.multiply(
            source.view(np.int16),
            np.float32(1) / _SCALE,
            out=target.view(np.float32),
            dtype=np.float32,
        )


def to_sc16(iq: NDArray[np.complex64]) -> tuple[NDArray[np.uint32], int]:
    """Return the samples (channels, n) rounded to sc16, limited to full scale, and how many were.

    >>> words, clipped = to_sc16(np.array([[0.5 - 0.25j, 1.5 + 0j]], np.complex64))
    >>> words.view(np.int16).tolist(), clipped
    ([[16384, -8192, 32767, 0]], 1)
    """
    parts = np.ascontiguousarray(iq).view(np.float32) * _SCALE
    np.rint(parts, out=parts)
    # Full scale itself, one step above the largest integer, is no clipping worth a count.
    beyond = np.abs(parts) > 32768
    clipped = int((beyond[:, 0::2] | beyond[:, 1::2]).sum()) if beyond.any() else 0
    np.clip(parts, -32768, 32767, out=parts)
    return parts.astype(np.int16).view(np.uint32), clipped
