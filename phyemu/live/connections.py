"""The connections of a ZeroMQ socket: which are gone, and which send what never becomes a message.

ZeroMQ hands a message of several parts over when its last part is there, keeps the parts until
then, and limits their size but not their number. So whoever sends parts without end would fill the
memory and never be seen. The system counts the bytes of each connection; one that has sent more
than any message may hold since its last whole message is shut.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["ConnectionGuard"]

# Where `struct tcp_info` of Linux (since 4.1) has tcpi_bytes_received.
_BYTES_RECEIVED_OFFSET = 128
_BYTES_RECEIVED = struct.Struct("=Q")
# 0 is no option of TCP: elsewhere the system does not say, and nothing is cut off.
_TCP_INFO: int = getattr(socket, "TCP_INFO", 0)


class ConnectionGuard:
    """Watches the connections of one socket, from the thread that uses it.

    Attributes:
        num_open: Connections that were there when `lost_connections` was last called.
    """

    def __init__(self, zmq: Any, watched: Any, *, max_bytes: int, backlog_bytes: int) -> None:
        """Begin; the socket is not bound or connected yet.

        Args:
            zmq: The module.
            watched: The socket.
            max_bytes: What a connection may send without a message becoming whole, where all whole
                messages have been taken.
            backlog_bytes: What it may send beyond the last message that was taken, where others
                may be waiting.
        """
        self._zmq = zmq
        self._socket = watched
        self._max_bytes = max_bytes
        self._backlog_bytes = backlog_bytes
        self._seen: dict[int, int] = {}
        self.num_open = 0
        self._monitor = watched.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED
        )

    def received(self, last_part: Any) -> None:
        """Note that a whole message was taken.

        Args:
            last_part: The frame, which knows its connection.
        """
        descriptor = last_part.get(self._zmq.SRCFD)
        if descriptor in self._seen:
            self._seen[descriptor] = _bytes_received(descriptor)

    def lost_connections(self) -> int:
        """Return how many connections have gone since the last call, and follow the new ones."""
        num_lost = 0
        while self._monitor.poll(0):
            event, value = struct.unpack("=Hi", self._monitor.recv_multipart()[0])
            if event == self._zmq.EVENT_DISCONNECTED:
                num_lost += 1
                self.num_open = max(0, self.num_open - 1)
                self._seen.pop(value, None)
            else:
                self.num_open += 1
                self._seen[value] = _bytes_received(value)
        return num_lost

    def cut_off(self, *, all_taken: bool) -> int:
        """Shut the connections that send without end, and return how many.

        Args:
            all_taken: Whether no whole message is waiting.
        """
        allowed = self._max_bytes if all_taken else self._backlog_bytes
        endless = [
            descriptor
            for descriptor, before in self._seen.items()
            if _bytes_received(descriptor) - before > allowed
        ]
        for descriptor in endless:
            # ZeroMQ finds the connection at its end, and throws away what came of the message.
            del self._seen[descriptor]
            with suppress(OSError), _borrowed(descriptor) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        return len(endless)

    def close(self) -> None:
        """End the watch; the socket is the caller's to close."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._monitor.close(linger=0)


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    """Yield a socket of ZeroMQ's descriptor, and do not close it.

    Raises:
        OSError: It has been closed meanwhile.
    """
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=descriptor)
    try:
        yield connection
    finally:
        connection.detach()


def _bytes_received(descriptor: int) -> int:
    """Return what the system has received for a connection [B]; 0 where it does not say."""
    size = _BYTES_RECEIVED_OFFSET + _BYTES_RECEIVED.size
    try:
        with _borrowed(descriptor) as connection:
            info = connection.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, size)
    except OSError:
        return 0
    if len(info) < size:
        return 0
    return int(_BYTES_RECEIVED.unpack_from(info, _BYTES_RECEIVED_OFFSET)[0])
