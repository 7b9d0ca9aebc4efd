"""SigMF's complex datatypes: between stored components and complex64 at full scale 1.

Integers become x / 2^(bits - 1), unsigned ones after their midpoint is taken off (SigMF 1.2,
core:datatype; the same as the sigmf package's autoscale).
"""

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RecordingError

__all__ = ["SampleFormat", "first_non_finite", "sample_format"]

_DATATYPES = "ci8, ci16_le, ci32_le, cu8, cu16_le, cu32_le, cf32_le, cf64_le (or _be)"


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How one component (I or Q) of a sample is stored.

    Attributes:
        datatype: SigMF's name, such as "ci16_le".
        component: NumPy type of I or Q, with its byte order.
    """

    datatype: str
    component: np.dtype[np.generic]

    @property
    def is_float(self) -> bool:
        """Whether samples are floating point, so that they may hold NaN."""
        return self.component.kind == "f"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one complex sample of one channel."""
        return 2 * self.component.itemsize

    @property
    def full_scale(self) -> float:
        """Stored magnitude that means 1."""
        return 1.0 if self.is_float else float(2 ** (8 * self.component.itemsize - 1))

    def decode(self, stored: NDArray[np.generic]) -> NDArray[np.complex64]:
        """Return complex64 samples from stored components (..., 2): shape (...).

        Values of cf64 beyond the range of single precision become infinite.
        """
        if self.is_float:
            with np.errstate(over="ignore", invalid="ignore"):
                pairs = stored.astype(np.float32)
        elif self.component.itemsize == 4:
            # Single precision would round 32-bit integers before their midpoint is taken off.
            wide = stored.astype(np.float64)
            wide -= self._midpoint
            wide *= 1.0 / self.full_scale
            pairs = wide.astype(np.float32)
        else:
            pairs = stored.astype(np.float32)
            if self._midpoint:
                pairs -= np.float32(self._midpoint)
            pairs *= np.float32(1.0 / self.full_scale)
        return np.ascontiguousarray(pairs).view(np.complex64)[..., 0]

    def encode(self, iq: NDArray[np.complex64]) -> tuple[NDArray[np.generic], int]:
        """Return stored components (..., 2), and how many samples had to be clipped to fit.

        Args:
            iq: Finite samples (...), contiguous.
        """
        pairs = iq[..., None].view(np.float32)
        if self.is_float:
            return pairs.astype(self.component, copy=False), 0
        wide = self.component.itemsize == 4
        scaled = np.multiply(pairs, self.full_scale, dtype=np.float64 if wide else np.float32)
        np.rint(scaled, out=scaled)
        bottom, top = -self.full_scale, self.full_scale - 1
        num_clipped = 0
        if scaled.size and (scaled.max() > top or scaled.min() < bottom):
            outside = (scaled > top) | (scaled < bottom)
            num_clipped = int(np.count_nonzero(outside.any(axis=-1)))
            np.clip(scaled, bottom, top, out=scaled)
        if self._midpoint:
            scaled += self._midpoint
        return scaled.astype(self.component), num_clipped

    @property
    def _midpoint(self) -> float:
        return self.full_scale if self.component.kind == "u" else 0.0


def sample_format(datatype: object, *, where: str) -> SampleFormat:
    """Return the format of a SigMF datatype.

    Args:
        datatype: Such as "ci16_le".
        where: File and field, for the message.

    Raises:
        RecordingError: Unknown, or real samples, which are no IQ.
    """
    match = re.fullmatch(r"([cr])(f32|f64|[iu](?:8|16|32))(_le|_be)?", str(datatype))
    if match is None:
        raise RecordingError(f"{where}: unknown datatype {datatype!r}; known are {_DATATYPES}")
    if match[1] == "r":
        raise RecordingError(
            f"{where}: {datatype} samples are real, phyemu needs complex IQ (such as "
            f"c{match[2]}{match[3] or ''}); mix the signal down to baseband first"
        )
    kind, bits, order = match[2][0], int(match[2][1:]), match[3]
    if bits > 8 and order is None:
        raise RecordingError(
            f"{where}: {datatype} lacks its byte order; write {datatype}_le or {datatype}_be"
        )
    mark = ">" if order == "_be" else "<"
    return SampleFormat(str(datatype), np.dtype(f"{mark}{kind}{bits // 8}"))


def first_non_finite(iq: NDArray[np.complex64]) -> int | None:
    """Return the first index (last axis) of a NaN or infinite sample; None: all are finite.

    Args:
        iq: Samples (..., num_samples), contiguous.
    """
    if iq.size == 0:
        return None
    # max and min pass NaN on, so both are finite exactly when every component is; they cost a
    # tenth of looking at each.
    parts = iq.view(np.float32)
    if math.isfinite(parts.max()) and math.isfinite(parts.min()):
        return None
    return int(np.argwhere(~np.isfinite(iq))[:, -1].min())
