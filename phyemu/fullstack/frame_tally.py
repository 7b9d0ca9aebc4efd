"""The frames of a transfer, counted by sort; what they cost follows from the counts alone.

Both engines end here, so that a byte is the same thing in their figures.
"""

from collections import Counter
from enum import StrEnum
from typing import Final, NamedTuple

from phyemu.fullstack.protocol import Protocol
from phyemu.fullstack.rates import ACK_BYTES, phy_rate
from phyemu.fullstack.transfer import Engine, Transfer

__all__ = [
    "DEVICE",
    "EDGE",
    "IP_BYTES",
    "MAC_BYTES",
    "FrameKind",
    "FrameSort",
    "segment_bytes",
    "tally_transfer",
    "transport_bytes",
]

DEVICE: Final = 0
"""The station that has the payload."""

EDGE: Final = 1
"""The station that wants it."""

MAC_BYTES: Final = 24 + 4 + 8
"""MAC header, its check sequence, LLC/SNAP."""

IP_BYTES: Final = 20
"""An IPv4 header without options."""

# With TCP the time stamps' option (RFC 7323), aligned.
_TRANSPORT_BYTES: Final = {Protocol.TCP: 20 + 12, Protocol.UDP: 8}


class FrameKind(StrEnum):
    """What a frame is on the air for."""

    SEGMENT = "segment"
    """Payload that is sent for the first time."""
    CONTROL = "control"
    """TCP's handshake and acknowledgements."""
    MAC_RETRANSMISSION = "mac-retransmission"
    """A frame that was not acknowledged and is sent again."""
    TRANSPORT_RETRANSMISSION = "transport-retransmission"
    """A segment that TCP sends again."""
    ACK = "ack"
    """The receiver's 802.11 acknowledgement."""


class FrameSort(NamedTuple):
    """What frames that are counted together have in common."""

    station: int
    kind: FrameKind
    psdu_bytes: int
    rate_mbps: int


def transport_bytes(protocol: Protocol) -> int:
    """Return the size of the transport's header in front of payload."""
    return _TRANSPORT_BYTES[protocol]


def segment_bytes(mtu_bytes: int, protocol: Protocol) -> int:
    """Return the largest payload of one IP datagram: 1448 with TCP and 1472 with UDP at 1500."""
    return mtu_bytes - IP_BYTES - transport_bytes(protocol)


def tally_transfer(
    frames: Counter[FrameSort],
    *,
    engine: Engine,
    protocol: Protocol,
    payload_bytes: int,
    delivered_bytes: int,
    duration_s: float,
) -> Transfer:
    """Return the transfer that put these frames on the air.

    Args:
        frames: How many frames of each sort.
        engine: Who counted them.
        protocol: What carried the payload.
        payload_bytes: What there was to send.
        delivered_bytes: What arrived.
        duration_s: Until its last byte arrived [s].
    """
    origins = ("phy", "mac", "ip", "transport", "ack", "retransmission", "lost")
    overhead = dict.fromkeys(origins, 0.0)
    sent_s = [0.0, 0.0]
    kinds: Counter[FrameKind] = Counter()
    header = transport_bytes(protocol)
    for sort, count in frames.items():
        rate = phy_rate(sort.rate_mbps)
        sent_s[sort.station] += count * rate.duration_s(sort.psdu_bytes)
        kinds[sort.kind] += count
        phy = count * rate.phy_bytes(sort.psdu_bytes)
        if sort.kind in (FrameKind.MAC_RETRANSMISSION, FrameKind.TRANSPORT_RETRANSMISSION):
            overhead["retransmission"] += count * sort.psdu_bytes + phy
            continue
        overhead["phy"] += phy
        if sort.kind is FrameKind.ACK:
            overhead["ack"] += count * ACK_BYTES
            continue
        overhead["mac"] += count * MAC_BYTES
        overhead["ip"] += count * IP_BYTES
        behind_ip = sort.psdu_bytes - MAC_BYTES - IP_BYTES
        if sort.kind is FrameKind.SEGMENT:
            overhead["transport"] += count * header
            overhead["lost"] += count * (behind_ip - header)
        else:
            overhead["transport"] += count * behind_ip
    overhead["lost"] -= delivered_bytes
    return Transfer(
        engine=engine,
        protocol=protocol,
        payload_bytes=payload_bytes,
        delivered_bytes=delivered_bytes,
        duration_s=duration_s,
        overhead_bytes=overhead,
        num_frames=kinds.total(),
        mac_retransmissions=kinds[FrameKind.MAC_RETRANSMISSION],
        transport_retransmissions=kinds[FrameKind.TRANSPORT_RETRANSMISSION],
        transmit_s=sent_s[DEVICE],
        receive_s=sent_s[EDGE],
    )
