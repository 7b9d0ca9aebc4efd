"""The loop, with streams that have no transport."""

import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.channel.network_settings import LinkSettings, NetworkSettings
from phyemu.errors import ConfigError, TransportError
from phyemu.live import (
    InputCounts,
    LiveEnd,
    LiveNetwork,
    LiveStatistics,
    ScheduledChannel,
    parse_schedule,
    run_live,
)
from phyemu.live.block_queue import LiveBlock
from phyemu.live.ends import OutputEnd, StreamState
from phyemu.live.statistics import LiveMeter

Samples = NDArray[np.complex64]
RATE_HZ = 20e6


class FakeSource:
    """Brings given blocks, and notes how many were asked for; then ends, or is silent."""

    def __init__(self, blocks: Iterable[Samples], *, ends: bool = True) -> None:
        self.counts = InputCounts()
        self._blocks = iter(blocks)
        self._ends = ends
        self.num_given = 0

    def receive(self, timeout_s: float) -> Samples | None:
        block = next(self._blocks, None)
        if block is None:
            if not self._ends:
                time.sleep(timeout_s)
            return None if self._ends else np.zeros(0, np.complex64)
        self.num_given += len(block)
        return block

    def close(self) -> None:
        """Nothing to close."""


class FakeSink:
    """Keeps what it takes: `most` samples at once, and nothing at all while `is_stuck`."""

    def __init__(self, most: int = 1 << 30, *, is_stuck: bool = False) -> None:
        self.num_clipped = 0
        self.num_ignored = 0
        self.parts: list[Samples] = []
        self.gaps: list[tuple[int, int]] = []
        self.most = most
        self.is_stuck = is_stuck

    @property
    def iq(self) -> Samples:
        return np.concatenate([np.zeros(0, np.complex64), *self.parts])

    def send(self, iq: Samples, timeout_s: float) -> int:
        if self.is_stuck:
            time.sleep(timeout_s)
            return 0
        self.parts.append(iq[: self.most])
        return len(self.parts[-1])

    def mark_gap(self, lost_messages: int) -> None:
        self.gaps.append((sum(map(len, self.parts)), lost_messages))

    def finish(self, timeout_s: float) -> bool:
        return not self.is_stuck

    def close(self) -> None:
        """Nothing to close."""


def channel(spec: str = "tgn-d:15") -> ScheduledChannel:
    return ScheduledChannel(
        parse_schedule(spec),
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=0.02,
        seed=3,
    )


def run(
    source: FakeSource, sink: FakeSink, spec: str = "tgn-d:15", **settings: Any
) -> LiveStatistics:
    return run_live(
        source, channel(spec), sink, sample_rate_hz=RATE_HZ, reference_power=0.02, **settings
    )


def expected(iq: Samples, spec: str = "tgn-d:15") -> Samples:
    whole = channel(spec)
    return np.concatenate([whole.process(iq), whole.flush()])


@settings(max_examples=10)
@given(
    cuts=st.lists(st.integers(0, 4000), max_size=10),
    most=st.sampled_from([1, 7, 100, 1 << 20]),
)
def test_what_goes_out_depends_on_no_division_into_blocks(cuts: list[int], most: int) -> None:
    iq = np.exp(0.1j * np.arange(4000)).astype(np.complex64)
    sink = FakeSink(most if most > 1 or len(cuts) < 3 else 50)
    result = run(FakeSource([iq[a:b] for a, b in pairwise([0, *sorted(cuts), 4000])]), sink)
    assert np.array_equal(sink.iq, expected(iq))
    assert (result.num_received, result.num_sent, result.unsent_samples) == (4000, 4000, 0)
    assert result.ended_by is LiveEnd.STREAM_END
    assert result.input_power == pytest.approx(1.0)


def test_a_block_larger_than_any_queue_passes() -> None:
    iq = np.full(600_000, 0.5, np.complex64)
    sink = FakeSink()
    run(FakeSource([iq]), sink, "awgn:inf")
    assert np.array_equal(sink.iq, iq)


