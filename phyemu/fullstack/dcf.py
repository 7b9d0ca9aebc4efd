"""The distributed coordination function between two stations that hear each other.

IEEE Std 802.11-2020, 10.3: a station sends when the medium was idle for a DIFS and its backoff has
run out; after a frame that was received wrongly it waits for an EIFS. The backoff is drawn from the
contention window, counts down in idle slots, and starts again after every frame, also where nothing
else is to be sent. Two stations whose backoffs run out in one slot collide: neither frame arrives.
The contention window doubles with every attempt. There is no RTS, and no fragmentation.
"""

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from phyemu.fullstack.frame_errors import FrameErrors
from phyemu.fullstack.frame_tally import FrameKind, FrameSort
from phyemu.fullstack.link import WifiLink
from phyemu.fullstack.packet import Packet
from phyemu.fullstack.rates import (
    ACK_BYTES,
    DIFS_S,
    PREAMBLE_S,
    SIFS_S,
    SIGNAL_S,
    SLOT_S,
    PhyRate,
    basic_rate,
    phy_rate,
)
from phyemu.fullstack.timers import Timers

__all__ = ["Dcf"]

_LEAST_WINDOW: Final = 15
_LARGEST_WINDOW: Final = 1023


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


_SLOT: Final = _ns(SLOT_S)
_SIFS: Final = _ns(SIFS_S)
_DIFS: Final = _ns(DIFS_S)
# By then the acknowledgement would have begun, 10.3.2.11.
_ACK_TIMEOUT: Final = _ns(SIFS_S + SLOT_S + PREAMBLE_S + SIGNAL_S)
_EIFS: Final = _SIFS + _ns(phy_rate(6).duration_s(ACK_BYTES)) + _DIFS


class _Station:
    """What one station waits for, all times in nanoseconds.

    Attributes:
        queue: What it has to send; the first is being sent.
        attempts: How often the first was sent already.
        window: Contention window; the backoff is 0 to it.
        slots: Backoff still to be counted from `counts_from` on.
        counts_from: When the medium will have been idle long enough.
        requested: When the first of the queue came to be the first.
        heard: What arrived last, so that it is not taken twice.
    """

    def __init__(self) -> None:
        self.queue: deque[Packet] = deque()
        self.attempts = 0
        self.window = _LEAST_WINDOW
        self.slots = 0
        self.counts_from = 0
        self.requested = 0
        self.heard: Packet | None = None

    @property
    def access(self) -> int:
        """Return when it will send, if the medium stays idle."""
        return max(self.requested, self.counts_from + self.slots * _SLOT)

    def hear(self, begin: int, counts_from: int) -> None:
        """Take what was counted until the medium became busy, and go on at `counts_from`."""
        if begin > self.counts_from:
            self.slots = max(0, self.slots - (begin - self.counts_from) // _SLOT)
        self.counts_from = max(self.counts_from, counts_from)


class Dcf:
    """Two stations, the medium between them, and the timers of those who use it.

    Attributes:
        timers: What else happens, and when.
        frames: What was on the air so far.
    """

    def __init__(
        self,
        link: WifiLink,
        generator: random.Random,
        deliver: Callable[[int, Packet, int], None],
    ) -> None:
        """Start with an idle medium at 0.

        Args:
            link: The link between the stations.
            generator: Source of backoffs and errors; it is advanced.
            deliver: Called with the station, what arrived there for the first time, and when [ns].
        """
        self.timers = Timers()
        self.frames: Counter[FrameSort] = Counter()
        self._link = link
        self._generator = generator
        self._deliver = deliver
        self._errors = FrameErrors(link, generator)
        self._stations = (_Station(), _Station())

    def send(self, station: int, packet: Packet, now: int) -> None:
        """Put a packet into the queue of a station at time `now` [ns]."""
        own = self._stations[station]
        own.queue.append(packet)
        if len(own.queue) > 1:
            return
        own.requested = now
        if now < own.counts_from and own.slots == 0:
            own.slots = self._generator.randint(0, own.window)

    def step(self) -> bool:
        """Let the next thing happen: a timer or a frame; return False where nothing is left."""
        waiting = [index for index, own in enumerate(self._stations) if own.queue]
        begin = min((self._stations[index].access for index in waiting), default=None)
        timer = self.timers.next_ns
        if timer is not None and (begin is None or timer <= begin):
            self.timers.fire()
            return True
        if begin is None:
            return False
        senders = [index for index in waiting if self._stations[index].access == begin]
        if len(senders) == 1:
            self._exchange(senders[0], begin)
        else:
            self._collide(begin)
        return True

    def _put_on_air(self, station: int, rate: PhyRate) -> int:
        """Count the first frame of a queue as sent; return how long it is on the air."""
        own = self._stations[station]
        packet = own.queue[0]
        kind = FrameKind.MAC_RETRANSMISSION if own.attempts else packet.kind
        own.attempts += 1
        self.frames[FrameSort(station, kind, packet.psdu_bytes, rate.rate_mbps)] += 1
        return _ns(rate.duration_s(packet.psdu_bytes))

    def _exchange(self, station: int, begin: int) -> None:
        """Send the first frame of a station's queue, and what answers it."""
        own, other = self._stations[station], self._stations[1 - station]
        rate = self._errors.rate(station)
        packet = own.queue[0]
        end = begin + self._put_on_air(station, rate)
        noticed, arrived = self._errors.receive(rate, packet.psdu_bytes, begin)
        if not arrived:
            # What is not noticed as a frame is still energy on the medium.
            other.hear(begin, end + (_EIFS if noticed else _DIFS))
            own.hear(begin, end + _ACK_TIMEOUT + _DIFS)
            self._failed(station)
            return
        ack_rate = basic_rate(rate)
        ack_begin = end + _SIFS
        ack_end = ack_begin + _ns(ack_rate.duration_s(ACK_BYTES))
        sort = FrameSort(1 - station, FrameKind.ACK, ACK_BYTES, ack_rate.rate_mbps)
        self.frames[sort] += 1
        ack_noticed, acknowledged = self._errors.receive(ack_rate, ACK_BYTES, ack_begin)
        other.hear(begin, ack_end + _DIFS)
        timed_out = end + _ACK_TIMEOUT + _DIFS
        if acknowledged:
            own.hear(begin, ack_end + _DIFS)
        else:
            own.hear(begin, max(timed_out, ack_end + (_EIFS if ack_noticed else _DIFS)))
        if packet is not other.heard:
            other.heard = packet
            self._deliver(1 - station, packet, end)
        if acknowledged:
            self._errors.report(station, begin)
            self._finished(station)
        else:
            self._failed(station)

    def _collide(self, begin: int) -> None:
        """Send the first frames of both stations at once."""
        ends = [begin + self._put_on_air(index, self._errors.rate(index)) for index in (0, 1)]
        for own, end in zip(self._stations, ends, strict=True):
            own.hear(begin, max(end + _ACK_TIMEOUT, max(ends)) + _DIFS)
        for index in (0, 1):
            self._failed(index)

    def _failed(self, station: int) -> None:
        """Let a station try again, or give the frame up."""
        own = self._stations[station]
        if own.attempts >= self._link.retry_limit:
            self._finished(station)
            return
        own.window = min(2 * own.window + 1, _LARGEST_WINDOW)
        own.slots = self._generator.randint(0, own.window)

    def _finished(self, station: int) -> None:
        """Go on to the next packet of a station, behind a new backoff."""
        own = self._stations[station]
        own.queue.popleft()
        own.attempts = 0
        own.window = _LEAST_WINDOW
        own.slots = self._generator.randint(0, own.window)
        own.requested = own.counts_from
