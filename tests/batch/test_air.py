"""The air of a rehearsal: who sends is heard, and nobody holds it up for ever."""

import dataclasses
import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.batch import air_server
from phyemu.batch.air import Air, AirSettings, AirStatistics
from phyemu.batch.air_process import AirProcess
from phyemu.colosseum import MchemEmulator, load_scenario
from phyemu.errors import ConfigError
from phyemu.library import find_in_library
from phyemu.live import LiveNetwork, SocketRadio
from phyemu.radio import StreamEvent, TransmitEnd
from phyemu.toml_config import to_table

zmq: Any = pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

Samples = NDArray[np.complex64]
RATE_HZ = 1e6
# Every path of 51005 is one tap without delay, 5 dB down.
GAIN = 10 ** (-5 / 20)


@pytest.fixture
def iq() -> Samples:
    """Return 30 000 samples of noise, -17 dBFS."""
    rng = np.random.default_rng(20260101)
    parts = rng.standard_normal((30_000, 2)) * 0.1
    return (parts[:, 0] + 1j * parts[:, 1]).astype(np.complex64)


def settings(scenario: str = "51005", **changes: Any) -> AirSettings:
    return AirSettings(
        **{
            "scenario": str(find_in_library(scenario, "colosseum")),
            "sample_rate_hz": RATE_HZ,
            "transmitters": (1,),
            "receivers": (2,),
            "noise_dbfs": -np.inf,
            **changes,
        }
    )


class Playing:
    """An air that plays in a thread."""

    def __init__(self, air: Air) -> None:
        self.air = air
        self.statistics: AirStatistics | None = None
        self.position_s = 0.0
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        self.statistics = self.air.play(self._note)

    def _note(self, statistics: AirStatistics) -> None:
        with self._moved:
            self.position_s = statistics.position_s
            self._moved.notify_all()

    def await_position(self, position_s: float) -> None:
        with self._moved:
            assert self._moved.wait_for(lambda: self.position_s >= position_s, 60.0)

    def end(self) -> AirStatistics:
        self.air.end()
        self._thread.join(60.0)
        assert self.statistics is not None
        return self.statistics

    def radio(self, node: int) -> SocketRadio:
        ports = self.air.ports()
        send, receive = (ports[way].get(str(node), 9) for way in ("send", "receive"))
        return SocketRadio(
            send=f"zmq+push://127.0.0.1:{send}?connect",
            receive=f"zmq+pull://127.0.0.1:{receive}",
            sample_rate_hz=RATE_HZ,
        )


@pytest.fixture
def play() -> Iterator[Callable[..., Playing]]:
    """Return a function that starts an air."""
    playing: list[Playing] = []

    def start(**changes: Any) -> Playing:
        playing.append(Playing(Air(settings(**changes))))
        return playing[-1]

    yield start
    for one in playing:
        one.end()
        one.air.close()


def heard(radio: SocketRadio, num_samples: int) -> Samples:
    """Return the next samples; the socket may take a moment to connect."""
    parts, left = [], num_samples
    for _ in range(50):
        block = radio.receive(left)
        assert block.event in (None, StreamEvent.TIMEOUT)
        parts.append(block.iq[0])
        left -= block.num_samples
        if not left:
            return np.concatenate(parts)
    raise TimeoutError


def after_silence(radio: SocketRadio, num_samples: int) -> Samples:
    """Return so many samples, beginning with the first that is not silence."""
    for _ in range(3000):
        block = heard(radio, 1000)
        begin = np.flatnonzero(np.abs(block) > 1e-3)
        if begin.size:
            block = block[begin[0] :]
            left = num_samples - len(block)
            return np.concatenate([block, heard(radio, left)]) if left > 0 else block
    raise TimeoutError


@contextmanager
def listening(radio: SocketRadio) -> Iterator[list[int]]:
    """Receive in a thread; the list grows with the samples of each block."""
    counts: list[int] = []
    ended = threading.Event()

    def receive() -> None:
        while not ended.is_set():
            counts.append(radio.receive(1000).num_samples)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join(30.0)
    assert not thread.is_alive()


def test_every_receiver_hears_what_is_sent_through_its_link(
    play: Callable[..., Playing], iq: Samples
) -> None:
    playing = play(receivers=(2, 3))
    with playing.radio(1) as sender, playing.radio(2) as first, playing.radio(3) as second:
        first.receive(1)
        second.receive(1)
        sender.transmit(iq)
        for radio in (first, second):
            got = after_silence(radio, len(iq))
            # The first sample may be below the threshold of silence.
            skipped = int(np.flatnonzero(np.abs(iq) * GAIN > 1e-3)[0])
            expected = np.concatenate([iq[skipped:], np.zeros(skipped, np.complex64)]) * GAIN
            # The filter that places taps between samples has a ripple of some 1e-4.
            np.testing.assert_allclose(got, expected, atol=1e-3)
        # Behind the burst there is silence again, in which nobody waits for anybody.
        np.testing.assert_allclose(heard(first, 5000), 0, atol=1e-3)
    statistics = playing.end()
    assert statistics.sent == {"1": len(iq)}
    assert statistics.lost == {"2": 0, "3": 0}
    assert statistics.hung == {"1": 0}


