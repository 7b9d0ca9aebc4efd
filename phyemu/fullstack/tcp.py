"""TCP, as far as one payload in one direction needs it.

The handshake; slow start from ten segments and congestion avoidance (RFC 5681, 6928); delayed
acknowledgements; selective acknowledgements with the loss recovery of RFC 6675, on whole segments;
the retransmission timer of RFC 6298, with Linux's smallest value. The windows of both ends hold 64
segments. The end of the connection is left out, and so is every computing time of the ends.
"""

from typing import Final

from phyemu.fullstack.dcf import Dcf
from phyemu.fullstack.frame_tally import DEVICE, EDGE, FrameKind, transport_bytes
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.protocol import Protocol

__all__ = [
    "CONNECTION_TIMEOUT_S",
    "DELAYED_ACK_S",
    "LEAST_TIMEOUT_S",
    "MAX_TIMEOUTS",
    "WINDOW_SEGMENTS",
    "TcpTransfer",
]

WINDOW_SEGMENTS: Final = 64
LEAST_TIMEOUT_S: Final = 0.2
DELAYED_ACK_S: Final = 0.04
CONNECTION_TIMEOUT_S: Final = 1.0
MAX_TIMEOUTS: Final = 6
"""In a row, without progress; then the connection is given up."""

_MS: Final = 1_000_000
_SECOND: Final = 1_000_000_000
_INITIAL_WINDOW: Final = 10
_DUPLICATES: Final = 3
_LARGEST_TIMEOUT: Final = 60 * _SECOND
# MSS, SACK permitted, time stamps, window scale.
_SYN_BYTES: Final = 20 + 4 + 2 + 10 + 1 + 3
_ACK_BYTES: Final = transport_bytes(Protocol.TCP)
_MAX_BLOCKS: Final = 3


class _Receiver:
    """The edge: what it has, and when it says so."""

    def __init__(self, sizes: list[int], dcf: Dcf) -> None:
        self._sizes = sizes
        self._dcf = dcf
        self._next = 0
        self._beyond: set[int] = set()
        self._unanswered = 0
        self._echo = -1
        self._timer = 0
        self.delivered_bytes = 0

    def receive(self, packet: Packet, now: int) -> None:
        """Take a segment, and acknowledge it now or a little later."""
        index = packet.segment
        if not self._unanswered:
            self._echo = packet.sent_ns
        at_once = index != self._next or bool(self._beyond)
        if index >= self._next and index not in self._beyond:
            self.delivered_bytes += self._sizes[index]
            self._beyond.add(index)
            while self._next in self._beyond:
                self._beyond.remove(self._next)
                self._next += 1
        self._unanswered += 1
        if at_once or self._unanswered == 2:
            self._acknowledge(now)
            return
        timer = self._timer

        def late(time: int) -> None:
            if timer == self._timer:
                self._acknowledge(time)

        self._dcf.timers.set(now + round(DELAYED_ACK_S * 1e9), late)

    def _acknowledge(self, now: int) -> None:
        self._timer += 1
        self._unanswered = 0
        selective = tuple(sorted(self._beyond))
        blocks = sum(index - 1 not in self._beyond for index in selective)
        size = _ACK_BYTES + (4 + 8 * min(blocks, _MAX_BLOCKS) if blocks else 0)
        packet = Packet(
            kind=FrameKind.CONTROL,
            behind_ip_bytes=size,
            acknowledged=self._next,
            selective=selective,
            sent_ns=self._echo,
        )
        self._dcf.send(EDGE, packet, now)


class _RoundTrip:
    """The retransmission timeout from the round trips, RFC 6298."""

    def __init__(self) -> None:
        self._mean = 0.0
        self._deviation = 0.0
        self.timeout = round(CONNECTION_TIMEOUT_S * 1e9)

    def measure(self, round_trip: int) -> None:
        """Take one round trip [ns]."""
        if self._mean == 0.0:
            self._mean, self._deviation = float(round_trip), round_trip / 2
        else:
            self._deviation += (abs(self._mean - round_trip) - self._deviation) / 4
            self._mean += (round_trip - self._mean) / 8
        timeout = self._mean + max(_MS, 4 * self._deviation)
        self.timeout = round(max(LEAST_TIMEOUT_S * 1e9, timeout))

    def back_off(self) -> None:
        """Double the timeout."""
        self.timeout = min(2 * self.timeout, _LARGEST_TIMEOUT)


