"""Samples as bytes: messages that hold whole samples, and byte streams cut anywhere.

What comes from a socket is not to be trusted: a sample is taken only when both of its parts are
finite and within `MAX_MAGNITUDE`, so that nothing downstream can overflow.
"""

import numpy as np
from numpy.typing import NDArray

from phyemu.iq.sample_format import SampleFormat
from phyemu.live.transport import InputCounts

__all__ = [
    "MAX_MAGNITUDE",
    "MAX_MESSAGE_BYTES",
    "SampleFramer",
    "decode_message",
    "encode",
    "silence_bad",
]

MAX_MAGNITUDE = 1e9
"""Largest part of a sample, in units of full scale."""
MAX_MESSAGE_BYTES = 32 << 20
"""Largest message that is taken; srsRAN's radio never sends more than 23.4 MiB."""

_NONE = np.zeros(0, np.complex64)


def decode_message(
    data: bytes | memoryview, sample_format: SampleFormat, counts: InputCounts
) -> NDArray[np.complex64]:
    """Return the samples of one message; a bad one is dropped, counted, and gives none.

    Args:
        data: The message; the samples may share its memory.
        sample_format: Of the samples.
        counts: Where a dropped message is counted.
    """
    num_bytes = len(data)
    num_samples = num_bytes // sample_format.sample_bytes
    if num_bytes == 0:
        counts.drop("empty")
    elif num_bytes > MAX_MESSAGE_BYTES:
        counts.drop("too large", num_samples)
    elif num_bytes % sample_format.sample_bytes:
        counts.drop("no whole samples", num_samples)
    else:
        iq = _decode(data, sample_format)
        if is_clean(iq):
            return iq
        counts.drop("not finite or out of range", num_samples)
    return _NONE


class SampleFramer:
    """Cuts a byte stream that comes in pieces of any length into samples."""

    def __init__(self, sample_format: SampleFormat, counts: InputCounts) -> None:
        self._format = sample_format
        self._counts = counts
        self._rest = b""

    def push(self, data: bytes) -> NDArray[np.complex64]:
        """Return the samples that `data` completes; bad ones are zeros, and counted."""
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % self._format.sample_bytes
        self._rest = data[whole:]
        return silence_bad(_decode(memoryview(data)[:whole], self._format), self._counts)

    def end(self) -> None:
        """Count what is left: the stream ended within a sample."""
        if self._rest:
            self._counts.drop("ended within a sample")
            self._rest = b""


def encode(iq: NDArray[np.complex64], sample_format: SampleFormat) -> tuple[memoryview, int]:
    """Return the bytes of samples, and how many had to be clipped to fit."""
    stored, num_clipped = sample_format.encode(np.ascontiguousarray(iq))
    return np.ascontiguousarray(stored).reshape(-1).view(np.uint8).data, num_clipped


def is_clean(iq: NDArray[np.complex64]) -> bool:
    """Return whether every part of every sample is a number within `MAX_MAGNITUDE`."""
    if iq.size == 0:
        return True
    parts = iq.view(np.float32)
    # max and min pass NaN on, and a NaN is not within anything.
    return bool(parts.max() <= MAX_MAGNITUDE and parts.min() >= -MAX_MAGNITUDE)


def silence_bad(iq: NDArray[np.complex64], counts: InputCounts) -> NDArray[np.complex64]:
    """Return the samples, zeros in place of the bad ones, which are counted."""
    if is_clean(iq):
        return iq
    parts = iq.view(np.float32).reshape(-1, 2)
    # NaN compares as false.
    good = (np.abs(parts) <= MAX_MAGNITUDE).all(axis=1)
    counts.silenced_samples += int(np.count_nonzero(~good))
    return np.where(good, iq, np.complex64(0))


def _decode(data: bytes | memoryview, sample_format: SampleFormat) -> NDArray[np.complex64]:
    if len(data) == 0:
        return _NONE
    stored = np.frombuffer(data, sample_format.component)
    if sample_format.component == np.dtype(np.float32):
        return stored.view(np.complex64)
    return sample_format.decode(stored.reshape(-1, 2))
