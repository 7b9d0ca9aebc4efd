"""MAC frames: type, addresses and check sequence, IEEE Std 802.11-2020, clause 9."""

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from phyemu.wifi.signal_field import crc8

__all__ = ["MacFrame", "frame_kind", "read_mac_frame", "split_ampdu"]

_DELIMITER_SIGNATURE = 0x4E
_DELIMITER_BYTES = 4
_FCS_BYTES = 4
_TYPES: Final = ("management", "control", "data", "extension")
_MANAGEMENT: Final = {
    0: "association request",
    1: "association response",
    2: "reassociation request",
    3: "reassociation response",
    4: "probe request",
    5: "probe response",
    8: "beacon",
    9: "ATIM",
    10: "disassociation",
    11: "authentication",
    12: "deauthentication",
    13: "action",
    14: "action no ack",
}
_CONTROL: Final = {
    7: "control wrapper",
    8: "block ack request",
    9: "block ack",
    10: "PS-poll",
    11: "RTS",
    12: "CTS",
    13: "ack",
    14: "CF-end",
}
_DATA: Final = {
    0: "data",
    4: "null",
    8: "QoS data",
    12: "QoS null",
}
_WITHOUT_TRANSMITTER: Final = ("control wrapper", "CTS", "ack")


@dataclass(frozen=True, kw_only=True, slots=True)
class MacFrame:
    """What the header of a MAC frame says.

    Attributes:
        control: Its first octet, which holds type and subtype.
        receiver_address: Address 1, "aa:bb:cc:dd:ee:ff"; None where the frame ends before it.
        transmitter_address: Address 2; None where the frame has none (ACK, CTS), or ends before.
        third_address: Address 3 of data and management frames: BSSID, source or destination.
        fcs_ok: Whether the check sequence matches; None where the frame was cut short.
    """

    control: int
    receiver_address: str | None
    transmitter_address: str | None
    third_address: str | None
    fcs_ok: bool | None

    @property
    def kind(self) -> str:
        """Its type, as `frame_kind` names it."""
        return frame_kind(self.control)


def read_mac_frame(octets: bytes, *, complete: bool) -> MacFrame | None:
    """Return what a MAC frame says of itself; None where not even its type is there.

    Args:
        octets: The frame, its check sequence included, or the beginning of it.
        complete: Whether that is all of it.
    """
    if len(octets) < 2:
        return None
    type_name = _TYPES[octets[0] >> 2 & 3]
    fcs_ok = None
    if complete:
        body, check = octets[:-_FCS_BYTES], octets[-_FCS_BYTES:]
        fcs_ok = len(body) >= 2 and zlib.crc32(body).to_bytes(4, "little") == check
    addressed = type_name in ("management", "data")
    transmitter = None
    if addressed or (type_name == "control" and frame_kind(octets[0]) not in _WITHOUT_TRANSMITTER):
        transmitter = _address(octets, 10)
        if transmitter is not None and not addressed:
            # A control frame may tell its bandwidth by the group bit of its transmitter's address.
            transmitter = f"{octets[10] & 0xFE:02x}{transmitter[2:]}"
    return MacFrame(
        control=octets[0],
        receiver_address=_address(octets, 4),
        transmitter_address=transmitter,
        third_address=_address(octets, 16) if addressed else None,
        fcs_ok=fcs_ok,
    )


def frame_kind(control: int) -> str:
    """Return the type of a MAC frame: "QoS data", "beacon", "ack", ...

    Args:
        control: The first octet of the frame; a subtype without a name here gives "data 5".
    """
    kind, subtype = _TYPES[control >> 2 & 3], control >> 4
    names = {"management": _MANAGEMENT, "control": _CONTROL, "data": _DATA}.get(kind, {})
    return names.get(subtype, f"{kind} {subtype}")


def _address(octets: bytes, first: int) -> str | None:
    """Return the address that begins at octet `first`; None where the frame ends before."""
    field = octets[first : first + 6]
    return field.hex(":") if len(field) == 6 else None


def split_ampdu(octets: bytes, *, complete: bool) -> list[tuple[bytes, bool]]:
    """Return the MAC frames of an A-MPDU, each with whether it is all there.

    A delimiter is found by its check bits and signature; where one was received wrongly, the search
    goes on at the next multiple of four octets, clause 9.7.1.

    Args:
        octets: The PSDU, or the beginning of it.
        complete: Whether that is all of it.
    """
    frames: list[tuple[bytes, bool]] = []
    position = 0
    while position + _DELIMITER_BYTES <= len(octets):
        length = _delimited_length(octets[position : position + _DELIMITER_BYTES])
        if length is None or length == 0:
            position += _DELIMITER_BYTES
            continue
        begin = position + _DELIMITER_BYTES
        end = begin + length
        if end > len(octets) and complete:
            # It claims more than there is: no delimiter after all.
            position += _DELIMITER_BYTES
            continue
        frames.append((octets[begin:end], end <= len(octets)))
        position = end + -end % 4
    return frames


def _delimited_length(delimiter: bytes) -> int | None:
    """Return the length that a delimiter gives; None where it is none."""
    if delimiter[3] != _DELIMITER_SIGNATURE:
        return None
    bits = np.unpackbits(np.frombuffer(delimiter, np.uint8), bitorder="little")
    if (crc8(bits[:16]) != bits[16:24]).any():
        return None
    # B0..B3 are reserved in 802.11n, B4..B15 the length; 802.11ac adds two bits above it in B2, B3.
    return int.from_bytes(delimiter[:2], "little") >> 4
