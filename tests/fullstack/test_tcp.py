"""The congestion window of the device, segment by segment, against RFC 5681 and 6675."""

from dataclasses import dataclass, field

from phyemu.fullstack.frame_tally import DEVICE, FrameKind
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.tcp import TcpTransfer
from phyemu.fullstack.timers import Timers


@dataclass
class Wire:
    """Keeps what the ends send, in place of a medium; its timers run when they are told to."""

    timers: Timers = field(default_factory=Timers)
    sent: list[Packet] = field(default_factory=list)

    def send(self, station: int, packet: Packet, now: int) -> None:
        self.sent.append(packet)

    def taken(self) -> list[tuple[FrameKind, int]]:
        """Return the segments that were sent since the last call, and why."""
        segments = [(item.kind, item.segment) for item in self.sent if item.segment >= 0]
        self.sent.clear()
        return segments


def connected(num_segments: int) -> tuple[TcpTransfer, Wire]:
    wire = Wire()
    transfer = TcpTransfer([1000] * num_segments, wire)  # type: ignore[arg-type]
    transfer.receive(DEVICE, Packet(kind=FrameKind.CONTROL, behind_ip_bytes=40), 1_000_000)
    return transfer, wire


def acknowledge(transfer: TcpTransfer, up_to: int, beyond: range, now: int) -> None:
    packet = Packet(
        kind=FrameKind.CONTROL,
        behind_ip_bytes=52,
        acknowledged=up_to,
        selective=tuple(beyond),
        sent_ns=now - 1_000_000,
    )
    transfer.receive(DEVICE, packet, now)


def test_a_loss_halves_the_window() -> None:
    transfer, wire = connected(60)
    assert wire.taken() == [(FrameKind.SEGMENT, index) for index in range(10)]
    acknowledge(transfer, 10, range(0), 3_000_000)  # slow start: twice as many may be under way
    assert wire.taken() == [(FrameKind.SEGMENT, index) for index in range(10, 30)]
    # Segment 10 is lost; one more arrives with each acknowledgement.
    again = 0
    under_way = set(range(10, 30))
    for count in range(1, 20):
        acknowledge(transfer, 10, range(11, 11 + count), 5_000_000 + count)
        under_way.discard(10 + count)
        if count == 3:  # now it is known
            under_way.discard(10)
        for kind, index in wire.taken():
            again += kind is FrameKind.TRANSPORT_RETRANSMISSION
            under_way.add(index)
            # Half of the 20 that were outstanding at the loss, at most.
            assert count < 3 or len(under_way) <= 10
    assert again == 1


def test_a_timeout_begins_again_with_one_segment() -> None:
    transfer, wire = connected(60)
    acknowledge(transfer, 10, range(0), 3_000_000)
    assert len(wire.taken()) == 10 + 20
    while not wire.sent:
        wire.timers.fire()
    assert wire.taken() == [(FrameKind.TRANSPORT_RETRANSMISSION, 10)]
    acknowledge(transfer, 11, range(0), 2_000_000_000)  # slow start, from one
    assert wire.taken() == [(FrameKind.TRANSPORT_RETRANSMISSION, index) for index in (11, 12)]
