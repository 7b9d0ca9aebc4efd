"""Predictions over TCP and ZeroMQ, to readers that come, go and stall."""

import errno
import socket
import threading
import time
from contextlib import ExitStack

import pytest

from phyemu.errors import ConfigError, TransportError
from phyemu.serving import open_result_socket, result_socket


def _until(condition: threading.Event, publish: object) -> None:
    """Publish until a reader has something."""
    assert callable(publish)
    while not condition.wait(0.01):
        publish("again")


def test_every_tcp_reader_gets_the_lines_from_when_it_came() -> None:
    with open_result_socket("tcp://127.0.0.1:0") as results:
        assert not results.is_public
        with socket.create_connection(("127.0.0.1", results.port), timeout=10) as reader:
            lines = reader.makefile(encoding="utf-8")
            there = threading.Event()
            found: list[str] = []

            def read() -> None:
                found.append(lines.readline())
                there.set()
                found.extend(line for line in lines if line != "again\n")

            thread = threading.Thread(target=read)
            thread.start()
            _until(there, results.publish)
            for number in range(1000):
                results.publish(f'{{"n": {number}}}')
            with socket.create_connection(("127.0.0.1", results.port)):
                pass  # one that leaves at once
            results.publish("last")
            counts = results.counts()
    thread.join(10)
    assert not thread.is_alive()
    assert found[1:] == [*(f'{{"n": {number}}}\n' for number in range(1000)), "last\n"]
    assert counts["readers"] >= 1


def test_a_reader_that_stalls_is_cut_off_and_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(result_socket, "_MAX_WAITING", 8)
    with open_result_socket("tcp://127.0.0.1:0") as results:
        with socket.create_connection(("127.0.0.1", results.port), timeout=10) as reader:
            there = threading.Event()
            first = threading.Thread(target=lambda: (reader.recv(1), there.set()))
            first.start()
            _until(there, results.publish)
            first.join()
            line = "x" * (1 << 20)
            published = 0
            # It reads no more: buffers of the system fill, then the queue, then it is cut off.
            while not results.counts()["readers_cut_off"] and published < 10_000:
                results.publish(line)
                published += 1
            assert results.counts()["readers_cut_off"] == 1
        results.publish("nobody")


def test_more_readers_than_allowed_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_socket, "_MAX_CLIENTS", 1)
    with open_result_socket("tcp://127.0.0.1:0") as results:
        address = ("127.0.0.1", results.port)
        with (
            socket.create_connection(address, timeout=10),
            socket.create_connection(address, timeout=10) as second,
        ):
            assert second.recv(1) == b""  # closed
        assert results.counts() == {"readers": 1, "readers_cut_off": 0, "readers_refused": 1}


def test_an_error_of_one_connection_does_not_end_accepting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = [OSError(errno.ECONNABORTED, "aborted"), OSError(errno.EMFILE, "no descriptor")]

    class Listening(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            if failures:
                raise failures.pop()
            return super().accept()

    def create(address: tuple[str, int], *, family: int) -> socket.socket:
        opened = Listening(family)
        opened.bind(address)
        opened.listen()
        return opened

    monkeypatch.setattr(result_socket.socket, "create_server", create)
    with (
        open_result_socket("tcp://127.0.0.1:0") as results,
        socket.create_connection(("127.0.0.1", results.port), timeout=10) as reader,
    ):
        there = threading.Event()
        first = threading.Thread(target=lambda: (reader.recv(1), there.set()))
        first.start()
        _until(there, results.publish)
        first.join()
        assert results.counts()["readers"] == 1
    assert not failures


def test_a_reader_that_no_thread_is_left_for_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with open_result_socket("tcp://127.0.0.1:0") as results:
        monkeypatch.setattr(result_socket, "_Client", none)
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", results.port), timeout=10) as reader:
                assert reader.recv(1) == b""
        assert results.counts()["readers_refused"] == 2


def test_closing_waits_once_for_all_readers_that_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(result_socket, "_CLOSE_S", 0.2)
    with ExitStack() as stack, open_result_socket("tcp://127.0.0.1:0") as results:
        address = ("127.0.0.1", results.port)
        readers = [
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(20)
        ]
        there = threading.Event()
        first = threading.Thread(
            target=lambda: ([reader.recv(1) for reader in readers], there.set())
        )
        first.start()
        _until(there, results.publish)
        first.join()
        # More than the buffers of the system take: every writer waits for its reader.
        for _ in range(8):
            results.publish("x" * (1 << 20))
        begun_s = time.monotonic()
        assert isinstance(results, result_socket._TcpResults)
        results.close()
        # One after the other they would take 4 s, or 100 s until each send gives up.
        assert time.monotonic() - begun_s < 2.0


@pytest.mark.parametrize("scheme", ["tcp", "zmq+pub"])
def test_ipv6_addresses_stand_in_brackets(scheme: str) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no address ::1")
    if scheme != "tcp":
        pytest.importorskip("zmq", reason="needs pyzmq")
    with open_result_socket(f"{scheme}://[::1]:0") as results:
        assert not results.is_public
        socket.create_connection(("::1", results.port), timeout=10).close()
    with open_result_socket(f"{scheme}://[::]:0") as results:
        assert results.is_public


def test_zeromq_subscribers_get_the_lines() -> None:
    zmq = pytest.importorskip("zmq", reason="needs pyzmq")
    context = zmq.Context()
    with open_result_socket("zmq+pub://127.0.0.1:0") as results:
        reader = context.socket(zmq.SUB)
        reader.setsockopt(zmq.SUBSCRIBE, b"")
        reader.setsockopt(zmq.RCVTIMEO, 10_000)
        reader.connect(f"tcp://127.0.0.1:{results.port}")
        # A subscription takes a moment: publish until the first line is there.
        while not reader.poll(10):
            results.publish("again")
        results.publish('{"class": "7"}')
        line = reader.recv_string()
        while line == "again":
            line = reader.recv_string()
        assert line == '{"class": "7"}'
        assert results.counts()["published"] >= 2
        reader.close(0)
    context.term()


@pytest.mark.parametrize(
    "spec", ["tcp://", "tcp://:70000", "udp://:4000", "tcp://:5000/path", "5000", "zmq+push://:1"]
)
def test_other_specs_are_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"tcp://HOST:PORT"), open_result_socket(spec):
        pass


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for scheme in ("tcp", "zmq+pub"):
            with (
                pytest.raises(TransportError, match=f"{port}: cannot listen there"),
                open_result_socket(f"{scheme}://127.0.0.1:{port}"),
            ):
                pass
