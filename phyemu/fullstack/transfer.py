"""What the transfer of a payload took, whichever engine worked it out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from phyemu.fullstack.protocol import Protocol

__all__ = ["Engine", "Transfer"]


class Engine(StrEnum):
    """Who worked a transfer out."""

    MODEL = "model"
    """The event model of this room."""
    NS3 = "ns-3"


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """One payload on its way from the mobile device to the edge server.

    Bytes on the air are `delivered_bytes` and the overhead: what was sent twice is overhead, and so
    is what was sent and never arrived.

    Attributes:
        engine: Who worked it out.
        protocol: What carried it.
        payload_bytes: What there was to send.
        delivered_bytes: What arrived; all of it with TCP.
        duration_s: From the first request for the medium until the last byte that arrives [s]; with
            TCP the handshake is part of it. 0 where nothing arrived.
        overhead_bytes: By its origin: "phy" (SIGNAL, SERVICE, tail and pad bits), "mac" (headers,
            check sequences, LLC/SNAP), "ip", "transport" (headers of UDP or TCP, with the frames
            that carry TCP's handshake and acknowledgements), "ack" (802.11's own
            acknowledgements), "retransmission" (frames sent again, payload and headers, by the MAC
            or by TCP), "lost" (payload sent once or more and never delivered).
        num_frames: PHY frames on the air, acknowledgements and repetitions among them.
        mac_retransmissions: Data frames that the MAC sent again, either way.
        transport_retransmissions: Segments that TCP sent again.
        transmit_s: Time in which the device's radio sent [s].
        receive_s: Time in which the edge server's radio sent [s].
    """

    engine: Engine
    protocol: Protocol
    payload_bytes: int
    delivered_bytes: int
    duration_s: float
    overhead_bytes: Mapping[str, float]
    num_frames: int
    mac_retransmissions: int
    transport_retransmissions: int
    transmit_s: float
    receive_s: float

    @property
    def airtime_s(self) -> float:
        """Return the time in which one of the two radios sent [s]."""
        return self.transmit_s + self.receive_s

    @property
    def goodput_mbps(self) -> float:
        """Return what was delivered over the duration [Mbit/s]; 0 where nothing arrived."""
        return 8e-6 * self.delivered_bytes / self.duration_s if self.duration_s else 0.0

    @property
    def total_overhead_bytes(self) -> float:
        """Return the overhead of every origin."""
        return sum(self.overhead_bytes.values())

    @property
    def bytes_on_air(self) -> float:
        """Return what was delivered and the overhead."""
        return self.delivered_bytes + self.total_overhead_bytes

    def to_dict(self) -> dict[str, Any]:
        """Return everything for JSON, derived figures too; no duration where nothing arrived."""
        return {
            **asdict(self),
            "duration_s": self.duration_s if self.delivered_bytes else None,
            "overhead_bytes": dict(self.overhead_bytes),
            "total_overhead_bytes": self.total_overhead_bytes,
            "bytes_on_air": self.bytes_on_air,
            "airtime_s": self.airtime_s,
            "goodput_mbps": self.goodput_mbps,
        }
