"""What stations hand to each other: an IP datagram, as far as a transfer looks into it."""

from dataclasses import dataclass

from phyemu.fullstack.frame_tally import IP_BYTES, MAC_BYTES, FrameKind

__all__ = ["Packet"]


@dataclass(eq=False, kw_only=True, slots=True)
class Packet:
    """One IP datagram.

    Attributes:
        kind: Why it is sent.
        behind_ip_bytes: Transport header and payload.
        segment: Index of the segment of the payload that it carries; -1: none.
        acknowledged: TCP: segments that the edge has without a hole; -1: it acknowledges none.
        selective: TCP: further segments that it has, ascending.
        sent_ns: When the segment was sent; an acknowledgement echoes that of the segment that
            caused it (RFC 7323).
    """

    kind: FrameKind
    behind_ip_bytes: int
    segment: int = -1
    acknowledged: int = -1
    selective: tuple[int, ...] = ()
    sent_ns: int = -1

    @property
    def psdu_bytes(self) -> int:
        """Return the size of the 802.11 frame around it."""
        return MAC_BYTES + IP_BYTES + self.behind_ip_bytes
