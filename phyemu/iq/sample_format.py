"""SigMF's complex datatypes: between stored components and complex64 at full scale 1.

Integers become x / 2^(bits - 1), unsigned ones after their midpoint is taken off (SigMF 1.2,
core:datatype; the same as the sigmf package's autoscale).
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import RecordingError

__all__ = ["SampleFormat", "sample_format"]

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
        """Return whether samples are floating point, so that they may hold NaN."""
        return self.component.kind == "f"

    @property
    def sample_bytes(self) -> int:
        """Return the bytes of one complex sample of one channel."""
        return 2 * self.component.itemsize

    @property
    def full_scale(self) -> float:
        """Return the stored magnitude that means 1."""
        return 1.0 if self.is_float else float(2 ** (8 * self.component.itemsize - 1))

    def decode(self, stored: NDArray[np.generic]) -> NDArray[np.complex64]:
        """Return complex64 samples from stored components (..., 2 n): shape (..., n)."""
        if self.component.kind == "f":
            pairs = stored.astype(np.float32)
        elif self.component.itemsize == 4:
            # 32-bit integers need double precision to be scaled without a detour.
            wide = stored.astype(np.float64)
            wide -= self._midpoint
            pairs = (wide / self.full_scale).astype(np.float32)
        else:
            pairs = stored.astype(np.float32)
            if self._midpoint:
                pairs -= np.float32(self._midpoint)
            pairs *= np.float32(1.0 / self.full_scale)
        return np.ascontiguousarray(pairs).view(np.complex64)

    def encode(self, iq: NDArray[np.complex64]) -> tuple[NDArray[np.generic], int]:
        """Return (components (..., 2 n), number of samples that had to be clipped)."""
        pairs = np.ascontiguousarray(iq, np.complex64).view(np.float32)
        if self.is_float:
            return pairs.astype(self.component), 0
        wide = pairs.astype(np.float64) if self.component.itemsize == 4 else pairs
        scaled = np.rint(wide * wide.dtype.type(self.full_scale))
        top = self.full_scale - 1
        outside = (scaled > top) | (scaled < -self.full_scale)
        num_clipped = int(np.count_nonzero(outside[..., 0::2] | outside[..., 1::2]))
        if num_clipped:
            np.clip(scaled, -self.full_scale, top, out=scaled)
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
    match = re.fullmatch(r"([cr])([fiu])(8|16|32|64)(_le|_be)?", str(datatype))
    if match is None:
        raise RecordingError(f"{where}: unknown datatype {datatype!r}; known are {_DATATYPES}")
    real, kind, bits, order = match[1] == "r", match[2], int(match[3]), match[4] or ""
    if real:
        raise RecordingError(
            f"{where}: {datatype} samples are real, phyemu needs complex IQ; known are {_DATATYPES}"
        )
    if (kind == "f") != (bits >= 32 and kind == "f") or (kind != "f" and bits == 64):
        raise RecordingError(f"{where}: unknown datatype {datatype!r}; known are {_DATATYPES}")
    if bits > 8 and not order:
        raise RecordingError(
            f"{where}: {datatype} lacks its byte order; write {datatype}_le or _be"
        )
    mark = ">" if order == "_be" else "<"
    return SampleFormat(str(datatype), np.dtype(f"{mark}{kind}{bits // 8}"))
