"""The coded header of a frame: its index, its payload length, and a check.

36 bits - index (12), payload length - 1 (14), CRC (10) - are three words of the extended Golay code
(24, 12, 8), scrambled and sent as 72 antipodal symbols. Each word is decoded by correlation with
all 4096 code words, which is maximum likelihood: a word fails in white noise with probability
<= 759 Q(sqrt(16 snr)) + 2576 Q(sqrt(24 snr)) + ..., 0.3 % at 1 dB.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.sequence import m_sequence

__all__ = [
    "HEADER_SYMBOLS",
    "MAX_PAYLOAD_SYMBOLS",
    "NUM_FRAME_INDICES",
    "Header",
    "decode_header",
    "encode_header",
]

_INDEX_BITS = 12
_LENGTH_BITS = 14
_CRC_BITS = 10
_CRC_POLYNOMIAL = 0x233  # x^10 + x^9 + x^5 + x^4 + x + 1, CRC-10/ATM
_CRC_START = 0x2AA  # an all-zero header must not check

HEADER_SYMBOLS: Final = 72
"""Symbols of a header."""

NUM_FRAME_INDICES: Final = 1 << _INDEX_BITS
"""Frame indices run 0..4095 and begin again."""

MAX_PAYLOAD_SYMBOLS: Final = 1 << _LENGTH_BITS
"""Longest payload that a header can state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """What a header states.

    Attributes:
        frame_index: Index of the frame, 0..4095.
        payload_symbols: Length of the payload [symbols], 1..16384.

    Raises:
        ConfigError: A value is out of range.
    """

    frame_index: int
    payload_symbols: int

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.frame_index < NUM_FRAME_INDICES:
            raise ConfigError(
                f"frame_index must be 0..{NUM_FRAME_INDICES - 1}, got {self.frame_index}; "
                f"longer transmissions begin again at 0"
            )
        if not 1 <= self.payload_symbols <= MAX_PAYLOAD_SYMBOLS:
            raise ConfigError(
                f"payload_symbols must be 1..{MAX_PAYLOAD_SYMBOLS}, got {self.payload_symbols}"
            )


def _crc(value: int, bits: int) -> int:
    """Return the CRC of the `bits` bits of `value`, the highest first."""
    register = _CRC_START
    for position in range(bits - 1, -1, -1):
        feedback = (register >> (_CRC_BITS - 1)) ^ (value >> position & 1)
        register = (register << 1) & ((1 << _CRC_BITS) - 1)
        if feedback & 1:
            register ^= _CRC_POLYNOMIAL & ((1 << _CRC_BITS) - 1)
    return register


@lru_cache(maxsize=1)
def _golay_words() -> NDArray[np.float32]:
    """Return the 4096 words of the extended Golay code as +-1 (bit 0 is +1), (4096, 24)."""
    generator = 0xC75  # x^11 + x^10 + x^6 + x^5 + x^4 + x^2 + 1
    words = np.zeros((4096, 24), np.int64)
    for data in range(4096):
        remainder = data << 11
        for position in range(22, 10, -1):
            if remainder >> position & 1:
                remainder ^= generator << (position - 11)
        word = (data << 11) | remainder
        word = (word << 1) | (word.bit_count() & 1)
        words[data] = (word >> np.arange(23, -1, -1)) & 1
    signs: NDArray[np.float32] = (1 - 2 * words).astype(np.float32)
    signs.setflags(write=False)
    return signs


@lru_cache(maxsize=1)
def _golay_parities() -> NDArray[np.int64]:
    """Return the lower 12 bits of each word; the upper ones are its data, (4096,)."""
    parities: NDArray[np.int64] = (_golay_words()[:, 12:] < 0) @ (1 << np.arange(11, -1, -1))
    return parities


@numba.njit(cache=True, nogil=True)
def _likeliest_words(
    received: NDArray[np.float32], parities: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the data of the words of largest correlation with what was received, (words,).

    The correlation with a word is that of its data plus that of its parity; those of all 4096
    halves take an addition each: a bit more is the same without it, and twice its symbol less.
    """
    found = np.zeros(len(received), np.int64)
    sums = np.empty((2, 4096), np.float32)
    for word in range(len(received)):
        for half in range(2):
            total = np.float32(0.0)
            for bit in range(12):
                total += received[word, 12 * half + bit]
            sums[half, 0] = total
            for bit in range(12):
                twice = np.float32(2.0) * received[word, 12 * half + 11 - bit]
                size = 1 << bit
                for index in range(size):
                    sums[half, size + index] = sums[half, index] - twice
        best = np.float32(-np.inf)
        for data in range(4096):
            total = sums[0, data] + sums[1, parities[data]]
            if total > best:
                best = total
                found[word] = data
    return found


@lru_cache(maxsize=1)
def _scrambling() -> NDArray[np.float32]:
    """Return 72 signs of a maximum-length sequence, so that no header is a constant."""
    signs: NDArray[np.float32] = (1 - 2 * m_sequence(7)[:HEADER_SYMBOLS]).numpy().astype(np.float32)
    signs.setflags(write=False)
    return signs


def encode_header(header: Header) -> Tensor:
    """Return the symbols of a header, (72,), float32, +-1."""
    fields = header.frame_index << _LENGTH_BITS | (header.payload_symbols - 1)
    bits = fields << _CRC_BITS | _crc(fields, _INDEX_BITS + _LENGTH_BITS)
    data = [bits >> 24 & 0xFFF, bits >> 12 & 0xFFF, bits & 0xFFF]
    return torch.from_numpy(_golay_words()[data].reshape(-1) * _scrambling())


def decode_header(soft: Tensor) -> Header | None:
    """Return the most likely header; None where its check fails.

    Args:
        soft: Received symbols, real part after equalisation, (72,), floating; any positive scale.

    Raises:
        SignalError: Wrong shape or type.
    """
    if soft.shape != (HEADER_SYMBOLS,) or not soft.is_floating_point():
        raise SignalError(
            f"a header is ({HEADER_SYMBOLS},), floating, got {soft.dtype} {tuple(soft.shape)}"
        )
    received = soft.detach().cpu().numpy().astype(np.float32) * _scrambling()
    data = _likeliest_words(received.reshape(3, 24), _golay_parities())
    bits = int(data[0]) << 24 | int(data[1]) << 12 | int(data[2])
    fields = bits >> _CRC_BITS
    if _crc(fields, _INDEX_BITS + _LENGTH_BITS) != bits & ((1 << _CRC_BITS) - 1):
        return None
    return Header(
        frame_index=fields >> _LENGTH_BITS,
        payload_symbols=(fields & (MAX_PAYLOAD_SYMBOLS - 1)) + 1,
    )
