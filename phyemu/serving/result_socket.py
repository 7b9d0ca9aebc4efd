"""Predictions for other programs: JSON lines over TCP or ZeroMQ, to whoever is connected.

Nobody holds the server up: who reads too slowly over TCP is cut off, over ZeroMQ misses lines.
"""

import queue
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol
from urllib.parse import urlsplit

from phyemu.errors import ConfigError, TransportError
from phyemu.live.endpoint import is_loopback

__all__ = ["ResultSocket", "open_result_socket"]

_MAX_CLIENTS = 32
# Lines that may wait for a reader.
_MAX_WAITING = 4096
_POLL_S = 0.1
_SEND_S = 5.0
# What waits for readers at the end may take so long, for all of them together.
_CLOSE_S = 0.5
_LOOPBACK = "127.0.0.1"


class ResultSocket(Protocol):
    """Takes lines for whoever is connected."""

    @property
    def port(self) -> int:
        """Return the port that it really listens on."""

    @property
    def is_public(self) -> bool:
        """Return whether other machines may reach it."""

    def publish(self, line: str) -> None:
        """Send a line, without its end, to all who are there; it never waits."""

    def counts(self) -> dict[str, int]:
        """Return how many readers there were, and what they missed."""


@contextmanager
def open_result_socket(spec: str) -> Iterator[ResultSocket]:
    """Yield the socket, and close it.

    Args:
        spec: `tcp://HOST:PORT`, or `zmq+pub://HOST:PORT`; without HOST 127.0.0.1, `*` is every
            interface, port 0 is any free one.

    Raises:
        ConfigError: Not such a spec.
        TransportError: The address is taken or not there, or pyzmq is missing.
    """
    scheme, host, port = _parsed(spec)
    opened: _TcpResults | _ZmqResults
    opened = (_TcpResults if scheme == "tcp" else _ZmqResults)(spec, host, port)
    try:
        yield opened
    finally:
        opened.close()


def _parsed(spec: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(spec)
        port = parts.port
    except ValueError as exc:
        raise ConfigError(f"{spec}: {exc}; write tcp://HOST:PORT or zmq+pub://HOST:PORT") from exc
    if parts.scheme not in ("tcp", "zmq+pub") or port is None or parts.path or parts.query:
        raise ConfigError(
            f"{spec}: results are served at tcp://HOST:PORT or zmq+pub://HOST:PORT, as in tcp://:7000"
        )
    host = parts.hostname or _LOOPBACK
    return parts.scheme, "0.0.0.0" if host == "*" else host, port


class _Client:
    """A reader, and the thread that writes to it."""

    def __init__(self, connection: socket.socket) -> None:
        self.lines: queue.Queue[bytes | None] = queue.Queue(_MAX_WAITING)
        self.gone = threading.Event()
        self._connection = connection
        connection.settimeout(_SEND_S)
        self.thread = threading.Thread(target=self._write, name="phyemu-results", daemon=True)
        self.thread.start()

    def _write(self) -> None:
        try:
            while (line := self.lines.get()) is not None:
                self._connection.sendall(line)
            # Those that read are told of the end; others are not waited for.
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            self.gone.set()
            self._connection.close()

    def cut_off(self) -> None:
        """End what is being sent to it."""
        self.gone.set()
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class _TcpResults:
    """A listening socket, and its readers."""

    def __init__(self, spec: str, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listening = socket.create_server((host, port), family=family)
        except OSError as exc:
            raise TransportError(f"{spec}: cannot listen there ({exc.strerror or exc})") from exc
        self._listening.settimeout(_POLL_S)
        self._host = host
        self._clients: list[_Client] = []
        self._changing = threading.Lock()
        self._closed = threading.Event()
        self._counts = {"readers": 0, "readers_cut_off": 0, "readers_refused": 0}
        self._thread = threading.Thread(target=self._accept, name="phyemu-results", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Return the port."""
        port: int = self._listening.getsockname()[1]
        return port

    @property
    def is_public(self) -> bool:
        """Return whether other machines may reach it."""
        return not is_loopback(self._host)

    def publish(self, line: str) -> None:
        """Queue a line for all readers."""
        content = line.encode() + b"\n"
        with self._changing:
            for client in list(self._clients):
                try:
                    if not client.gone.is_set():
                        client.lines.put_nowait(content)
                        continue
                except queue.Full:
                    self._counts["readers_cut_off"] += 1
                    client.cut_off()
                self._clients.remove(client)

    def counts(self) -> dict[str, int]:
        """Return how many readers there were."""
        with self._changing:
            return dict(self._counts)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            except OSError:
                # A reader that was gone before it was there, or no descriptor is left for it.
                self._closed.wait(_POLL_S)
                continue
            with self._changing:
                self._clients = [client for client in self._clients if not client.gone.is_set()]
                if len(self._clients) < _MAX_CLIENTS:
                    # RuntimeError: no thread is left for it.
                    with suppress(OSError, RuntimeError):
                        self._clients.append(_Client(connection))
                        self._counts["readers"] += 1
                        continue
                self._counts["readers_refused"] += 1
            connection.close()

    def close(self) -> None:
        """Send what waits, for a moment, and close."""
        self._closed.set()
        self._thread.join()
        self._listening.close()
        with self._changing:
            for client in self._clients:
                with suppress(queue.Full):
                    client.lines.put_nowait(None)
            end_s = time.monotonic() + _CLOSE_S
            for client in self._clients:
                client.thread.join(max(0.0, end_s - time.monotonic()))
                if client.thread.is_alive():
                    client.cut_off()


class _ZmqResults:
    """A PUB socket."""

    def __init__(self, spec: str, host: str, port: int) -> None:
        try:
            import zmq
        except ImportError as exc:
            raise TransportError(
                f"{spec}: needs pyzmq: python -m pip install 'phyemu[live]'"
            ) from exc
        self._zmq: Any = zmq
        self._host = host
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.LINGER, 500)
        self._socket.setsockopt(zmq.SNDHWM, _MAX_WAITING)
        self._socket.setsockopt(zmq.IPV6, int(":" in host))
        address = f"[{host}]" if ":" in host else host
        try:
            self._socket.bind(f"tcp://{address}:{port or '*'}")
        except zmq.ZMQError as exc:
            self.close()
            raise TransportError(f"{spec}: cannot listen there ({exc})") from exc
        end = str(self._socket.get_string(zmq.LAST_ENDPOINT))
        self._port = int(end.rstrip("\0").rpartition(":")[2])
        self._lines = 0

    @property
    def port(self) -> int:
        """Return the port."""
        return self._port

    @property
    def is_public(self) -> bool:
        """Return whether other machines may reach it."""
        return not is_loopback(self._host)

    def publish(self, line: str) -> None:
        """Send a message of one line."""
        with suppress(self._zmq.Again):
            self._socket.send(line.encode(), self._zmq.NOBLOCK)
            self._lines += 1

    def counts(self) -> dict[str, int]:
        """Return the messages that were published; a PUB socket knows no more."""
        return {"published": self._lines}

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        self._context.term()
