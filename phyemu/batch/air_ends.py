"""The antennas of a rehearsal's nodes as the air sees them: nobody holds it up for ever.

A real emulator never waits. The air of a rehearsal is slower than real time now and then, and waits
for whoever is there, so that nothing is lost for want of time: for a transmitter whose burst is
open, and for a receiver that is connected. Whoever is not there, has crashed, or takes or brings
nothing for `patience_s`, is left out of it until it is back.
"""

import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from phyemu.live import InputCounts
from phyemu.live.endpoint import Endpoint, EndpointKind, Role
from phyemu.live.zeromq import ZmqSink, ZmqSource

__all__ = ["AirSink", "AirSource"]

_HOST = "127.0.0.1"
# While somebody hangs, nobody waits for it longer at once than this [s].
_HUNG_POLL_S = 1e-3


class AirSource:
    """What a node transmits: samples while a burst is open, zeros otherwise.

    Attributes:
        counts: What the socket met besides good samples.
        num_heard: Samples that the node sent.
        num_hung: How often it held a burst open and brought nothing for `patience_s`.
    """

    def __init__(
        self,
        *,
        block_samples: int,
        patience_s: float,
        ended: threading.Event,
        is_there: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the socket, at a free port of the loopback interface.

        Args:
            block_samples: Zeros at once.
            patience_s: Time without a sample after which an open burst is silence [s].
            ended: When it is set, the stream has ended.
            is_there: Whether there is a node at all; else no socket is opened.
            clock: Seconds of a clock that never runs backwards.

        Raises:
            TransportError: pyzmq is missing, or there is no port.
        """
        self._source = (
            ZmqSource(_endpoint(EndpointKind.ZMQ_PULL, Role.SOURCE)) if is_there else None
        )
        self.counts = InputCounts() if self._source is None else self._source.counts
        self.num_heard = 0
        self.num_hung = 0
        self._zeros = np.zeros(block_samples, np.complex64)
        self._patience_s = patience_s
        self._ended = ended
        self._clock = clock
        # Time that was spent waiting for the sample that is due [s].
        self._waited_s = 0.0
        self._hangs = False

    @property
    def port(self) -> int:
        """Return where the node sends to; 0: there is no node."""
        return 0 if self._source is None else self._source.port

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return what the node sent, or zeros where it is silent."""
        if self._ended.is_set():
            return None
        if self._source is None:
            return self._zeros
        silent = not self._source.num_peers()
        began_s = self._clock()
        # What was sent before the burst's end has come by then.
        iq = self._source.receive(0.0 if silent or self._hangs else timeout_s)
        if iq is not None and len(iq):
            self.num_heard += len(iq)
            self._waited_s, self._hangs = 0.0, False
            return iq
        if silent:
            self._waited_s, self._hangs = 0.0, False
            return self._zeros
        self._waited_s += self._clock() - began_s
        if not self._hangs and self._waited_s > self._patience_s:
            self._hangs = True
            self.num_hung += 1
        return self._zeros if self._hangs else iq

    def close(self) -> None:
        """Close the socket."""
        if self._source is not None:
            self._source.close()


class AirSink:
    """What a node hears: samples while it listens; they go nowhere otherwise.

    Attributes:
        num_clipped: 0: floats are not clipped.
        num_ignored: 0: nothing is asked for.
        num_taken: Samples that the node took.
        num_unheard: Samples that went nowhere, because nobody listened, or the scenario had ended.
        num_lost: Samples that went nowhere, because whoever listened took nothing for `patience_s`.
    """

    num_clipped = 0
    num_ignored = 0

    def __init__(
        self,
        *,
        patience_s: float,
        ended: threading.Event,
        is_there: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the socket, at a free port of the loopback interface.

        Args:
            patience_s: Time without a sample taken after which nobody waits any longer [s].
            ended: When it is set, the stream has ended, and nobody waits for anybody.
            is_there: Whether there is a node at all; else no socket is opened.
            clock: Seconds of a clock that never runs backwards.

        Raises:
            TransportError: pyzmq is missing, or there is no port.
        """
        self._sink = ZmqSink(_endpoint(EndpointKind.ZMQ_PUSH, Role.SINK)) if is_there else None
        self.num_taken = 0
        self.num_unheard = 0
        self.num_lost = 0
        self._patience_s = patience_s
        self._ended = ended
        self._clock = clock
        self._waited_s = 0.0
        self._hangs = False

    @property
    def port(self) -> int:
        """Return where the node listens to; 0: there is no node."""
        return 0 if self._sink is None else self._sink.port

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Return the number of samples that are done with, taken or not."""
        if self._sink is None or not self._sink.num_peers():
            self._waited_s, self._hangs = 0.0, False
            self.num_unheard += len(iq)
            return len(iq)
        began_s = self._clock()
        sent = self._sink.send(iq, _HUNG_POLL_S if self._hangs else timeout_s)
        if sent:
            self.num_taken += sent
            self._waited_s, self._hangs = 0.0, False
            return sent
        if self._ended.is_set():
            self.num_unheard += len(iq)
            return len(iq)
        self._waited_s += self._clock() - began_s
        self._hangs = self._waited_s > self._patience_s
        if not self._hangs:
            return 0
        self.num_lost += len(iq)
        return len(iq)

    def mark_gap(self, lost_messages: int) -> None:
        """Do nothing: there is no place for it among the samples."""

    def finish(self, timeout_s: float) -> bool:
        """Return True: nobody waits for the end of a scenario."""
        return True

    def close(self) -> None:
        """Close the socket; what it holds is nobody's any more."""
        if self._sink is not None:
            self._sink.close(0.0)


def _endpoint(kind: EndpointKind, role: Role) -> Endpoint:
    text = f"{kind}://{_HOST}:0?bind"
    return Endpoint(text=text, role=role, kind=kind, host=_HOST, port=0, binds=True)