def test_a_sink_that_is_stuck_holds_the_source_up_and_memory_stays_bounded() -> None:
    def endless() -> Iterator[Samples]:
        while True:
            yield np.zeros(1 << 15, np.complex64)

    source, sink = FakeSource(endless()), FakeSink(is_stuck=True)
    held: list[int] = []

    def interrupt(_statistics: LiveStatistics) -> None:
        # Once nothing moves any more: Ctrl-C, and as the sink stays stuck, another.
        held.append(source.num_given)
        if held[-2:] == [held[-1]] * 2:
            raise KeyboardInterrupt

    result = run(source, sink, "awgn:9", grace_s=60.0, report=interrupt, report_interval_s=0.2)
    assert 1 << 18 < held[-1] <= 2 * (1 << 18) + 3 * (1 << 17)
    assert result.ended_by is LiveEnd.INTERRUPTED
    # All that the source has given, whichever queue it waits in.
    assert (result.num_sent, result.unsent_samples) == (0, result.num_received)
    assert result.num_received > 1 << 18


def test_gaps_of_several_inputs_are_marked_where_they_are_for_those_who_hear_them() -> None:
    state, sink = StreamState(), FakeSink()
    output = OutputEnd(sink, LiveMeter(RATE_HZ, 1.0), state, pacer=None, piece_samples=1 << 17)
    output.gaps = ([(5000, 1)], [(1000, 2), (5000, 3)])
    output.queue.put(LiveBlock(np.zeros(8000, np.complex64), 0.0), 1.0)
    output.queue.close()
    output.run()
    assert sink.gaps == [(1000, 2), (5000, 1), (5000, 3)]
    settings = NetworkSettings(
        links=(
            LinkSettings(transmitter="a", receiver="x", channel="awgn:20"),
            LinkSettings(transmitter="b", receiver="x", channel="awgn:20"),
            LinkSettings(transmitter="b", receiver="y", channel="awgn:20"),
        )
    )
    network = LiveNetwork(
        settings,
        transmitters=["a", "b"],
        receivers=["x", "y"],
        sample_rate_hz=RATE_HZ,
        symbol_rate_hz=RATE_HZ,
        reference_power=1.0,
        seed=1,
    )
    assert set(network.heard_by("x")) == {"a", "b"}
    assert set(network.heard_by("y")) == {"b"}


def test_ctrl_c_passes_on_what_came_in_and_the_channels_tail(iq: Samples) -> None:
    sink = FakeSink()

    def interrupt(_statistics: LiveStatistics) -> None:
        raise KeyboardInterrupt

    result = run(FakeSource([iq], ends=False), sink, report=interrupt, report_interval_s=0.1)
    assert result.ended_by is LiveEnd.INTERRUPTED
    assert np.array_equal(sink.iq, expected(iq))


def test_a_duration_takes_so_many_samples_and_not_one_more(iq: Samples) -> None:
    sink = FakeSink()
    result = run(FakeSource([iq, iq], ends=False), sink, duration_s=35_000 / RATE_HZ)
    assert result.ended_by is LiveEnd.COMPLETE
    assert np.array_equal(sink.iq, expected(np.concatenate([iq, iq[:5000]])))


def test_silence_ends_the_stream_when_asked_to(iq: Samples) -> None:
    sink = FakeSink()
    result = run(FakeSource([iq], ends=False), sink, idle_s=0.1)
    assert result.ended_by is LiveEnd.IDLE
    assert np.array_equal(sink.iq, expected(iq))


