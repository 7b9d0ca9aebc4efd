"""Windows and timers of both ends, segment by segment, against RFC 5681, 6298 and 6675."""

from dataclasses import dataclass, field

import pytest

from phyemu.fullstack.frame_tally import DEVICE, EDGE, FrameKind
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.tcp import TcpTransfer
from phyemu.fullstack.timers import Timers


@dataclass
class Wire:
    """Keeps what the ends send, in place of a medium; its timers run when they are told to."""

    timers: Timers = field(default_factory=Timers)
    sent: list[Packet] = field(default_factory=list)
    sent_ns: int = 0

    def send(self, station: int, packet: Packet, now: int) -> None:
        self.sent.append(packet)
        self.sent_ns = now

    def next_sent_ms(self) -> float:
        """Return when timers alone make an end send, and forget what it sends."""
        self.sent.clear()
        while not self.sent:
            self.timers.fire()
        self.sent.clear()
        return self.sent_ns / 1e6

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


def acknowledge(
    transfer: TcpTransfer, up_to: int, beyond: range, now: int, round_trip: int = 1_000_000
) -> None:
    packet = Packet(
        kind=FrameKind.CONTROL,
        behind_ip_bytes=52,
        acknowledged=up_to,
        selective=tuple(beyond),
        sent_ns=now - round_trip,
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


def test_behind_the_threshold_the_window_grows_by_a_segment_a_round_trip() -> None:
    transfer, wire = connected(60)
    assert len(wire.taken()) == 10
    while not wire.sent:
        wire.timers.fire()
    # RFC 5681, (4): ten were outstanding, so slow start ends at five.
    assert wire.taken() == [(FrameKind.TRANSPORT_RETRANSMISSION, 0)]
    released = []
    for up_to in range(1, 13):
        acknowledge(transfer, up_to, range(0), 2_000_000_000 + up_to)
        released.append(len(wire.taken()))
    # An acknowledgement releases what it is for, and by how many whole segments the window grew:
    # (2), slow start: 1, 2, 3, 4, 5; (3), cwnd += 1 / cwnd: 5.20, 5.39, 5.58, 5.76, 5.93, 6.10,
    # 6.26, 6.42.
    assert released == [2, 2, 2, 2, 1, 1, 1, 1, 1, 2, 1, 1]


def test_the_timeout_follows_mean_and_deviation_of_the_round_trips() -> None:
    transfer, wire = connected(60)
    # RFC 6298, 2.2: SRTT = 100 ms, RTTVAR = 50 ms; RTO = 100 + 4 * 50.
    acknowledge(transfer, 1, range(0), 200_000_000, round_trip=100_000_000)
    # 2.3: RTTVAR = 3/4 * 50 + 1/4 * |100 - 180| = 57.5, then SRTT = 7/8 * 100 + 1/8 * 180 = 110.
    second, wire_of_second = connected(60)
    for up_to, now, round_trip in ((1, 200, 100), (2, 300, 180)):
        acknowledge(second, up_to, range(0), now * 1_000_000, round_trip * 1_000_000)
    assert wire.next_sent_ms() == pytest.approx(200 + 300)
    assert wire.next_sent_ms() == pytest.approx(500 + 2 * 300)  # 5.5: it doubles
    assert wire_of_second.next_sent_ms() == pytest.approx(300 + 110 + 4 * 57.5)


def test_before_the_first_round_trip_the_timeout_is_a_second() -> None:
    _, wire = connected(60)  # at 1 ms; RFC 6298, 2.1
    assert wire.next_sent_ms() == pytest.approx(1 + 1000)


def test_the_timeout_is_200_ms_at_least() -> None:
    transfer, wire = connected(60)
    # SRTT + 4 RTTVAR = 2 + 4 * 1 = 6 ms.
    acknowledge(transfer, 1, range(0), 5_000_000, round_trip=2_000_000)
    assert wire.next_sent_ms() == pytest.approx(5 + 200)


def edge(index: int, transfer: TcpTransfer, now: int) -> None:
    segment = Packet(kind=FrameKind.SEGMENT, behind_ip_bytes=1032, segment=index, sent_ns=1)
    transfer.receive(EDGE, segment, now)


def test_a_lone_segment_is_acknowledged_40_ms_later_and_every_second_at_once() -> None:
    transfer, wire = connected(60)
    wire.sent.clear()
    edge(0, transfer, 7_000_000)
    assert not wire.sent
    assert wire.next_sent_ms() == pytest.approx(7 + 40)
    edge(1, transfer, 50_000_000)
    assert not wire.sent
    edge(2, transfer, 51_000_000)
    assert [item.acknowledged for item in wire.sent] == [3]
    wire.sent.clear()
    edge(4, transfer, 52_000_000)  # behind a hole: at once, RFC 5681, 4.2
    assert [(item.acknowledged, item.selective) for item in wire.sent] == [(3, (4,))]


def test_the_threshold_is_held_where_a_segment_times_out_again() -> None:
    transfer, wire = connected(60)
    for _ in range(2):
        wire.next_sent_ms()  # ten were outstanding at the first timeout, one at the second
    released = []
    for up_to in range(1, 8):
        acknowledge(transfer, up_to, range(0), 4_000_000_000 + up_to)
        released.append(len(wire.taken()))
    # RFC 5681, 3.1: of a segment that was sent again already, ssthresh is held constant: at five.
    assert released == [2, 2, 2, 2, 1, 1, 1]
