"""srsRAN's ZeroMQ radio at both ends, as far as its source says what it does.

The transmitter is a REP socket whose requests are one byte that says nothing; each is answered with
the samples of one subframe, whatever there is. The receiver is a REQ socket on a thread of its own,
which asks again as soon as what came is in its ring buffer. Sockets give up after a while and try
again. A transmitter that has nothing to say by the time its receiver wants the next subframe
sends zeros, so that both directions advance together.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.channel.network_settings import LinkSettings, NetworkSettings
from phyemu.live import (
    LiveChannel,
    LiveNetwork,
    OneLink,
    Role,
    SampleSource,
    ScheduledChannel,
    open_sink,
    open_source,
    parse_endpoint,
    parse_schedule,
    run_live_network,
)

zmq: Any = pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

Samples = NDArray[np.complex64]
TIMEOUT_MS = 500  # srsRAN's are 2000, which would only make the end of a test wait
RING_SAMPLES = 3_072_000


class SrsRadio:
    """One eNB or UE."""

    def __init__(self, tx_port: int, rx_port: int, *, subframe: int, value: complex) -> None:
        self._context = zmq.Context()
        self.tx, self.rx = self._context.socket(zmq.REP), self._context.socket(zmq.REQ)
        for opened in (self.tx, self.rx):
            opened.setsockopt(zmq.RCVTIMEO, TIMEOUT_MS)
            opened.setsockopt(zmq.SNDTIMEO, TIMEOUT_MS)
            opened.setsockopt(zmq.LINGER, 0)
        deadline = time.monotonic() + 5
        while True:
            try:
                self.tx.bind(f"tcp://127.0.0.1:{tx_port}")
                break
            except zmq.ZMQError:
                # As srsRAN Project does, when the one before has just gone.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.rx.connect(f"tcp://127.0.0.1:{rx_port}")
        self.subframe, self.value = subframe, value
        self.num_sent = 0
        self.heard: list[Samples] = []
        self._running = True
        self._ring: list[Samples] = []
        self._in_ring = 0
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=work) for work in (self._receive, self._work)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._running = False
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for opened in (self.tx, self.rx):
            opened.close()
        self._context.term()

    def wait_for(self, num_subframes: int, timeout_s: float = 30.0) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self.heard) >= num_subframes, timeout_s)

    def sent(self, index: int) -> Samples:
        return np.full(self.subframe, self.value * (1 + index % 7), np.complex64)

    def _receive(self) -> None:
        while self._running:
            try:
                self.rx.send(b"\xff")
                while self._running:
                    try:
                        came = self.rx.recv()
                        break
                    except zmq.Again:
                        continue
                else:
                    return
            except zmq.Again:
                continue
            with self._changed:
                self._changed.wait_for(lambda: self._in_ring < RING_SAMPLES or not self._running, 5)
                self._ring.append(np.frombuffer(came, np.complex64))
                self._in_ring += len(self._ring[-1])
                self._changed.notify_all()

    def _work(self) -> None:
        while self._running:
            try:
                request = self.tx.recv()
                # The buffer for it holds one byte.
                assert len(request) in (1, 4)
                self.tx.send(self.sent(self.num_sent).tobytes())
            except zmq.Again:
                continue
            self.num_sent += 1
            with self._changed:
                self._changed.wait_for(
                    lambda: self._in_ring >= self.subframe or not self._running, 30
                )
                if not self._running:
                    return
                waiting = np.concatenate(self._ring)
                self.heard.append(waiting[: self.subframe])
                self._ring = [waiting[self.subframe :]]
                self._in_ring -= self.subframe
                self._changed.notify_all()


class Ending:
    """A source that ends when it is told to."""

    def __init__(self, inner: SampleSource, ended: threading.Event) -> None:
        self.counts = inner.counts
        self._inner = inner
        self._ended = ended

    def receive(self, timeout_s: float) -> Samples | None:
        return None if self._ended.is_set() else self._inner.receive(timeout_s)

    def close(self) -> None:
        self._inner.close()


class Emulator:
    """`phyemu emulate --live ... --keep-latency` on a thread, with REQ and REP ends."""

    def __init__(
        self, channel: LiveChannel, rate_hz: float, tx: dict[str, int], rx: dict[str, int]
    ) -> None:
        self.channel = channel
        self._rate_hz = rate_hz
        self._tx, self._rx = tx, rx
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @classmethod
    def of_link(cls, tx_port: int, rx_port: int, spec: str, rate_hz: float) -> "Emulator":
        return cls(OneLink(scheduled(spec, rate_hz)), rate_hz, {"": tx_port}, {"": rx_port})

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        with ExitStack() as stack:
            sources, sinks = {}, {}
            for name, port in self._tx.items():
                source = parse_endpoint(f"zmq+req://:{port}", Role.SOURCE)
                sources[name] = Ending(stack.enter_context(open_source(source)), self._ended)
            for name, port in self._rx.items():
                sink = parse_endpoint(f"zmq+rep://:{port}", Role.SINK)
                sinks[name] = stack.enter_context(open_sink(sink))
            run_live_network(
                sources,
                self.channel,
                sinks,
                sample_rate_hz=self._rate_hz,
                reference_power=1.0,
                keep_latency=True,
            )

    def stop(self) -> None:
        self._ended.set()
        # Whoever is left over may still ask.
        context = zmq.Context()
        drains = []
        for port in self._rx.values():
            drains.append(context.socket(zmq.REQ))
            drains[-1].connect(f"tcp://127.0.0.1:{port}")
            drains[-1].send(b"\xff")
        while self._thread.is_alive():
            for drain in drains:
                if drain.poll(20):
                    drain.recv()
                    drain.send(b"\xff")
        for drain in drains:
            drain.close(linger=0)
        context.term()


def scheduled(spec: str, rate_hz: float) -> ScheduledChannel:
    return ScheduledChannel(
        parse_schedule(spec),
        sample_rate_hz=rate_hz,
        symbol_rate_hz=rate_hz,
        reference_power=1.0,
        seed=0,
    )


@pytest.fixture
def started() -> Iterator[list[Any]]:
    """Return a list of what has to be stopped."""
    things: list[Any] = []
    yield things
    for thing in things:
        thing.stop()


# Subframes of 1 ms at 1.4 and at 20 MHz; every order in which the four may be started, of each
# direction first or last.
@pytest.mark.parametrize(
    ("rate_hz", "order"),
    [
        (1.92e6, "enb ue down up"),
        (1.92e6, "up down ue enb"),
        (1.92e6, "down ue enb up"),
        (23.04e6, "enb down up ue"),
    ],
)
def test_both_directions_run_whoever_starts_first(
    started: list[Any], free_port: Callable[[], int], rate_hz: float, order: str
) -> None:
    subframe = round(rate_hz / 1000)
    enb_tx, enb_rx, ue_tx, ue_rx = (free_port() for _ in range(4))
    make: dict[str, Callable[[], Any]] = {
        "enb": lambda: SrsRadio(enb_tx, enb_rx, subframe=subframe, value=0.1),
        "ue": lambda: SrsRadio(ue_tx, ue_rx, subframe=subframe, value=-0.05),
        # Delays between the samples: the filter looks ahead.
        "down": lambda: Emulator.of_link(enb_tx, ue_rx, "tgn-d:inf", rate_hz),
        "up": lambda: Emulator.of_link(ue_tx, enb_rx, "awgn:inf", rate_hz),
    }
    made: dict[str, Any] = {}
    for name in order.split():
        made[name] = make[name]()
        made[name].start()
        time.sleep(0.1)
    started.extend(made[name] for name in ("enb", "ue", "down", "up"))
    num_subframes = 30
    assert made["enb"].wait_for(num_subframes)
    assert made["ue"].wait_for(num_subframes)
    for radio in (made["enb"], made["ue"]):
        # As over a cable: nobody is further ahead than the other's ring buffer allows.
        assert radio.num_sent <= len(radio.heard) + 1
    up = np.concatenate(made["enb"].heard[:num_subframes])
    sent = np.concatenate([made["ue"].sent(index) for index in range(num_subframes)])
    assert np.array_equal(up, sent)
    down = np.concatenate(made["ue"].heard[:num_subframes])
    sent = np.concatenate([made["enb"].sent(index) for index in range(num_subframes)])
    link = scheduled("tgn-d:inf", rate_hz)
    lead = link.latency_samples
    assert not down[:lead].any()
    assert np.array_equal(down[lead:], link.process(sent)[: len(sent) - lead])


def test_a_cell_of_two_users_is_one_network(
    started: list[Any], free_port: Callable[[], int]
) -> None:
    names = ("enb", "ue1", "ue2")
    tx = {name: free_port() for name in names}
    rx = {name: free_port() for name in names}
    links = (("enb", "ue1"), ("enb", "ue2"), ("ue1", "enb"), ("ue2", "enb"))
    network = LiveNetwork(
        NetworkSettings(
            links=tuple(
                LinkSettings(transmitter=one, receiver=other, channel="awgn:inf", gain_db=-6.0206)
                for one, other in links
            )
        ),
        transmitters=names,
        receivers=names,
        sample_rate_hz=1.92e6,
        symbol_rate_hz=1.92e6,
        reference_power=1.0,
        seed=0,
    )
    emulator = Emulator(network, 1.92e6, tx, rx)
    values = {"enb": 0.1, "ue1": 0.2, "ue2": 0.2j}
    radios = {
        name: SrsRadio(tx[name], rx[name], subframe=1920, value=value)
        for name, value in values.items()
    }
    for thing in (*radios.values(), emulator):
        thing.start()
    started.extend([*radios.values(), emulator])
    assert all(radio.wait_for(20) for radio in radios.values())
    lead = network.latency_samples
    expected = {
        name: sum(
            np.concatenate([radios[one].sent(index) for index in range(20)])
            for one, other in links
            if other == name
        )
        for name in names
    }
    for name, radio in radios.items():
        heard = np.concatenate(radio.heard[:20])
        np.testing.assert_allclose(
            heard[lead:], 0.5 * expected[name][: len(heard) - lead], rtol=1e-4
        )


def test_after_one_side_has_begun_anew_samples_flow_again(
    started: list[Any], free_port: Callable[[], int]
) -> None:
    enb_tx, enb_rx, ue_tx, ue_rx = (free_port() for _ in range(4))
    links = [
        Emulator.of_link(enb_tx, ue_rx, "awgn:inf", 1.92e6),
        Emulator.of_link(ue_tx, enb_rx, "awgn:inf", 1.92e6),
    ]
    for link in links:
        link.start()
    enb = SrsRadio(enb_tx, enb_rx, subframe=1920, value=0.1)
    enb.start()
    first = SrsRadio(ue_tx, ue_rx, subframe=1920, value=0.2)
    first.start()
    try:
        assert first.wait_for(10)
    finally:
        first.stop()
    second = SrsRadio(ue_tx, ue_rx, subframe=1920, value=0.3j)
    second.start()
    started.extend([enb, second, *links])
    assert second.wait_for(10)
    assert enb.wait_for(len(enb.heard) + 10)
    assert np.array_equal(np.concatenate(enb.heard[-2:]).real, np.zeros(2 * 1920))
