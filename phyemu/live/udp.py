"""Samples in UDP datagrams, with or without GNU Radio's 64-bit sequence numbers."""

import select
import socket
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.iq.sample_format import sample_format
from phyemu.live.endpoint import Endpoint
from phyemu.live.sample_bytes import decode_message, encode
from phyemu.live.transport import InputCounts

__all__ = ["DatagramSequence", "UdpSink", "UdpSource"]

_SEQUENCE_BYTES = 8
_MAX_DATAGRAM_BYTES = 65536
# What the system is asked to hold while the emulator is busy.
_SOCKET_BUFFER_BYTES = 8 << 20
# Datagrams that are handed on together, at most.
_BATCH = 256
# A datagram so far behind the last one comes from a sender that began anew, and so does one so
# far ahead.
_LATE = 1 << 10
_JUMP = 1 << 32


class UdpSource:
    """Receives datagrams; a gap in their sequence numbers is counted, and nothing fills it."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open the socket.

        Raises:
            TransportError: The address cannot be used.
        """
        self.counts = InputCounts(lost_messages=0 if endpoint.sequence else None)
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        self._sequence = DatagramSequence() if endpoint.sequence else None
        self._behind_gap: NDArray[np.complex64] | None = None
        self._socket, address = _open(endpoint)
        try:
            self._socket.bind(address)
        except OSError as exc:
            self._socket.close()
            raise TransportError(f"{endpoint.text}: cannot be bound: {exc.strerror}") from exc
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the samples of the datagrams that have come, up to where some are missing.

        They never end.
        """
        parts: list[NDArray[np.complex64]] = [np.zeros(0, np.complex64)]
        if self._behind_gap is not None:
            parts.append(self._behind_gap)
            self._behind_gap = None
        if self._sequence is not None:
            self.counts.lost_messages = self._sequence.num_lost
        if self._poll.poll(0 if len(parts) > 1 else timeout_s * 1e3):
            with suppress(BlockingIOError):
                while len(parts) < _BATCH:
                    iq = self._accept(self._socket.recv(_MAX_DATAGRAM_BYTES))
                    if self._sequence is not None:
                        if self._sequence.num_lost != self.counts.lost_messages and len(parts) > 1:
                            # What follows a gap is for the next call, which then says so.
                            self._behind_gap = iq
                            break
                        self.counts.lost_messages = self._sequence.num_lost
                    parts.append(iq)
        return np.concatenate(parts)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _accept(self, datagram: bytes) -> NDArray[np.complex64]:
        if self._sequence is None:
            return decode_message(datagram, self._format, self.counts)
        if len(datagram) < _SEQUENCE_BYTES:
            self.counts.drop("no sequence number")
            return np.zeros(0, np.complex64)
        payload = memoryview(datagram)[_SEQUENCE_BYTES:]
        is_new = self._sequence.accept(int.from_bytes(datagram[:_SEQUENCE_BYTES], "little"))
        if is_new:
            return decode_message(payload, self._format, self.counts)
        self.counts.drop("late or twice", len(payload) // self._format.sample_bytes)
        return np.zeros(0, np.complex64)


class DatagramSequence:
    """Follows the numbers of datagrams.

    Attributes:
        num_lost: Numbers that were left out, those that came late included.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self.num_lost = 0

    def accept(self, number: int) -> bool:
        """Return whether the datagram is newer than those before it, or of a new sender."""
        step = 1 if self._last is None else number - self._last
        if -_LATE < step <= 0:
            return False
        if 0 < step < _JUMP:
            self.num_lost += step - 1
        self._last = number
        return True


class UdpSink:
    """Sends datagrams of one size, the last one excepted; whether they arrive is not known."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Open the socket.

        Raises:
            TransportError: The address cannot be used.
        """
        self.num_clipped = 0
        self.num_ignored = 0
        self._format = sample_format(endpoint.datatype, where=endpoint.text)
        self._sequence = endpoint.sequence
        self._number = 0
        self._name = endpoint.text
        room = endpoint.payload_bytes - (_SEQUENCE_BYTES if endpoint.sequence else 0)
        self._datagram_bytes = room - room % self._format.sample_bytes
        self._rest = memoryview(b"")
        self._socket, self._address = _open(endpoint)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Return the number of samples taken: all, once those before them fill no datagram."""
        if not self._send_rest(self._datagram_bytes, timeout_s):
            return 0
        data, num_clipped = encode(iq, self._format)
        self.num_clipped += num_clipped
        self._rest = memoryview(bytes(self._rest) + data) if len(self._rest) else data
        self._send_rest(self._datagram_bytes, timeout_s)
        return len(iq)

    def mark_gap(self, lost_messages: int) -> None:
        """Do nothing: there is no place for it among the samples."""

    def finish(self, timeout_s: float) -> bool:
        """Return whether everything has left, the last datagram as short as it is."""
        return self._send_rest(1, timeout_s)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send_rest(self, least_bytes: int, timeout_s: float) -> bool:
        """Send datagrams while they have at least so many bytes; return whether all are out."""
        while len(self._rest) >= least_bytes:
            part = self._rest[: self._datagram_bytes]
            head = (self._number + 1).to_bytes(_SEQUENCE_BYTES, "little") if self._sequence else b""
            try:
                self._socket.sendto(head + part if head else part, self._address)
            except BlockingIOError:
                if not self._poll.poll(timeout_s * 1e3):
                    return False
                continue
            except ConnectionRefusedError:
                # Nobody listened to the one before; this one is sent when it is tried again.
                continue
            except OSError as exc:
                raise TransportError(f"{self._name}: cannot be sent: {exc.strerror}") from exc
            self._number += 1
            self._rest = self._rest[len(part) :]
        return True


def _open(endpoint: Endpoint) -> tuple[socket.socket, tuple[str, int]]:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_DGRAM
        )[0]
    except OSError as exc:
        raise TransportError(f"{endpoint.text}: {endpoint.host} is not known: {exc}") from exc
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        opened.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
    return opened, (str(address[0]), int(address[1]))
