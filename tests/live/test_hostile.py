"""Peers that send what no peer should: nothing of it ends the emulator, or fills its memory."""

import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.live import Role, open_sink, open_source, parse_endpoint
from phyemu.live.zeromq import ZmqSource

zmq: Any = pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

Samples = NDArray[np.complex64]
GOOD = np.array([0.25, -0.5j], np.complex64)


@pytest.fixture
def peer_of() -> Iterator[Callable[[int], Any]]:
    """Return what opens the sockets of the other side."""
    context = zmq.Context()
    sockets: list[Any] = []

    def open_socket(kind: int) -> Any:
        sockets.append(context.socket(kind))
        return sockets[-1]

    yield open_socket
    for opened in sockets:
        opened.close(linger=0)
    context.term()


def heard(source: Any, meanwhile: Callable[[], object] = lambda: None) -> Samples:
    """Return the first samples that come within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        meanwhile()
        iq: Samples = source.receive(0.02)
        if len(iq):
            return iq
    raise TimeoutError


def resident_mib() -> float:
    """Return the memory of this process that is in use [MiB]."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def test_a_message_without_end_is_cut_off_and_the_next_one_arrives(
    peer_of: Callable[[int], Any], free_port: Callable[[], int]
) -> None:
    port = free_port()
    with open_source(parse_endpoint(f"zmq+pull://:{port}?bind", Role.SOURCE)) as source:
        # A PUSH socket would keep the parts to itself until the last one; so ZMTP by hand.
        stop = threading.Event()
        hostile = socket.create_connection(("127.0.0.1", port), timeout=1)
        thread = threading.Thread(target=send_parts_for_ever, args=(hostile, stop))
        before = resident_mib()
        thread.start()
        try:
            deadline = time.monotonic() + 10
            while not source.counts.dropped and time.monotonic() < deadline:
                assert len(source.receive(0.02)) == 0  # type: ignore[arg-type]
            assert dict(source.counts.dropped) == {"endless": 1}
            # 128 MiB are allowed, and what was under way when they were counted.
            assert resident_mib() - before < 600
            peer = peer_of(zmq.PUSH)
            peer.connect(f"tcp://127.0.0.1:{port}")
            peer.send(GOOD.tobytes())
            assert np.array_equal(heard(source), GOOD)
        finally:
            stop.set()
            thread.join()


def greet(connection: socket.socket, kind: bytes) -> None:
    """Speak ZMTP 3.0 up to where messages begin: signature, version, mechanism; then READY."""
    greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
    connection.sendall(greeting)
    body = b"\x05READY" + b"\x0bSocket-Type" + len(kind).to_bytes(4, "big") + kind
    connection.sendall(b"\x04" + bytes([len(body)]) + body)


def send_parts_for_ever(connection: socket.socket, stop: threading.Event) -> None:
    greet(connection, b"PUSH")
    part = b"\x03" + (1 << 20).to_bytes(8, "big") + bytes(1 << 20)  # long, and more to come
    try:
        while not stop.is_set():
            connection.sendall(part)
    except OSError:
        pass
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["pull", "sub", "req"])
def test_who_sends_no_zeromq_at_all_or_stops_within_a_message_changes_nothing(
    peer_of: Callable[[int], Any], free_port: Callable[[], int], kind: str
) -> None:
    port = free_port()
    peers = {"pull": (zmq.PUSH, b"PUSH"), "sub": (zmq.PUB, b"PUB"), "req": (zmq.REP, b"REP")}
    own, name = peers[kind]
    with open_source(parse_endpoint(f"zmq+{kind}://:{port}?bind", Role.SOURCE)) as source:
        for garbage in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 8):
            with socket.create_connection(("127.0.0.1", port)) as stranger:
                stranger.sendall(garbage)
        # Half a frame, and then nothing for ever.
        slow = socket.create_connection(("127.0.0.1", port))
        greet(slow, name)
        slow.sendall(b"\x02" + (1 << 20).to_bytes(8, "big") + bytes(100))
        source.receive(0.1)
        vanishing = socket.create_connection(("127.0.0.1", port))
        greet(vanishing, name)
        vanishing.sendall(b"\x02" + (1 << 20).to_bytes(8, "big") + bytes(100))
        vanishing.close()
        peer = peer_of(own)
        peer.connect(f"tcp://127.0.0.1:{port}")

        def offer() -> None:
            if own != zmq.REP:
                peer.send(GOOD.tobytes())
            elif peer.poll(0):
                peer.recv()
                peer.send(GOOD.tobytes())

        assert np.array_equal(heard(source, offer)[:2], GOOD)
        slow.close()
        assert not source.counts.dropped


def message(parts: list[bytes]) -> tuple[list[bytes], str | None]:
    """Return a message, and why it has to be dropped."""
    if len(parts) > 1:
        return parts, "several parts"
    (body,) = parts
    if not body:
        return parts, "empty"
    if len(body) % 8:
        return parts, "no whole samples"
    values = np.frombuffer(body, np.float32)
    good = np.isfinite(values).all() and np.abs(values).max() <= 1e9
    return parts, None if good else "not finite or out of range"


