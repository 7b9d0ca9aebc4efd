"""Samples through ZeroMQ sockets, as GNU Radio's blocks and srsRAN's radio send and expect them.

A message is samples and nothing else. A request names how many samples it wants as a 32-bit
integer (GNU Radio) or is a single byte that wants any number (srsRAN).
"""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.iq.sample_format import sample_format
from phyemu.live.endpoint import Endpoint, EndpointKind
from phyemu.live.sample_bytes import MAX_MESSAGE_BYTES, decode_message, encode
from phyemu.live.transport import InputCounts

if TYPE_CHECKING:
    import zmq

__all__ = ["ZmqSink", "ZmqSource", "load_zmq"]

# Samples in a message that is sent, and asked for, at most: srsRAN's receiver ends with an error
# when a message is larger than its buffer.
_MESSAGE_SAMPLES = 1 << 16
# Messages that ZeroMQ may hold for a slow side.
_HIGH_WATER_MARK = 16
# A peer that sends larger ones is cut off by ZeroMQ; those up to here are dropped and counted.
_CUT_OFF_BYTES = 2 * MAX_MESSAGE_BYTES
# What was sent may take so long to leave once the stream has ended [ms].
_LINGER_MS = 10_000
# How often a peer that is not there yet is looked for [ms].
_RECONNECT_MS = 20
_COUNT_BYTES = 4


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
            EndpointKind.ZMQ_REQ: self._zmq.REQ,
        }
        self._requests = endpoint.kind is EndpointKind.ZMQ_REQ
        self._requested = False
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        if endpoint.kind is EndpointKind.ZMQ_SUB:
            # A publisher throws away what a slow subscriber does not take, and says nothing.
            self.counts.lost_messages = None
        self._context, self._socket = _open(self._zmq, kinds[endpoint.kind], endpoint)
        if endpoint.kind is EndpointKind.ZMQ_SUB:
            self._socket.subscribe(b"")
        # Told when a peer goes away, who takes the request that waits for an answer along.
        self._monitor = self._socket.get_monitor_socket(self._zmq.EVENT_DISCONNECTED)

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the samples of the next message; a ZeroMQ stream has no end."""
        if self._requests and not self._requested:
            if not self._socket.poll(_ms(timeout_s), self._zmq.POLLOUT):
                return np.zeros(0, np.complex64)
            self._socket.send(_MESSAGE_SAMPLES.to_bytes(_COUNT_BYTES, "little"))
            self._requested = True
        if not self._socket.poll(_ms(timeout_s), self._zmq.POLLIN):
            while self._monitor.poll(0):
                self._monitor.recv_multipart()
                self._requested = False
            return np.zeros(0, np.complex64)
        frames = self._socket.recv_multipart(copy=False)
        self._requested = False
        if len(frames) > 1:
            self.counts.drop("several parts")
            return np.zeros(0, np.complex64)
        if self._requests and not len(frames[0]):
            # GNU Radio's way to say that it has none at the moment.
            return np.zeros(0, np.complex64)
        return decode_message(frames[0].buffer, self._format, self.counts)

    def close(self) -> None:
        """Close the socket."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)
        self._context.term()


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
        self._zmq = load_zmq()
        kinds = {
            EndpointKind.ZMQ_PUSH: self._zmq.PUSH,
            EndpointKind.ZMQ_PUB: self._zmq.XPUB,  # as PUB, but sees who subscribes
            EndpointKind.ZMQ_REP: self._zmq.REP,
        }
        self._kind = endpoint.kind
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        self._num_subscribers = 0
        self._wanted = 0
        self._context, self._socket = _open(self._zmq, kinds[endpoint.kind], endpoint)

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
            return 0
        part = iq[: min(count, _MESSAGE_SAMPLES)]
        data, num_clipped = encode(part, self._format)
        self._socket.sndtimeo = max(1, _ms(timeout_s))
        try:
            self._socket.send(data)
        except self._zmq.Again:
            return 0
        self._wanted = 0
        self.num_clipped += num_clipped
        return len(part)

    def finish(self, timeout_s: float) -> bool:
        """Return True: ZeroMQ delivers what it has taken while the socket is closed."""
        return True

    def close(self) -> None:
        """Close the socket when what it holds has left, or nobody has taken it for 10 s."""
        self._socket.close(linger=_LINGER_MS)
        self._context.term()

    def _next_request(self, timeout_s: float) -> int:
        """Return how many samples the request that waits for an answer wants; 0: none waits."""
        if not self._wanted and self._socket.poll(_ms(timeout_s), self._zmq.POLLIN):
            request = self._socket.recv()
            count = int.from_bytes(request, "little", signed=True)
            # Any other request wants any number, like srsRAN's single byte: it has to be answered.
            exact = len(request) == _COUNT_BYTES and count > 0
            self._wanted = count if exact else _MESSAGE_SAMPLES
        return self._wanted

    def _has_subscriber(self, timeout_s: float) -> bool:
        wait_ms = 0 if self._num_subscribers else _ms(timeout_s)
        while self._socket.poll(wait_ms, self._zmq.POLLIN):
            self._num_subscribers += 1 if self._socket.recv()[:1] == b"\x01" else -1
            wait_ms = 0
        return self._num_subscribers > 0


def _open(zmq: Any, kind: int, endpoint: Endpoint) -> "tuple[zmq.Context[Any], zmq.Socket[Any]]":
    context = zmq.Context()
    socket = context.socket(kind)
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    address = f"tcp://{host}:{endpoint.port}"
    try:
        socket.setsockopt(zmq.IPV6, int(":" in endpoint.host))
        socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
        socket.setsockopt(zmq.RCVHWM, _HIGH_WATER_MARK)
        socket.setsockopt(zmq.MAXMSGSIZE, _CUT_OFF_BYTES)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        if kind == zmq.REQ:
            socket.setsockopt(zmq.REQ_RELAXED, 1)
        if kind == zmq.XPUB:
            socket.setsockopt(zmq.XPUB_NODROP, 1)
        if endpoint.binds:
            socket.bind(address)
        else:
            socket.connect(address)
    except zmq.ZMQError as exc:
        socket.close(linger=0)
        context.term()
        verb = "bound" if endpoint.binds else "connected to"
        raise TransportError(f"{endpoint.text}: {address} cannot be {verb}: {exc}") from exc
    return context, socket


def _ms(time_s: float) -> int:
    return round(time_s * 1e3)