def test_a_street_that_fades_is_the_same_sample_by_sample_as_offline(iq: Samples) -> None:
    chosen = settings("urban-80db", noise_dbfs=-60.0, seed=3)
    air = Air(chosen)
    sent = np.tile(iq, 10)
    ports = air.ports()
    both = SocketRadio(
        send=f"zmq+push://127.0.0.1:{ports['send']['1']}?connect",
        receive=f"zmq+pull://127.0.0.1:{ports['receive']['2']}",
        sample_rate_hz=RATE_HZ,
    )
    with closing(air), both as radio:
        # It listens from the scenario's first sample on.
        assert radio.receive(1).event is StreamEvent.TIMEOUT
        playing = Playing(air)
        before = heard(radio, 20_000)
        radio.transmit(sent)
        got = np.concatenate([before, heard(radio, 1_500_000)])
        playing.end()
    # Silence comes in blocks, so that the burst begins at a multiple of one.
    level = np.abs(got).reshape(-1, 1000).max(axis=1)
    begin = int(np.flatnonzero(level > 0.02)[0]) * 1000
    begin = min((begin - 1000, begin, begin + 1000), key=lambda start: start % 5000)
    whole = np.zeros(len(got), np.complex64)
    whole[begin : begin + len(sent)] = sent[: len(whole) - begin]
    twin = MchemEmulator.of_scenario(load_scenario(Path(chosen.scenario)), noise_dbfs=-60.0)
    network = LiveNetwork(
        twin.network,
        transmitters=["1"],
        receivers=["2"],
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=1.0,
        seed=3,
        load=twin.load,
    )
    expected = network.process({"1": whole})["2"]
    np.testing.assert_array_equal(got[: len(expected)], expected[: len(got)])


def test_two_senders_are_heard_at_once(play: Callable[..., Playing]) -> None:
    playing = play(transmitters=(1, 3))
    with playing.radio(1) as first, playing.radio(3) as second, playing.radio(2) as receiver:
        receiver.receive(1)
        transmissions = [
            first.transmit(repeat(np.full(1000, 0.5, np.complex64))),
            second.transmit(repeat(np.full(1000, 0.25j, np.complex64))),
        ]
        both = np.complex64(GAIN * (0.5 + 0.25j))
        for _ in range(2000):
            if abs(heard(receiver, 1000)[-1] - both) < 1e-3:
                break
        else:
            pytest.fail("both are never heard together")
        for transmission in transmissions:
            transmission.stop()


def test_time_goes_on_in_silence_and_no_faster_than_it_is(play: Callable[..., Playing]) -> None:
    playing = play()
    playing.await_position(0.2)
    statistics = playing.end()
    assert 0.2 <= statistics.position_s <= statistics.elapsed_s
    assert statistics.real_time_ratio <= 1
    assert statistics.unheard["2"] == round(statistics.position_s * RATE_HZ)


def test_a_transmitter_that_dies_is_silent_and_comes_back(play: Callable[..., Playing]) -> None:
    playing = play()
    port = playing.air.ports()["send"]["1"]
    with playing.radio(2) as receiver, listening(receiver) as counts:
        context = zmq.Context()
        dying = context.socket(zmq.PUSH)
        dying.connect(f"tcp://127.0.0.1:{port}")
        dying.send(np.ones(1000, np.complex64).tobytes())
        context.destroy(linger=1000)
        playing.await_position(playing.position_s + 0.3)
        with playing.radio(1) as sender:
            report = sender.transmit(np.ones(1000, np.complex64)).wait(5.0)
            assert report is not None
            assert report.ended_by is TransmitEnd.COMPLETE
        playing.await_position(playing.position_s + 0.3)
        assert sum(counts) > 0
    statistics = playing.end()
    assert statistics.sent == {"1": 2000}
    assert statistics.hung == {"1": 0}
    assert statistics.lost == {"2": 0}


def test_a_transmitter_that_hangs_is_waited_for_only_so_long(play: Callable[..., Playing]) -> None:
    playing = play(patience_s=0.3)
    gate = threading.Event()

    def blocks() -> Iterator[Samples]:
        yield np.ones(1000, np.complex64)
        gate.wait(10.0)
        yield np.ones(1000, np.complex64)

    with playing.radio(2) as receiver, playing.radio(1) as sender:
        with listening(receiver):
            transmission = sender.transmit(blocks())
            playing.await_position(1.0)
            assert not gate.is_set()
            gate.set()
            report = transmission.wait(5.0)
            assert report is not None
            assert report.num_samples == 2000
            playing.await_position(playing.position_s + 0.3)
    statistics = playing.end()
    assert statistics.hung == {"1": 1}
    assert statistics.sent == {"1": 2000}