BODIES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.floats(width=32), min_size=1, max_size=6).map(
        lambda values: np.array(values, np.float32).tobytes()
    ),
    st.just(GOOD.tobytes()),
)
MESSAGES = st.lists(
    st.one_of(BODIES.map(lambda body: [body]), st.lists(BODIES, min_size=2, max_size=3)).map(
        message
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Any, ZmqSource]]:
    """Return a PUSH socket and the source that it sends to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = zmq.Context()
    peer = context.socket(zmq.PUSH)
    with open_source(parse_endpoint(f"zmq+pull://:{port}?bind", Role.SOURCE)) as source:
        peer.connect(f"tcp://127.0.0.1:{port}")
        assert isinstance(source, ZmqSource)
        yield peer, source
    peer.close(linger=0)
    context.term()


@settings(max_examples=40, deadline=None)
@given(messages=MESSAGES)
def test_whatever_comes_good_samples_pass_in_order_and_the_rest_is_counted_by_reason(
    pair: tuple[Any, ZmqSource], messages: list[tuple[list[bytes], str | None]]
) -> None:
    peer, source = pair
    source.counts.dropped.clear()
    good = b"".join(parts[0] for parts, reason in messages if reason is None)
    for parts, _ in messages:
        peer.send_multipart(parts)
    peer.send(GOOD.tobytes())
    expected = good + GOOD.tobytes()
    came = b""
    while len(came) < len(expected):
        came += heard(source).tobytes()
    assert came == expected
    reasons = [reason for _, reason in messages if reason is not None]
    assert source.counts.dropped == {name: reasons.count(name) for name in set(reasons)}


REQUESTS = [
    [b"", b"a", b"b"],  # several parts
    [b"no envelope"],
    [b"x", b"y", b"z"],
    [b"", b""],
    [b"path", b"", b"\xff"],  # through a proxy
]


def test_requests_of_any_shape_are_answered_or_ignored(
    peer_of: Callable[[int], Any], free_port: Callable[[], int]
) -> None:
    port = free_port()
    peer = peer_of(zmq.DEALER)
    peer.connect(f"tcp://127.0.0.1:{port}")
    with open_sink(parse_endpoint(f"zmq+rep://:{port}", Role.SINK)) as sink:
        for request in REQUESTS:
            peer.send_multipart(request)
        sent = 0
        for _ in range(100):
            sent += sink.send(GOOD, 0.02)
            if sent == 3 * len(GOOD):
                break
        answers = [peer.recv_multipart() for _ in range(3) if peer.poll(2000)]
        assert answers == [[b"", GOOD.tobytes()]] * 2 + [[b"path", b"", GOOD.tobytes()]]
        assert sink.send(GOOD, 0.02) == 0
        assert sink.num_ignored == 2


def test_samples_for_a_requester_that_has_gone_wait_for_the_next(
    peer_of: Callable[[int], Any], free_port: Callable[[], int]
) -> None:
    port = free_port()
    with open_sink(parse_endpoint(f"zmq+rep://:{port}", Role.SINK)) as sink:
        gone = peer_of(zmq.REQ)
        gone.connect(f"tcp://127.0.0.1:{port}")
        gone.send(b"\xff")
        time.sleep(0.2)
        gone.close(linger=0)
        time.sleep(0.2)
        assert sink.send(GOOD, 0.05) == 0
        peer = peer_of(zmq.REQ)
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.send(b"\xff")
        assert any(sink.send(GOOD, 0.05) for _ in range(100))
        assert peer.poll(5000)
        assert peer.recv() == GOOD.tobytes()


def test_a_subscriber_cannot_talk_the_publisher_into_silence(
    peer_of: Callable[[int], Any], free_port: Callable[[], int]
) -> None:
    port = free_port()
    with open_sink(parse_endpoint(f"zmq+pub://:{port}", Role.SINK)) as sink:
        hostile, peer = peer_of(zmq.XSUB), peer_of(zmq.SUB)
        hostile.connect(f"tcp://127.0.0.1:{port}")
        for word in (b"nonsense", b"\x02", b"", bytes(900)):
            hostile.send(word)
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.subscribe(b"")
        assert any(sink.send(GOOD, 0.05) and peer.poll(50) for _ in range(100))
        assert peer.recv() == GOOD.tobytes()
        # What the other one said may come later: two connections have no common order.
        for _ in range(500):
            if sink.num_ignored >= 2:
                break
            hostile.poll(20)
            sink.send(GOOD, 0.05)
        assert sink.num_ignored >= 2


def test_a_request_of_a_megabyte_ends_its_connection_only(
    peer_of: Callable[[int], Any], free_port: Callable[[], int]
) -> None:
    port = free_port()
    with open_sink(parse_endpoint(f"zmq+rep://:{port}", Role.SINK)) as sink:
        hostile, peer = peer_of(zmq.REQ), peer_of(zmq.REQ)
        hostile.connect(f"tcp://127.0.0.1:{port}")
        hostile.send(bytes(1 << 20))
        assert sink.send(GOOD, 0.1) == 0
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.send(b"\xff")
        assert any(sink.send(GOOD, 0.05) for _ in range(100))
        assert peer.poll(5000)
        assert peer.recv() == GOOD.tobytes()
