"""ZeroMQ sockets on loopback, with peers that behave as GNU Radio's blocks and srsRAN's radio."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import TransportError
from phyemu.live import (
    LiveEnd,
    LiveStatistics,
    Role,
    ScheduledChannel,
    open_sink,
    open_source,
    parse_endpoint,
    parse_schedule,
    run_live,
    zeromq,
)
from phyemu.live.zeromq import ZmqSink, ZmqSource

zmq: Any = pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

Samples = NDArray[np.complex64]
RATE_HZ = 23.04e6


class Peers:
    """Opens the sockets of the peers, and closes them."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.sockets: list[Any] = []

    def socket(self, kind: int) -> Any:
        self.sockets.append(self.context.socket(kind))
        return self.sockets[-1]

    def close(self) -> None:
        for socket in self.sockets:
            socket.close(linger=0)
        self.context.term()


@pytest.fixture
def peers() -> Iterator[Peers]:
    """Return what opens the sockets of the other side."""
    peers = Peers()
    yield peers
    peers.close()


def channel(spec: str, seed: int = 0) -> ScheduledChannel:
    return ScheduledChannel(
        parse_schedule(spec),
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=0.02,
        seed=seed,
    )


def received(source: Any) -> Samples:
    """Return the samples of the next message that has any."""
    for _ in range(100):
        part: Samples = source.receive(0.05)
        if len(part):
            return part
    raise TimeoutError


def sent_all(sink: Any, iq: Samples) -> None:
    """Send everything, or give up after five seconds of nothing."""
    for _ in range(100):
        iq = iq[sink.send(iq, 0.05) :]
        if not len(iq):
            return
    raise TimeoutError


