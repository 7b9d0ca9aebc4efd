"""The radio that stands for a USRP where the air is a program."""

import threading
from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.live import Role, SocketRadio, parse_endpoint
from phyemu.live.zeromq import ZmqSink, ZmqSource
from phyemu.radio import StreamEvent, TransmitEnd

pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

Samples = NDArray[np.complex64]
RATE_HZ = 1e6


class Air:
    """The other side: what the radio sends comes here, what it receives goes out from here."""

    def __init__(self, free_port: Callable[[], int]) -> None:
        self._ports = free_port(), free_port()
        self._open: list[ZmqSource | ZmqSink] = []
        self.source = self._source()
        self.sink = self._sink()

    def _source(self) -> ZmqSource:
        end = ZmqSource(parse_endpoint(f"zmq+pull://:{self._ports[0]}?bind", Role.SOURCE))
        self._open.append(end)
        return end

    def _sink(self) -> ZmqSink:
        end = ZmqSink(parse_endpoint(f"zmq+push://:{self._ports[1]}", Role.SINK))
        self._open.append(end)
        return end

    def radio(self, *, stall_s: float = 5.0) -> SocketRadio:
        return SocketRadio(
            send=f"zmq+push://:{self._ports[0]}?connect",
            receive=f"zmq+pull://:{self._ports[1]}",
            sample_rate_hz=RATE_HZ,
            stall_s=stall_s,
        )

    def hear(self, count: int) -> Samples:
        """Return the next samples that the radio sends."""
        parts, left = [], count
        while left > 0:
            part = self.source.receive(5.0)
            assert part is not None
            assert len(part), f"{left} of {count} samples never came"
            parts.append(part)
            left -= len(part)
        return np.concatenate(parts)

    def say(self, iq: Samples) -> None:
        """Send samples to the radio, which is there."""
        while len(iq):
            iq = iq[self.sink.send(iq, 5.0) :]

    def rest(self) -> int:
        """Return how many samples come until the burst's connection is closed."""
        count = 0
        for _ in range(2000):
            gone = not self.source.num_peers()
            part = self.source.receive(0.0 if gone else 0.01)
            assert part is not None
            count += len(part)
            if gone and not len(part):
                return count
        pytest.fail("the burst's connection stays open")

    def close(self, linger_s: float = 0.0) -> None:
        self.source.close()
        self.sink.close(linger_s)


@pytest.fixture
def air(free_port: Callable[[], int]) -> Iterator[Air]:
    """Return the other side."""
    air = Air(free_port)
    yield air
    air.close()


def first_block(radio: SocketRadio, count: int) -> Samples:
    """Receive until samples come; the socket may take a moment to connect."""
    for _ in range(10):
        block = radio.receive(count)
        if block.num_samples:
            return block.iq[0]
    raise TimeoutError