def test_a_slow_receiver_is_waited_for_and_loses_nothing(play: Callable[..., Playing]) -> None:
    playing = play()
    with playing.radio(2) as receiver, playing.radio(1) as sender:
        receiver.receive(1)
        numbers = count(1)

        def blocks() -> Iterator[Samples]:
            while True:
                yield np.full(1000, (next(numbers) % 1000) / 1000, np.complex64)

        sender.transmit(blocks())
        after_silence(receiver, 1)
        pause = threading.Event()
        levels = []
        for _ in range(20):
            # Slower than real time: 50 ms of samples in more than 100 ms.
            pause.wait(0.1)
            levels.append(np.abs(heard(receiver, 50_000)) / GAIN)
        middle = np.round(np.concatenate(levels) * 1000)
        steps = np.diff(middle[np.flatnonzero(np.diff(middle) == 0)])
        # Neighbouring blocks differ by one, but where the count starts over.
        assert set(np.unique(steps)) <= {0.0, 1.0, -999.0}
    assert playing.end().lost == {"2": 0}


def test_a_receiver_that_hangs_is_waited_for_only_so_long(play: Callable[..., Playing]) -> None:
    playing = play(receivers=(2, 3), patience_s=0.3)
    with playing.radio(2) as hanging, playing.radio(3) as other:
        hanging.receive(1)
        with listening(other) as counts:
            playing.await_position(3.0)
            taken = sum(counts)
            assert taken > 2e6
        # Back again, it hears what is on its way, and then the present.
        heard(hanging, 1000)
    statistics = playing.end()
    assert statistics.lost["2"] > 0
    assert statistics.lost["3"] == 0


def test_a_receiver_that_hangs_does_not_hold_the_end_up(play: Callable[..., Playing]) -> None:
    playing = play()  # whose patience is longer than this test's
    with playing.radio(2) as hanging:
        hanging.receive(1)
        playing.await_position(0.1)
        assert playing.end().lost == {"2": 0}


def test_a_receiver_that_has_gone_holds_nobody_up(play: Callable[..., Playing]) -> None:
    playing = play(receivers=(2, 3))
    with playing.radio(3) as other:
        with playing.radio(2) as gone:
            gone.receive(1)
            other.receive(1)
        with listening(other) as counts:
            playing.await_position(playing.position_s + 0.5)
            assert sum(counts) > 0
    statistics = playing.end()
    assert statistics.lost == {"2": 0, "3": 0}
    assert statistics.unheard["2"] > 0


def test_who_hears_nobody_hears_its_own_noise(play: Callable[..., Playing]) -> None:
    # The link 4>5 of 90004 is below the emulator's range.
    playing = play(scenario="90004", transmitters=(4,), receivers=(5,), noise_dbfs=-40.0)
    with playing.radio(4) as sender, playing.radio(5) as receiver:
        receiver.receive(1)
        sender.transmit(repeat(np.ones(1000, np.complex64)))
        noise = heard(receiver, 100_000)
    # The power of n complex samples of noise deviates by 1/sqrt(n); allow five of these.
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(1e-4, rel=5 / 100_000**0.5)


def test_nobody_at_all_is_an_air_all_the_same(play: Callable[..., Playing]) -> None:
    playing = play(transmitters=(), receivers=())
    playing.await_position(0.1)
    statistics = playing.end()
    assert (statistics.sent, statistics.taken) == ({}, {})


def test_a_node_that_the_scenario_lacks_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nodes 1\.\.20, not 21"):
        Air(settings(receivers=(21,)))
    with pytest.raises(ConfigError, match="patience_s"):
        settings(patience_s=0.0)
    with pytest.raises(ConfigError, match="noise_dbfs"):
        settings(noise_dbfs=np.nan)


def test_the_process_plays_a_scenario_from_its_start_each_time() -> None:
    with AirProcess(settings()) as air:
        assert air.ports.keys() == {"send", "receive"}
        for _ in range(2):
            air.start()
            assert air.statistics() is None or air.statistics().position_s < 0.2  # type: ignore[union-attr]
            with SocketRadio(
                send="zmq+push://:9?connect",
                receive=f"zmq+pull://:{air.ports['receive']['2']}",
                sample_rate_hz=RATE_HZ,
            ) as radio:
                np.testing.assert_array_equal(heard(radio, 200_000), 0)
            statistics = air.end()
            assert 0.2 <= statistics.position_s
            assert statistics.taken["2"] >= 200_000


def test_an_air_that_cannot_play_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = json.dumps(to_table(dataclasses.replace(settings(), scenario="nothing.json")))
    monkeypatch.setattr("sys.stdin", io.StringIO(lines + "\n"))
    monkeypatch.setattr("signal.signal", lambda number, handler: None)
    with pytest.raises(SystemExit, match="1"):
        air_server.main()
    said = json.loads(capsys.readouterr().out)
    assert said["event"] == "failed"
    assert "nothing.json" in said["reason"]
