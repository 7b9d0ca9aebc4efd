"""Samples through ZeroMQ sockets, as GNU Radio's blocks and srsRAN's radio send and expect them.

A message is samples and nothing else. A request names how many samples it wants as a 32-bit
integer (GNU Radio) or is a single byte that wants any number (srsRAN).

Requests and answers travel as between REQ and REP sockets, but our own are DEALER and ROUTER,
which speak the same on the wire: a DEALER may have asked for the next answers before the first one
is there, and a ROUTER is told when whoever asked is gone, so that the samples wait for the next.
"""

import importlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.iq.sample_format import sample_format
from phyemu.live.connections import ConnectionGuard
from phyemu.live.endpoint import Endpoint, EndpointKind
from phyemu.live.sample_bytes import MAX_MESSAGE_BYTES, decode_message, encode
from phyemu.live.transport import InputCounts

if TYPE_CHECKING:
    import zmq

__all__ = ["ZmqSink", "ZmqSource", "load_zmq"]

_LOG = logging.getLogger(__name__)

# Samples in a message that is sent, and asked for, at most: srsRAN's receiver ends with an error
# when a message is larger than its buffer.
_MESSAGE_SAMPLES = 1 << 16
# Messages that ZeroMQ may hold for a slow side.
_HIGH_WATER_MARK = 16
# Answers asked for before they are needed: the way there and back passes while samples are worked
# on.
_REQUESTS_AHEAD = 4
# Small messages that have come are handed on together, up to so many samples.
_BATCH_SAMPLES = 1 << 15
# A peer that sends larger ones is cut off by ZeroMQ; those up to here are dropped and counted.
_CUT_OFF_BYTES = 2 * MAX_MESSAGE_BYTES
# Who takes samples has little to say: a request, a subscription.
_REQUEST_BYTES = 1 << 10
# Of those, so much without one of them becoming whole is no request any more.
_ENDLESS_BYTES = 1 << 20
# What was sent may take so long to leave once the stream has ended [s].
_LINGER_S = 10.0
# And its socket may take so much longer to close [s].
_CLOSE_S = 5.0
# How often a peer that is not there yet is looked for [ms].
_RECONNECT_MS = 20
_COUNT_BYTES = 4
_NONE = np.zeros(0, np.complex64)


def load_zmq() -> Any:
    """Return the module of pyzmq.

    Raises:
        TransportError: It is not installed.
    """
    try:
        return importlib.import_module("zmq")
    except ImportError as exc:
        raise TransportError(
            "ZeroMQ needs pyzmq, which is not installed; python -m pip install 'phyemu[live]'"
        ) from exc