def test_kept_latency_lets_a_sample_leave_for_each_that_comes_in(iq: Samples) -> None:
    sink = FakeSink()
    left_behind: list[int] = []

    class Watching(FakeSource):
        def receive(self, timeout_s: float) -> Samples | None:
            # Like a peer in lock-step: nothing more before everything so far has come back.
            deadline = time.monotonic() + 5
            while len(sink.iq) < self.num_given and time.monotonic() < deadline:
                time.sleep(0.001)
            left_behind.append(self.num_given - len(sink.iq))
            return super().receive(timeout_s)

    spec = "0s=tgn-d:15,500ms=awgn:20"
    lead = channel(spec).latency_samples
    run(Watching([iq[:100], iq[100:101], iq[101:]]), sink, spec, keep_latency=True)
    assert lead > 0
    assert max(left_behind) <= 0
    assert np.array_equal(sink.iq[lead:], expected(iq, spec))
    assert not sink.iq[:lead].any()


def test_paced_samples_leave_in_real_time() -> None:
    iq = np.zeros(2_000_000, np.complex64)
    begun = time.monotonic()
    result = run(FakeSource([iq]), FakeSink(), "awgn:inf", pace=True)
    # 0.1 s of samples, of which the last piece of 2 ms leaves when its first sample is due.
    assert time.monotonic() - begun >= 0.098
    assert result.num_sent == 2_000_000


def test_a_sink_that_is_gone_ends_the_stream(iq: Samples) -> None:
    class Gone(FakeSink):
        def send(self, iq: Samples, timeout_s: float) -> int:
            raise BrokenPipeError

    assert run(FakeSource([iq], ends=False), Gone()).ended_by is LiveEnd.CLOSED


@pytest.mark.parametrize("end", ["source", "sink"])
def test_a_transport_that_fails_ends_the_stream_with_its_error(iq: Samples, end: str) -> None:
    class Failing(FakeSource):
        def receive(self, timeout_s: float) -> Samples | None:
            raise TransportError("the cable is cut")

    class Refusing(FakeSink):
        def send(self, iq: Samples, timeout_s: float) -> int:
            raise TransportError("the cable is cut")

    source = Failing([]) if end == "source" else FakeSource([iq], ends=False)
    with pytest.raises(TransportError, match="cable"):
        run(source, Refusing() if end == "sink" else FakeSink())


def test_statistics_say_what_was_dropped_and_what_cannot_be_known(iq: Samples) -> None:
    source = FakeSource([iq])
    source.counts.drop("empty")
    source.counts.drop("too large", 7)
    result = run(source, FakeSink())
    assert "2 messages dropped (1 empty, 1 too large; 7 samples)" in result.line()
    assert "lost" not in result.line()
    assert result.to_dict()["dropped"] == {"empty": 1, "too large": 1}
    assert result.to_dict()["reference_power_dbfs"] == pytest.approx(-16.99, abs=0.01)
    source = FakeSource([iq])
    source.counts.lost_messages = None
    assert "lost ones not visible" in run(source, FakeSink()).line()


@pytest.mark.parametrize("keep_latency", [False, True])
def test_the_sink_is_told_between_which_samples_messages_are_missing(
    iq: Samples, keep_latency: bool
) -> None:
    class Counting(FakeSource):
        losses = iter([2, 2, 5, 5, 6])

        def receive(self, timeout_s: float) -> Samples | None:
            self.counts.lost_messages = next(self.losses, 6)
            return super().receive(timeout_s)

    sink = FakeSink(most=300)
    parts = [iq[:700], iq[700:900], iq[900:1000], iq[1000:5000], iq[5000:]]
    run(Counting(parts), sink, keep_latency=keep_latency)
    lead = channel().latency_samples if keep_latency else 0
    # What is missing before the first sample is no gap in what there is.
    assert sink.gaps == [(900 + lead, 3), (5000 + lead, 1)]
    assert np.array_equal(sink.iq[lead:], expected(iq))


@pytest.mark.parametrize("value", [0.0, float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["duration_s", "idle_s"])
def test_times_are_positive_and_finite(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be positive and finite, got {value}"):
        run(FakeSource([]), FakeSink(), **{name: value})