def test_pull_takes_what_a_push_socket_sends(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    peer = peers.socket(zmq.PUSH)
    peer.bind(f"tcp://127.0.0.1:{port}")
    with open_source(parse_endpoint(f"zmq+pull://:{port}", Role.SOURCE)) as source:
        peer.send(iq[:4096].tobytes())
        assert np.array_equal(received(source), iq[:4096])
        # Small messages that have come by now are handed on together.
        peer.send(iq[4096:5000].tobytes())
        peer.send(iq[5000:].tobytes())
        time.sleep(0.1)
        assert np.array_equal(received(source), iq[4096:])
        assert len(source.receive(0.0)) == 0  # type: ignore[arg-type]


def test_hostile_messages_are_counted_and_the_next_good_one_arrives(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    peer = peers.socket(zmq.PUSH)
    with open_source(parse_endpoint(f"zmq+pull://:{port}?bind", Role.SOURCE)) as source:
        peer.connect(f"tcp://127.0.0.1:{port}")
        for message in (b"", b"abc", np.full(3, np.nan, np.complex64).tobytes(), bytes(33 << 20)):
            peer.send(message)
        peer.send_multipart([b"key", iq.tobytes()])
        peer.send(iq.tobytes())
        assert np.array_equal(received(source), iq)
        assert dict(source.counts.dropped) == {
            "empty": 1,
            "no whole samples": 1,
            "not finite or out of range": 1,
            "too large": 1,
            "several parts": 1,
        }


def test_a_peer_that_sends_gigantic_messages_is_cut_off_and_others_are_not(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    hostile, peer = peers.socket(zmq.PUSH), peers.socket(zmq.PUSH)
    with open_source(parse_endpoint(f"zmq+pull://:{port}?bind", Role.SOURCE)) as source:
        hostile.connect(f"tcp://127.0.0.1:{port}")
        hostile.send(bytes(65 << 20))
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.send(iq.tobytes())
        assert np.array_equal(received(source), iq)


def test_sub_takes_what_a_pub_socket_sends_and_does_not_claim_to_see_losses(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    peer = peers.socket(zmq.XPUB)
    peer.bind(f"tcp://127.0.0.1:{port}")
    with open_source(parse_endpoint(f"zmq+sub://:{port}", Role.SOURCE)) as source:
        assert peer.poll(5000)
        assert peer.recv() == b"\x01"  # everything
        peer.send(iq.tobytes())
        assert np.array_equal(received(source), iq)
        assert source.counts.lost_messages is None


def test_req_asks_once_for_each_message_and_names_a_number(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    peer = peers.socket(zmq.REP)
    peer.bind(f"tcp://127.0.0.1:{port}")
    with open_source(parse_endpoint(f"zmq+req://:{port}", Role.SOURCE)) as source:
        for part in (iq[:100], iq[:0], iq[100:]):
            source.receive(0.2)  # the request leaves; a source that gets no answer asks no more
            assert len(source.receive(0.0)) == 0  # type: ignore[arg-type]
            assert peer.poll(5000)
            # GNU Radio reads a 32-bit integer; srsRAN reads one byte and looks at nothing.
            assert int.from_bytes(peer.recv(), "little", signed=True) == 65536
            assert not peer.poll(10)
            peer.send(part.tobytes())
            if len(part):
                assert np.array_equal(received(source), part)
            else:
                assert len(source.receive(0.2)) == 0  # type: ignore[arg-type]
        assert not source.counts.dropped


def test_a_peer_that_begins_anew_is_asked_anew(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    with open_source(parse_endpoint(f"zmq+req://:{port}", Role.SOURCE)) as source:
        for samples in (iq[:10], iq[10:20]):
            peer = peers.socket(zmq.REP)
            for _ in range(100):
                # ZeroMQ lets go of the address of the one before in its own time.
                with suppress(zmq.ZMQError):
                    peer.bind(f"tcp://127.0.0.1:{port}")
                    break
                source.receive(0.05)
            for _ in range(100):
                if peer.poll(0):
                    break
                source.receive(0.05)
            peer.recv()
            peer.send(samples.tobytes())
            assert np.array_equal(received(source), samples)
            source.receive(0.05)  # asks for more, and gets no answer
            assert peer.poll(5000)
            peer.recv()
            peer.close(linger=0)


def test_push_waits_for_somebody_and_loses_nothing(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    many = np.tile(iq, 5)
    with open_sink(parse_endpoint(f"zmq+push://:{port}", Role.SINK)) as sink:
        assert sink.send(many, 0.01) == 0
        peer = peers.socket(zmq.PULL)
        peer.connect(f"tcp://127.0.0.1:{port}")
        sent_all(sink, many)
    # The socket is closed by now, and what it held has left.
    messages = []
    while peer.poll(200):
        messages.append(np.frombuffer(peer.recv(), np.complex64))
    assert [len(message) for message in messages] == [65536, 65536, 18928]
    assert np.array_equal(np.concatenate(messages), many)


def test_pub_begins_with_its_first_subscriber_and_waits_for_a_slow_one(
    peers: Peers, free_port: Callable[[], int], iq: Samples
) -> None:
    port = free_port()
    block = np.resize(iq, 1 << 16)
    with open_sink(parse_endpoint(f"zmq+pub://:{port}", Role.SINK)) as sink:
        assert sink.send(block, 0.01) == 0
        peer = peers.socket(zmq.SUB)
        peer.setsockopt(zmq.RCVHWM, 1)
        peer.connect(f"tcp://127.0.0.1:{port}")
        peer.subscribe(b"")
        sent_all(sink, block)
        num_sent = 1
        # An ordinary publisher would throw away from here on; far less than this fits anywhere.
        while num_sent < 1000 and sink.send(block, 0.05):
            num_sent += 1
        assert num_sent < 1000
        for _ in range(num_sent):
            assert peer.poll(5000)
            assert len(peer.recv()) == 8 << 16
        assert not peer.poll(20)


@pytest.mark.parametrize(
    ("request_bytes", "num_samples"),
    [
        ((100).to_bytes(4, "little"), 100),  # GNU Radio
        (b"\xff", 30_000),  # srsRAN 4G
        (b"\x00", 30_000),  # srsRAN Project
        ((-5).to_bytes(4, "little", signed=True), 30_000),
        (b"", 30_000),
        (b"please", 30_000),
    ],
)
def test_rep_answers_a_request_with_what_it_wants(
    peers: Peers,
    free_port: Callable[[], int],
    iq: Samples,
    request_bytes: bytes,
    num_samples: int,
) -> None:
    port = free_port()
    peer = peers.socket(zmq.REQ)
    peer.connect(f"tcp://127.0.0.1:{port}")
    with open_sink(parse_endpoint(f"zmq+rep://:{port}", Role.SINK)) as sink:
        assert sink.send(iq, 0.0) == 0
        peer.send(request_bytes)
        sent = 0
        for _ in range(100):
            sent = sink.send(iq, 0.05)
            if sent:
                break
        assert sent == num_samples
        assert peer.poll(5000)
        assert np.array_equal(np.frombuffer(peer.recv(), np.complex64), iq[:num_samples])
        assert sink.send(iq, 0.0) == 0  # not asked again


def test_integers_are_clipped_and_counted(peers: Peers, free_port: Callable[[], int]) -> None:
    port = free_port()
    peer = peers.socket(zmq.PULL)
    peer.connect(f"tcp://127.0.0.1:{port}")
    with open_sink(parse_endpoint(f"zmq+push://:{port}?format=ci16", Role.SINK)) as sink:
        sent_all(sink, np.array([0.5, 2.0], np.complex64))
        assert peer.poll(5000)
        assert np.frombuffer(peer.recv(), np.int16).tolist() == [16384, 0, 32767, 0]
        assert sink.num_clipped == 1


class LockStepPeer:
    """One side of srsRAN's virtual radio: sends so many samples before it wants as many back.

    The transmitter is a REP socket that sends when it is asked, the receiver a REQ socket that
    asks with one byte, each on a thread of its own, as rf_zmq does.
    """

    def __init__(self, peers: Peers, tx_port: int, rx_port: int, value: float) -> None:
        self.tx, self.rx = peers.socket(zmq.REP), peers.socket(zmq.REQ)
        self.tx.bind(f"tcp://127.0.0.1:{tx_port}")
        self.rx.connect(f"tcp://127.0.0.1:{rx_port}")
        self.value = value
        self.heard: list[Samples] = []
        self.failed = False

    def subframe(self, index: int, num_samples: int) -> Samples:
        return np.full(num_samples, self.value * (index + 1), np.complex64)

    def run(self, num_subframes: int, subframe: int) -> None:
        pending = np.zeros(0, np.complex64)
        asked = False
        for index in range(num_subframes):
            if not self.tx.poll(10_000):
                self.failed = True
                return
            self.tx.recv()
            self.tx.send(self.subframe(index, subframe).tobytes())
            while len(pending) < subframe:
                if not asked:
                    self.rx.send(b"\xff")
                asked = True
                if not self.rx.poll(10_000):
                    self.failed = True
                    return
                asked = False
                pending = np.concatenate([pending, np.frombuffer(self.rx.recv(), np.complex64)])
            self.heard.append(pending[:subframe])
            pending = pending[subframe:]


def test_two_stacks_in_lock_step_run_through_two_channels(
    peers: Peers, free_port: Callable[[], int]
) -> None:
    ports = [free_port() for _ in range(4)]
    base = LockStepPeer(peers, ports[0], ports[1], 0.1)
    user = LockStepPeer(peers, ports[2], ports[3], -0.1)
    num_subframes, subframe = 20, 23_040
    duration_s = num_subframes * subframe / RATE_HZ
    # TGn D has delays between the samples: its filters look ahead, and a loop that took their
    # latency out would wait for itself for ever.
    links = [(ports[0], ports[3], "tgn-d:30"), (ports[2], ports[1], "awgn:inf")]
    results: list[LiveStatistics] = []

    def emulate(tx_port: int, rx_port: int, spec: str) -> None:
        source = parse_endpoint(f"zmq+req://:{tx_port}", Role.SOURCE)
        sink = parse_endpoint(f"zmq+rep://:{rx_port}", Role.SINK)
        link = channel(spec)
        with open_source(source) as samples, open_sink(sink) as taken:
            results.append(
                run_live(
                    samples,
                    link,
                    taken,
                    sample_rate_hz=RATE_HZ,
                    reference_power=0.02,
                    keep_latency=True,
                    duration_s=duration_s,
                    idle_s=10.0,
                    grace_s=0.1,
                )
            )

    # Daemons: where a peer gives up, the emulators wait for it for ever, and the test has to fail.
    threads = [threading.Thread(target=emulate, args=link, daemon=True) for link in links]
    threads += [
        threading.Thread(target=peer.run, args=(num_subframes, subframe), daemon=True)
        for peer in (base, user)
    ]
    for thread in threads:
        thread.start()
    for thread in threads[2:]:
        thread.join(120.0)
    assert not base.failed
    assert not user.failed
    # What is left is the channel's tail, which nobody asks for any more.
    for peer in (base, user):
        peer.rx.close(linger=0)
    drain(peers, ports[3])
    drain(peers, ports[1])
    for thread in threads[:2]:
        thread.join(60.0)
    assert [result.ended_by for result in results] == [LiveEnd.COMPLETE] * 2
    sent = np.concatenate([base.subframe(index, subframe) for index in range(num_subframes)])
    assert np.array_equal(np.concatenate(base.heard), -sent)  # no noise, no delay
    link = channel("tgn-d:30")
    lead = link.latency_samples
    heard = np.concatenate(user.heard)
    assert np.array_equal(heard[lead:], link.process(sent)[: len(sent) - lead])


def drain(peers: Peers, port: int) -> None:
    """Take what a REP sink still has, until it has no more."""
    peer = peers.socket(zmq.REQ)
    peer.connect(f"tcp://127.0.0.1:{port}")
    while True:
        peer.send(b"\xff")
        if not peer.poll(500):
            break
        peer.recv()
    peer.close(linger=0)


def test_an_address_in_use_gets_one_line(free_port: Callable[[], int]) -> None:
    endpoint = parse_endpoint(f"zmq+push://:{free_port()}", Role.SINK)
    with open_sink(endpoint), pytest.raises(TransportError, match="cannot be bound: Address"):
        ZmqSink(endpoint)


def test_without_pyzmq_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zmq", None)
    with pytest.raises(TransportError, match=r"pip install 'phyemu\[live\]'"):
        ZmqSource(parse_endpoint("zmq+pull://:5555", Role.SOURCE))


class _EndlessContext:
    """A context that never ends, as ZeroMQ's has been seen to do."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended = threading.Event()

    def term(self) -> None:
        assert self.released.wait(30.0)
        self.ended.set()


def test_a_context_that_never_ends_is_left_behind(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    free_port: Callable[[], int],
) -> None:
    monkeypatch.setattr(zeromq, "_CLOSE_S", 0.01)
    endless = _EndlessContext()
    source = ZmqSource(parse_endpoint(f"zmq+pull://127.0.0.1:{free_port()}?bind", Role.SOURCE))
    context, source._context = source._context, endless
    source.close()
    assert "did not close within 0.01 s" in caplog.text
    endless.released.set()
    assert endless.ended.wait(30.0)
    assert source._socket.closed
    context.term()