class _Sender:
    """The device: what is in flight, and what may be.

    Attributes:
        failed: Whether the connection was given up.
    """

    def __init__(self, sizes: list[int], dcf: Dcf) -> None:
        self._sizes = sizes
        self._dcf = dcf
        self._established = False
        self._first = 0  # not acknowledged yet
        self._next = 0  # not sent yet
        self._sacked: set[int] = set()
        self._lost: set[int] = set()  # deemed lost, and not sent again yet
        self._judged = 0  # from here on nothing was deemed lost yet
        self._window = float(_INITIAL_WINDOW)
        self._threshold = float("inf")
        self._recover = -1  # in recovery until this is acknowledged
        self._after_timeout = False
        self._round_trip = _RoundTrip()
        self._timer = 0
        self._timeouts = 0
        self.failed = False

    def connect(self, now: int) -> None:
        """Send a SYN."""
        self._dcf.send(DEVICE, Packet(kind=FrameKind.CONTROL, behind_ip_bytes=_SYN_BYTES), now)
        self._start_timer(now)

    def receive(self, packet: Packet, now: int) -> None:
        """Take what came from the edge."""
        if packet.acknowledged < 0:
            if not self._established:
                self._established = True
                self._timeouts = 0
                self._round_trip = _RoundTrip()
                answer = Packet(kind=FrameKind.CONTROL, behind_ip_bytes=_ACK_BYTES, acknowledged=0)
                self._dcf.send(DEVICE, answer, now)
                self._send(now)
                self._start_timer(now)
            return
        self._acknowledged(packet, now)

    def _acknowledged(self, packet: Packet, now: int) -> None:
        new = packet.acknowledged - self._first
        if new < 0:
            return
        self._sacked.update(packet.selective)
        if new:
            self._first = packet.acknowledged
            self._timeouts = 0
            self._round_trip.measure(now - packet.sent_ns)
            for known in (self._sacked, self._lost):
                known.difference_update([i for i in known if i < self._first])
            if self._first > self._recover:
                self._recover, self._after_timeout = -1, False
            if self._recover < 0 or self._after_timeout:
                self._grow(new)
            self._start_timer(now)
        self._lost -= self._sacked
        self._find_losses()
        self._send(now)

    def _grow(self, acknowledged: int) -> None:
        if self._window < self._threshold:
            self._window += acknowledged
        else:
            self._window += acknowledged / self._window

    def _find_losses(self) -> None:
        """Enter recovery where three segments arrived behind one that did not (RFC 6675)."""
        if len(self._sacked) < _DUPLICATES:
            return
        highest = sorted(self._sacked)[-_DUPLICATES]
        found = set(range(max(self._first, self._judged), highest)) - self._sacked
        self._judged = max(self._judged, highest)
        if found and self._recover < 0:
            self._threshold = max(self._in_flight() / 2, 2.0)
            self._window = self._threshold
            self._recover = self._next - 1
        self._lost |= found

    def _in_flight(self) -> int:
        return self._next - self._first - len(self._sacked) - len(self._lost)

    def _send(self, now: int) -> None:
        while self._in_flight() < min(int(self._window), WINDOW_SEGMENTS):
            if self._lost:
                index = min(self._lost)
                self._lost.remove(index)
                kind = FrameKind.TRANSPORT_RETRANSMISSION
            elif self._next < min(len(self._sizes), self._first + WINDOW_SEGMENTS):
                index = self._next
                self._next += 1
                kind = FrameKind.SEGMENT
            else:
                return
            size = _ACK_BYTES + self._sizes[index]
            packet = Packet(kind=kind, behind_ip_bytes=size, segment=index, sent_ns=now)
            self._dcf.send(DEVICE, packet, now)

    def _start_timer(self, now: int) -> None:
        self._timer += 1
        timer = self._timer

        def expire(time: int) -> None:
            if timer == self._timer:
                self._timed_out(time)

        self._dcf.timers.set(now + self._round_trip.timeout, expire)

    def _timed_out(self, now: int) -> None:
        self._timeouts += 1
        if self._timeouts > MAX_TIMEOUTS:
            self.failed = True
            return
        self._round_trip.back_off()
        if not self._established:
            self.connect(now)
            return
        if self._first == self._next:
            return
        if self._timeouts == 1:  # of a segment that was sent again already it is held (RFC 5681)
            self._threshold = max(self._in_flight() / 2, 2.0)
        self._window = 1.0
        self._recover, self._after_timeout = self._next - 1, True
        self._lost = set(range(self._first, self._next)) - self._sacked
        self._judged = self._next
        self._send(now)
        self._start_timer(now)


class TcpTransfer:
    """A connection that carries one payload from the device to the edge."""

    def __init__(self, sizes: list[int], dcf: Dcf) -> None:
        """Prepare both ends.

        Args:
            sizes: Payload of each segment [bytes].
            dcf: What carries the packets; it is to call `receive`.
        """
        self._dcf = dcf
        self._sender = _Sender(sizes, dcf)
        self._receiver = _Receiver(sizes, dcf)
        self._sender.connect(0)

    @property
    def delivered_bytes(self) -> int:
        """Return what arrived so far."""
        return self._receiver.delivered_bytes

    @property
    def failed(self) -> bool:
        """Return whether the device gave the connection up."""
        return self._sender.failed

    def receive(self, station: int, packet: Packet, now: int) -> None:
        """Take a packet that arrived at a station at time `now` [ns]."""
        if station == DEVICE:
            self._sender.receive(packet, now)
        elif packet.segment >= 0:
            self._receiver.receive(packet, now)
        elif packet.acknowledged < 0:
            answer = Packet(kind=FrameKind.CONTROL, behind_ip_bytes=_SYN_BYTES)
            self._dcf.send(EDGE, answer, now)
