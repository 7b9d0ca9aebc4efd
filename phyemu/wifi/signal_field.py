"""The SIGNAL fields behind the preamble: L-SIG of every frame, HT-SIG of 802.11n.

IEEE Std 802.11-2020, 17.3.4 and 19.3.9.4.3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.wifi.modes import LEGACY_MODES, Mode

__all__ = ["HtSig", "LSig", "crc8", "read_ht_sig", "read_l_sig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class LSig:
    """What L-SIG says.

    Attributes:
        mode: Of the data of a legacy frame; 6 Mb/s in all later formats.
        length: Octets, 1..4095; in later formats it only tells the duration.
    """

    mode: Mode
    length: int

    @property
    def num_symbols(self) -> int:
        """Symbols of 4 us behind L-SIG: SERVICE (16 bits), the octets and the tail fill them."""
        return -(-(16 + 8 * self.length + 6) // self.mode.data_bits)


@dataclass(frozen=True, kw_only=True, slots=True)
class HtSig:
    """What HT-SIG says.

    Attributes:
        mcs: Modulation and coding scheme, 0..127; 0..7 is one stream.
        wide: Whether the frame fills 40 MHz.
        length: Octets of the PSDU, 0..65535.
        aggregated: Whether the PSDU is an A-MPDU.
        stbc: Space-time streams more than streams, 0..3.
        ldpc: Whether the code is LDPC.
        short_guard: Whether the guard interval of the data is 0.4 us.
        extension_streams: Streams that only sound the channel, 0..3.
    """

    mcs: int
    wide: bool
    length: int
    aggregated: bool
    stbc: int
    ldpc: bool
    short_guard: bool
    extension_streams: int

    @property
    def single_stream(self) -> bool:
        """Whether one stream in 20 MHz is all there is, so that one HT-LTF shows its channel."""
        return self.mcs < 8 and not self.wide and self.stbc == 0 and self.extension_streams == 0


def crc8(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the 8 check bits as they are sent: x^8 + x^2 + x + 1, from ones, inverted."""
    register = 0xFF
    for bit in bits.tolist():
        feedback = (register >> 7) ^ int(bit)
        register = (register << 1) & 0xFF
        if feedback:
            register ^= 0x07
    return np.array([1 ^ (register >> k & 1) for k in range(7, -1, -1)], np.uint8)


def _number(bits: NDArray[np.uint8]) -> int:
    """Return the number whose least significant bit is sent first."""
    return sum(int(bit) << k for k, bit in enumerate(bits.tolist()))


def read_l_sig(bits: NDArray[np.uint8]) -> LSig | None:
    """Return what the 24 decoded bits say; None where they cannot be an L-SIG."""
    mode = LEGACY_MODES.get("".join(str(bit) for bit in bits[:4].tolist()))
    length = _number(bits[5:17])
    if mode is None or length == 0 or bits[4] or int(bits[:18].sum()) % 2 or bits[18:].any():
        return None
    return LSig(mode=mode, length=length)


def read_ht_sig(bits: NDArray[np.uint8]) -> HtSig | None:
    """Return what the 48 decoded bits say; None where check bits or tail are wrong."""
    if (crc8(bits[:34]) != bits[34:42]).any() or bits[42:].any():
        return None
    return HtSig(
        mcs=_number(bits[:7]),
        wide=bool(bits[7]),
        length=_number(bits[8:24]),
        aggregated=bool(bits[27]),
        stbc=_number(bits[28:30]),
        ldpc=bool(bits[30]),
        short_guard=bool(bits[31]),
        extension_streams=_number(bits[32:34]),
    )