class ZmqSource:
    """Receives samples by PULL, SUB or REQ."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open the socket.

        Raises:
            TransportError: pyzmq is missing, or the address cannot be used.
        """
        self.counts = InputCounts()
        self._zmq = load_zmq()
        kinds = {
            EndpointKind.ZMQ_PULL: self._zmq.PULL,
            EndpointKind.ZMQ_SUB: self._zmq.SUB,
            EndpointKind.ZMQ_REQ: self._zmq.DEALER,
        }
        self._requests = endpoint.kind is EndpointKind.ZMQ_REQ
        self._request = (endpoint.message_samples or _MESSAGE_SAMPLES).to_bytes(
            _COUNT_BYTES, "little"
        )
        self._num_asked = 0
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        if endpoint.kind is EndpointKind.ZMQ_SUB:
            # A publisher throws away what a slow subscriber does not take, and says nothing.
            self.counts.lost_messages = None
        self._context, self._socket = _open(
            self._zmq, kinds[endpoint.kind], endpoint, max_bytes=_CUT_OFF_BYTES
        )
        self._guard = ConnectionGuard(
            self._zmq,
            self._socket,
            max_bytes=2 * _CUT_OFF_BYTES,
            backlog_bytes=(_HIGH_WATER_MARK + 2) * _CUT_OFF_BYTES,
        )
        _attach(self._zmq, self._context, self._socket, endpoint)
        if endpoint.kind is EndpointKind.ZMQ_SUB:
            self._socket.subscribe(b"")

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the samples of the messages that have come; a ZeroMQ stream has no end."""
        parts: list[NDArray[np.complex64]] = []
        room = _BATCH_SAMPLES
        wait_ms = _ms(timeout_s)
        while room > 0:
            self._ask()
            if not self._socket.poll(wait_ms, self._zmq.POLLIN):
                # Everything that is whole has been taken.
                self._attend(all_taken=True)
                break
            wait_ms = 0
            parts.append(self._take())
            room -= max(1, len(parts[-1]))
        else:
            self._attend(all_taken=False)
        return parts[0] if len(parts) == 1 else np.concatenate([_NONE, *parts])

    @property
    def port(self) -> int:
        """Return the port that the socket is bound or connected to."""
        return _port(self._socket)

    def num_peers(self) -> int:
        """Return how many are connected; what those sent that have gone can still be received."""
        self._note_lost()
        return self._guard.num_open

    def close(self) -> None:
        """Close the socket."""
        _close(self._context, self._socket, self._guard, linger_s=0.0)

    def _ask(self) -> None:
        """Ask for as many answers as may be on their way."""
        if not self._requests:
            return
        while self._num_asked < _REQUESTS_AHEAD:
            try:
                self._socket.send_multipart([b"", self._request], self._zmq.NOBLOCK)
            except self._zmq.Again:
                # Nobody is there to be asked.
                return
            self._num_asked += 1

    def _take(self) -> NDArray[np.complex64]:
        """Return the samples of the next message, which has come."""
        frames = self._socket.recv_multipart(copy=False)
        self._guard.received(frames[-1])
        if self._requests:
            self._num_asked = max(0, self._num_asked - 1)
            if len(frames) > 1 and not len(frames[0]):
                frames = frames[1:]
        if len(frames) > 1:
            self.counts.drop("several parts")
            return _NONE
        if self._requests and not len(frames[0]):
            # GNU Radio's way to say that it has none at the moment.
            return _NONE
        return decode_message(frames[0].buffer, self._format, self.counts)

    def _attend(self, *, all_taken: bool) -> None:
        """Look after the connections: who has gone, who sends what never becomes a message."""
        self._note_lost()
        for _ in range(self._guard.cut_off(all_taken=all_taken)):
            self.counts.drop("endless")

    def _note_lost(self) -> None:
        if self._guard.lost_connections():
            # Whoever goes takes the requests that wait for an answer along.
            self._num_asked = 0


class ZmqSink:
    """Sends samples by PUSH, PUB or REP.

    A PUB sink begins with its first subscriber, and waits for a slow one, so that nothing is lost
    on the way; a REP sink sends when it is asked to.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        """Open the socket.

        Raises:
            TransportError: pyzmq is missing, or the address cannot be used.
        """
        self.num_clipped = 0
        self.num_ignored = 0
        self._zmq = load_zmq()
        kinds = {
            EndpointKind.ZMQ_PUSH: self._zmq.PUSH,
            EndpointKind.ZMQ_PUB: self._zmq.XPUB,  # as PUB, but sees who subscribes
            EndpointKind.ZMQ_REP: self._zmq.ROUTER,
        }
        self._kind = endpoint.kind
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        self._answer_samples = endpoint.message_samples
        self._num_subscribers = 0
        self._asker: list[bytes] = []
        self._wanted = 0
        self._context, self._socket = _open(
            self._zmq, kinds[endpoint.kind], endpoint, max_bytes=_REQUEST_BYTES
        )
        self._guard = ConnectionGuard(
            self._zmq, self._socket, max_bytes=_ENDLESS_BYTES, backlog_bytes=_ENDLESS_BYTES
        )
        _attach(self._zmq, self._context, self._socket, endpoint)

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Return the number of samples sent, in one message, once the peer is ready for it."""
        match self._kind:
            case EndpointKind.ZMQ_REP:
                count = self._next_request(timeout_s)
            case EndpointKind.ZMQ_PUB:
                count = _MESSAGE_SAMPLES if self._has_subscriber(timeout_s) else 0
            case _:
                count = _MESSAGE_SAMPLES
        if not count:
            self._attend()
            return 0
        part = iq[: min(count, _MESSAGE_SAMPLES)]
        data, num_clipped = encode(part, self._format)
        self._socket.sndtimeo = max(1, _ms(timeout_s))
        try:
            self._socket.send_multipart([*self._asker, data])
        except self._zmq.Again:
            self._attend()
            return 0
        except self._zmq.ZMQError as exc:
            if exc.errno != self._zmq.EHOSTUNREACH:
                raise TransportError(f"samples cannot be sent: {exc}") from exc
            # Whoever asked is gone; the samples are for the next one.
            self._wanted, self._asker = 0, []
            return 0
        self._wanted, self._asker = 0, []
        self.num_clipped += num_clipped
        return len(part)

    @property
    def port(self) -> int:
        """Return the port that the socket is bound or connected to."""
        return _port(self._socket)

    def num_peers(self) -> int:
        """Return how many are connected."""
        self._guard.lost_connections()
        return self._guard.num_open

    def mark_gap(self, lost_messages: int) -> None:
        """Do nothing: there is no place for it among the samples."""

    def finish(self, timeout_s: float) -> bool:
        """Return True: ZeroMQ delivers what it has taken while the socket is closed."""
        return True

    def close(self, linger_s: float = _LINGER_S) -> None:
        """Close the socket when what it holds has left, or nobody has taken it for `linger_s`."""
        _close(self._context, self._socket, self._guard, linger_s=linger_s)

    def _next_request(self, timeout_s: float) -> int:
        """Return how many samples the request that waits for an answer wants; 0: none waits."""
        if self._wanted or not self._socket.poll(_ms(timeout_s), self._zmq.POLLIN):
            return self._wanted
        parts = self._socket.recv_multipart(copy=False)
        self._guard.received(parts[-1])
        frames = [part.bytes for part in parts]
        if b"" not in frames[1:-1]:
            # No envelope: nobody who asks this way could read an answer.
            self.num_ignored += 1
            return 0
        end = frames.index(b"", 1) + 1
        self._asker, request = frames[:end], frames[end:]
        count = int.from_bytes(request[0], "little", signed=True)
        # Any other request wants any number, like srsRAN's single byte: it has to be answered.
        exact = len(request) == 1 and len(request[0]) == _COUNT_BYTES and count > 0
        self._wanted = self._answer_samples or (count if exact else _MESSAGE_SAMPLES)
        return self._wanted

    def _has_subscriber(self, timeout_s: float) -> bool:
        wait_ms = 0 if self._num_subscribers else _ms(timeout_s)
        while self._socket.poll(wait_ms, self._zmq.POLLIN):
            message = self._socket.recv_multipart(copy=False)
            self._guard.received(message[-1])
            match bytes(message[0].buffer[:1]) if len(message) == 1 else b"":
                case b"\x01":
                    self._num_subscribers += 1
                case b"\x00":
                    self._num_subscribers -= 1
                case _:
                    self.num_ignored += 1
            wait_ms = 0
        return self._num_subscribers > 0

    def _attend(self) -> None:
        self._guard.lost_connections()
        self.num_ignored += self._guard.cut_off(all_taken=True)


def _open(
    zmq: Any, kind: int, endpoint: Endpoint, *, max_bytes: int
) -> "tuple[zmq.Context[Any], zmq.Socket[Any]]":
    """Return a socket that is neither bound nor connected yet."""
    context = zmq.Context()
    socket = context.socket(kind)
    socket.setsockopt(zmq.IPV6, int(":" in endpoint.host))
    socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
    socket.setsockopt(zmq.RCVHWM, _HIGH_WATER_MARK)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
    if kind == zmq.DEALER:
        # A request waits here until somebody is there who can answer it.
        socket.setsockopt(zmq.IMMEDIATE, 1)
    if kind == zmq.ROUTER:
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    if kind == zmq.XPUB:
        socket.setsockopt(zmq.XPUB_NODROP, 1)
    return context, socket


def _attach(zmq: Any, context: Any, socket: Any, endpoint: Endpoint) -> None:
    """Bind or connect the socket, or close it."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    address = f"tcp://{host}:{endpoint.port}"
    try:
        if endpoint.binds:
            socket.bind(address)
        else:
            socket.connect(address)
    except zmq.ZMQError as exc:
        context.destroy(linger=0)
        verb = "bound" if endpoint.binds else "connected to"
        raise TransportError(f"{endpoint.text}: {address} cannot be {verb}: {exc}") from exc


def _close(context: Any, socket: Any, guard: ConnectionGuard, *, linger_s: float) -> None:
    """Close a socket and its context, and wait for that a little longer than `linger_s`.

    ZeroMQ has been seen to wait for ever for the end of a context whose socket was monitored
    (zeromq/libzmq issues 1279 and 2330): then the context is left behind, as nothing is lost by it.
    """

    def end() -> None:
        guard.close()
        socket.close(linger=_ms(linger_s))
        context.term()

    thread = threading.Thread(target=end, name="phyemu-zmq-close", daemon=True)
    thread.start()
    thread.join(linger_s + _CLOSE_S)
    if thread.is_alive():
        _LOG.warning("a ZeroMQ socket did not close within %g s", linger_s + _CLOSE_S)


def _port(socket: Any) -> int:
    return int(socket.last_endpoint.rpartition(b":")[2])


def _ms(time_s: float) -> int:
    return round(time_s * 1e3)