def test_what_it_sends_arrives_and_what_arrives_it_receives(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        transmission = radio.transmit(iq)
        assert np.array_equal(air.hear(len(iq)), iq)
        report = transmission.wait(5.0)
        assert report is not None
        assert (report.num_samples, report.ended_by) == (len(iq), TransmitEnd.COMPLETE)
        assert report.acknowledged
        assert not report.went_wrong
        talk = threading.Thread(target=air.say, args=(iq,))
        talk.start()
        block = radio.receive(len(iq))
        talk.join()
        assert np.array_equal(block.iq[0], iq)
        assert (block.sample_index, block.lost_samples, block.event) == (0, 0, None)


def test_transmissions_that_follow_each_other_are_one_burst_timed_by_samples(
    air: Air, iq: Samples
) -> None:
    with air.radio() as radio:
        gate = threading.Event()

        def blocks() -> Iterator[Samples]:
            yield iq[:100]
            gate.wait(5.0)
            yield iq[100:200]

        first = radio.transmit(blocks(), delay_s=1e-3)
        second = radio.transmit(iq[:50], delay_s=2e-3)
        third = radio.transmit(iq[:10], at_s=5e-3)
        gate.set()
        heard = air.hear(5010)
        expected = np.zeros(5010, np.complex64)
        expected[1000:1200], expected[3200:3250], expected[5000:] = iq[:200], iq[:50], iq[:10]
        assert np.array_equal(heard, expected)
        starts = [item.wait(5.0).start_time_s for item in (first, second, third)]  # type: ignore[union-attr]
        assert starts == [1e-3, 3.2e-3, 5e-3]
        assert radio.time_s == 5010 / RATE_HZ
        # The end of the burst can be told from a pause.
        assert air.rest() == 0
        with pytest.raises(ConfigError, match="too soon"):
            radio.transmit(iq, at_s=1e-3)


def test_a_transmission_behind_a_longer_one_can_be_late(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        gate = threading.Event()

        def blocks() -> Iterator[Samples]:
            gate.wait(5.0)
            yield iq[:2000]

        radio.transmit(blocks())
        late = radio.transmit(iq[:10], at_s=1e-3)
        gate.set()
        air.hear(2000)
        report = late.wait(5.0)
        assert report is not None
        assert (report.ended_by, report.late, report.num_samples) == (TransmitEnd.LATE, 1, 0)


def test_samples_beyond_full_scale_are_limited_and_counted(air: Air) -> None:
    sent = np.array([0.5, 2.0 - 3.0j, 1.0j, -1.5], np.complex64)
    with air.radio() as radio:
        transmission = radio.transmit(sent)
        assert np.array_equal(air.hear(4), np.array([0.5, 1 - 1j, 1j, -1], np.complex64))
        report = transmission.wait(5.0)
        assert report is not None
        assert report.clipped == 2
        assert sent[1] == 2.0 - 3.0j


def test_a_slow_air_holds_the_transmitter_up_and_nothing_is_lost(air: Air) -> None:
    # Several times what all queues and the system's buffers of a loopback connection can hold.
    count, block = 6, 1 << 20
    made = []

    def blocks() -> Iterator[Samples]:
        for index in range(count):
            made.append(index)
            yield np.full(block, 1 / (1 + index), np.complex64)

    with air.radio() as radio:
        transmission = radio.transmit(blocks())
        first = air.hear(1)
        assert transmission.wait(0.3) is None
        assert len(made) < count
        rest = air.hear(count * block - len(first))
        heard = np.concatenate([first, rest])
        assert np.array_equal(heard[::block].real, (1 / np.arange(1, count + 1)).astype(np.float32))
        report = transmission.wait(5.0)
        assert report is not None
        assert report.num_samples == count * block == len(heard)


def test_a_slow_receiver_holds_the_air_up(air: Air) -> None:
    iq = np.zeros(1 << 16, np.complex64)
    with air.radio() as radio:
        with_event = radio.receive(10)
        assert with_event.event is StreamEvent.TIMEOUT
        sent = 0
        while count := air.sink.send(iq, 0.2):
            sent += count
        received = 0
        while received < sent:
            block = radio.receive(1 << 18)
            assert block.sample_index == received
            received += block.num_samples
        assert received == sent


def test_endless_transmission_is_stopped(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        transmission = radio.transmit(repeat(iq))
        heard = len(air.hear(1))
        transmission.stop()
        # What is on its way still arrives.
        heard += air.rest()
        report = transmission.wait(5.0)
        assert report is not None
        assert report.ended_by is TransmitEnd.STOPPED
        assert not report.acknowledged
        assert heard == report.num_samples


def test_it_is_tuned_only_when_nothing_is_on_its_way_out(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        transmission = radio.transmit(repeat(iq))
        air.hear(1)
        with pytest.raises(RadioError, match="still transmits"):
            radio.retune(2e9)
        transmission.stop()
        air.rest()
        transmission.wait(5.0)
        radio.retune(2e9)
        assert radio.center_frequency_hz == 2e9


def test_an_air_that_vanishes_is_a_usrp_that_vanishes(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        transmission = radio.transmit(repeat(iq))
        air.hear(1)
        assert radio.receive(10).event is StreamEvent.TIMEOUT
        air.say(iq[:100])
        air.close(linger_s=5.0)
        # What was sent before is received, then the stream has ended, for good.
        got = first_block(radio, 1000)
        assert np.array_equal(got, iq[:100])
        for _ in range(2):
            block = radio.receive(10)
            assert (block.event, block.num_samples) == (StreamEvent.DISCONNECTED, 0)
            assert block.event.ends_stream
        report = transmission.wait(5.0)
        assert report is not None
        assert report.ended_by is TransmitEnd.DISCONNECTED
        after = radio.transmit(iq).wait(5.0)
        assert after is not None
        assert (after.ended_by, after.num_samples) == (TransmitEnd.DISCONNECTED, 0)


def test_nobody_there_is_silence_for_the_receiver_and_a_stall_for_the_transmitter(
    free_port: Callable[[], int], iq: Samples
) -> None:
    with SocketRadio(
        send=f"zmq+push://:{free_port()}?connect",
        receive=f"zmq+pull://:{free_port()}",
        sample_rate_hz=RATE_HZ,
        stall_s=0.1,
    ) as radio:
        report = radio.transmit(iq).wait(5.0)
        assert report is not None
        assert (report.ended_by, report.num_samples) == (TransmitEnd.STALLED, 0)
        assert radio.receive(10).event is StreamEvent.TIMEOUT


def test_an_air_that_takes_nothing_is_a_stall(air: Air) -> None:
    with air.radio(stall_s=0.2) as radio:
        report = radio.transmit(repeat(np.zeros(1 << 18, np.complex64))).wait(10.0)
        assert report is not None
        assert report.ended_by is TransmitEnd.STALLED
        assert report.num_samples > 0


def test_the_next_radio_of_a_restarted_worker_finds_the_air_again(air: Air, iq: Samples) -> None:
    for start in (0, 100):
        with air.radio() as radio:
            radio.transmit(iq[start : start + 100]).wait(5.0)
            assert np.array_equal(air.hear(100), iq[start : start + 100])
            talk = threading.Thread(target=air.say, args=(iq[start : start + 100],))
            talk.start()
            got = first_block(radio, 100)
            talk.join()
            assert np.array_equal(got, iq[start : start + 100])


@pytest.mark.parametrize("pause", [False, True])
def test_bad_messages_are_a_gap_of_unknown_length(air: Air, iq: Samples, pause: bool) -> None:
    first = threading.Event()

    def talk() -> None:
        air.say(iq[:100])
        if pause:
            first.wait(5.0)
        for part in (np.array([np.nan], np.complex64), iq[100:200]):
            air.say(part)

    with air.radio() as radio:
        thread = threading.Thread(target=talk)
        thread.start()
        blocks = []
        while sum(block.num_samples for block in blocks) < 200:
            # More than there is, so that each call looks for what follows its last sample.
            blocks.append(radio.receive(300))
            if blocks[-1].num_samples:
                first.set()
        thread.join()
        blocks = [block for block in blocks if block.num_samples]
        assert np.array_equal(np.concatenate([block.iq[0] for block in blocks]), iq[:200])
        broken = [block for block in blocks if block.event is StreamEvent.BAD_PACKET]
        assert len(broken) == 1
        assert broken[0].lost_samples is None
        assert "not finite" in broken[0].detail
        if pause:
            assert broken[0].sample_index == 100


def test_closing_ends_both_threads_at_once(air: Air, iq: Samples) -> None:
    radio = air.radio()
    transmission = radio.transmit(repeat(iq))
    air.hear(1)
    seen: list[object] = []

    def receive() -> None:
        try:
            while True:
                seen.append(radio.receive(1000).event)
        except RadioError as exc:
            seen.append(str(exc))

    thread = threading.Thread(target=receive)
    thread.start()
    radio.close()
    thread.join(5.0)
    assert not thread.is_alive()
    assert "closed" in str(seen[-1])
    report = transmission.wait(5.0)
    assert report is not None
    assert report.ended_by is TransmitEnd.STOPPED


def test_the_source_s_error_is_told_by_wait(air: Air, iq: Samples) -> None:
    with air.radio() as radio:
        transmission = radio.transmit(iter([iq, np.full(3, np.nan, np.complex64)]))
        air.hear(len(iq))
        with pytest.raises(SignalError, match="NaN"):
            transmission.wait(5.0)
        # The next one goes out.
        radio.transmit(iq[:10])
        assert np.array_equal(air.hear(10), iq[:10])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"send": "zmq+pub://:5"}, "zmq+push://"),
        ({"receive": "udp://:5"}, "zmq+pull://"),
        ({"sample_rate_hz": 0.0}, "sample_rate_hz"),
        ({"stall_s": float("nan")}, "stall_s"),
    ],
)
def test_settings_that_make_no_radio_are_refused(settings: dict[str, object], message: str) -> None:
    good = {"send": "zmq+push://:5", "receive": "zmq+pull://:6", "sample_rate_hz": 1e6}
    with pytest.raises(ConfigError, match=message.replace("+", r"\+")):
        SocketRadio(**(good | settings))  # type: ignore[arg-type]


def test_a_delay_must_not_be_negative(air: Air, iq: Samples) -> None:
    with air.radio() as radio, pytest.raises(ConfigError, match="delay_s"):
        radio.transmit(iq, delay_s=-1.0)
