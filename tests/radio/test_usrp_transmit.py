"""`UsrpRadio`'s transmitter against a driver that takes what its script says."""

import queue
import threading
import time
from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from phyemu.errors import ConfigError, RadioError, SignalError
from phyemu.radio import TransmitEnd, TransmitReport, UsrpConfig, UsrpPort, UsrpRadio
from phyemu.radio import usrp_transmit as module
from phyemu.radio.usrp_transmit import UsrpTransmission


def open_radio(uhd: Any, **values: Any) -> UsrpRadio:
    return UsrpRadio(
        UsrpConfig(**({"sample_rate_hz": 1e6, "center_frequency_hz": 2.4e9} | values)), uhd=uhd
    )


def now(uhd: Any, seconds: float) -> None:
    """Set the device's clock."""
    uhd.clock_offset += round((seconds - uhd.now_s) * uhd.rate)


def finished(transmission: UsrpTransmission) -> TransmitReport:
    report = transmission.wait(20.0)
    assert report is not None
    return report


def test_a_burst_is_timed_complete_and_ends_with_its_last_sample(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    iq = (np.arange(200_000) % 1000 / 2000).astype(np.complex64)
    report = finished(open_radio(uhd).transmit([iq[:70_000], iq[70_000:]], delay_s=0.5))
    assert report.num_samples == 200_000
    assert report.acknowledged
    assert report.ended_by is TransmitEnd.COMPLETE
    assert report.start_time_s == pytest.approx(uhd.now_s + 0.5)
    assert report.line() == "transmitted 200000 samples"
    np.testing.assert_array_equal(
        uhd.sent_words.view(np.int16)[0, ::2], np.rint(iq.real * 32768).astype(np.int16)
    )
    starts, ends, times = zip(*uhd.bursts, strict=True)
    assert starts == (True,) + (False,) * (len(starts) - 1)
    assert ends == (False,) * (len(ends) - 1) + (True,)
    assert times == (pytest.approx(uhd.now_s + 0.5),) + (None,) * (len(times) - 1)


def test_a_burst_starts_at_a_second_of_the_devices_clock(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd)
    now(uhd, 1_700_000_000.25)
    report = finished(radio.transmit(np.zeros(10, np.complex64), at_s=1_700_000_001))
    assert uhd.bursts[0][2] == 1_700_000_001
    assert report.start_time_s == 1_700_000_001
    with pytest.raises(ConfigError, match=r"second 1700000000.2\d* is too soon"):
        radio.transmit(np.zeros(10, np.complex64), at_s=1_700_000_000.2)
    with pytest.raises(ConfigError, match="at_s must be a time"):
        radio.transmit(np.zeros(10, np.complex64), at_s=float("nan"))
    # Behind another burst it may come too late; then nothing is sent.
    now(uhd, 1_700_000_001.5)
    second = radio._schedule(0.0, 1_700_000_002)
    now(uhd, 1_700_000_003.0)
    sent = len(uhd.bursts)
    late = UsrpTransmission(
        uhd,
        radio._tx_streamer,
        [np.zeros((1, 10), np.complex64)],
        sample_rate_hz=1e6,
        num_channels=1,
        start_time=second,
        time_now=radio.time_now,
        index_of=radio.index_of,
        stall_s=1.0,
    )
    report = finished(late)
    assert (report.ended_by, report.num_samples) == (TransmitEnd.LATE, 0)
    assert "had passed" in report.detail
    assert len(uhd.bursts) == sent


def test_samples_wait_in_the_host_until_shortly_before_a_far_start(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD_S", 0.2)
    uhd = fake_uhd.FakeUhd()
    # The device would hold them, take no more, and look dead for longer than it may.
    radio = open_radio(uhd, stall_s=0.05)
    burst = radio.transmit(np.zeros(10, np.complex64), delay_s=3600)
    assert burst.wait(0.1) is None
    assert uhd.sent == []
    burst.stop()
    report = finished(burst)
    assert (report.ended_by, report.num_samples) == (TransmitEnd.STOPPED, 0)
    assert report.line() == "transmitted 0 samples, stopped: before its first sample"
    # It starts when it was to, although it is stopped from looking dead while the device waits.
    uhd.accept.extend([0] * 3)
    burst = radio.transmit(np.zeros(10, np.complex64), delay_s=0.3)
    assert finished(burst).ended_by is TransmitEnd.COMPLETE
    assert uhd.bursts[0][2] == pytest.approx(uhd.now_s + 0.3, abs=1e-3)


def test_two_channels_are_confirmed_by_both(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ACKNOWLEDGE_S", 0.01)
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd, channels=(0,), tx_channels=(0, 1))
    iq = np.array([[0.5, 0.25], [0.125, 1.0]], np.complex64)
    report = finished(radio.transmit(iq))
    assert report.acknowledged
    np.testing.assert_array_equal(
        uhd.sent_words.view(np.int16)[:, ::2], [[16384, 8192], [4096, 32767]]
    )
    rates = {(direction, channel) for direction, what, _, channel in uhd.settings if what == "rate"}
    assert rates == {("rx", 0), ("tx", 0), ("tx", 1)}
    uhd.acknowledges = False
    uhd.accept.extend([1, "burst_ack"])
    report = finished(radio.transmit(iq))
    assert not report.acknowledged
    assert report.line() == "transmitted 2 samples, its end was not confirmed"


def test_what_the_transmitter_is_really_set_to_is_told(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    port = UsrpPort(gain_db=99.0, antenna="TX/RX", bandwidth_hz=2e6, lo_offset_hz=1e6)
    radio = open_radio(uhd, tx=port, tx_channels=(1,))
    assert radio.transmit_settings() == {
        "serial": "F4KE",
        "args": "",
        "channels": [1],
        "sample_rate_hz": 1e6,
        "center_frequency_hz": [2.4e9 + uhd.tune_error_hz],
        "gain_db": [76.0],
        "antenna": ["TX/RX"],
        "bandwidth_hz": [2e6],
        "lo_offset_hz": [1e6],
        "subdev": "A:A",
        "clock_source": "internal",
    }


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("underflow", {"underflows": 1}),
        ("underflow_in_packet", {"underflows": 1}),
        ("seq_error", {"sequence_errors": 1}),
        ("seq_error_in_packet", {"sequence_errors": 1}),
        ("time_error", {"late": 1}),
        ("user_payload", {}),
        ("???", {}),
    ],
)
def test_every_event_of_the_driver_is_counted(
    name: str, counted: dict[str, int], fake_uhd: ModuleType
) -> None:
    uhd = fake_uhd.FakeUhd()
    uhd.accept.extend([4, name])
    report = finished(open_radio(uhd).transmit(np.full(10, 2.0, np.complex64)))
    assert report.events == {name: 1, "burst_ack": 1}
    values = {"underflows": 0, "sequence_errors": 0, "late": 0} | counted
    assert {key: getattr(report, key) for key in values} == values
    assert report.clipped == 10
    late = name == "time_error"
    assert report.ended_by is (TransmitEnd.LATE if late else TransmitEnd.COMPLETE)
    # When a late burst went out nobody can tell.
    assert (report.start_time_s is None) == late


def test_the_events_tested_are_all_that_the_real_binding_has(fake_uhd: ModuleType) -> None:
    from phyemu.radio.usrp_driver import load_driver

    try:
        driver = load_driver()
    except RadioError as exc:
        pytest.skip(str(exc))
    real = set(driver.types.TXMetadataEventCode.__members__)
    assert real == set(fake_uhd.EventCode.__members__)
    # A code that the binding does not know has a name nevertheless.
    assert driver.types.TXAsyncMetadata().event_code.name == fake_uhd.UNKNOWN.name


def test_what_the_device_says_of_an_earlier_burst_is_not_taken_for_this_one(
    fake_uhd: ModuleType,
) -> None:
    uhd = fake_uhd.FakeUhd(acknowledges=False)
    uhd.async_events.extend(["underflow", "burst_ack"])
    uhd.accept.extend([5, "burst_ack"])
    report = finished(open_radio(uhd).transmit(np.zeros(10, np.complex64)))
    assert report.events == {"burst_ack": 1}


def test_a_late_burst_is_not_gone_on_with(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PIECE_SAMPLES", 10)
    uhd = fake_uhd.FakeUhd()
    uhd.accept.extend(["time_error"])
    report = finished(open_radio(uhd).transmit(np.zeros(1000, np.complex64)))
    # The piece that was late, and the one read ahead, which carries the end.
    assert report.num_samples == 20
    assert [ends for _, ends, _ in uhd.bursts] == [False, True]
    assert report.ended_by.is_failure
    assert "start it later" in report.line()


def test_a_device_that_takes_nothing_or_vanishes_ends_the_burst_with_the_reason(
    fake_uhd: ModuleType,
) -> None:
    stalled = fake_uhd.FakeUhd()
    stalled.accept.extend([0] * 10_000_000)
    report = finished(open_radio(stalled, stall_s=1e-4).transmit(np.zeros(10, np.complex64)))
    assert (report.num_samples, report.ended_by) == (0, TransmitEnd.STALLED)
    assert report.line() == "transmitted 0 samples, stalled: it took no sample for 0.0001 s"
    for error, message in (
        (None, "usb tx transfer failed"),
        (IndexError(), "IndexError"),
        (OSError("no\n such device"), "no such device"),
        (MemoryError("alloc"), "alloc"),
    ):
        gone = fake_uhd.FakeUhd()
        gone.accept.extend([4, error])
        report = finished(open_radio(gone).transmit(np.full(10, 2, np.complex64)))
        assert (report.num_samples, report.acknowledged) == (4, False)
        # Only what the device took counts.
        assert report.clipped == 4
        assert report.ended_by is TransmitEnd.DISCONNECTED
        assert message in report.detail
    deaf = fake_uhd.FakeUhd()
    deaf.accept.append(4)
    deaf.acknowledges = False
    radio = open_radio(deaf)
    radio.prepare_transmission()
    deaf.async_events.append(ValueError("gone"))
    report = finished(radio.transmit(np.zeros(10, np.complex64)))
    assert (report.ended_by, report.detail) == (TransmitEnd.DISCONNECTED, "gone")


def test_a_device_that_pauses_is_waited_for(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    uhd.accept.extend([4, 0, 0, 3, 0])
    report = finished(open_radio(uhd, stall_s=5.0).transmit(np.zeros(10, np.complex64)))
    assert (report.ended_by, report.num_samples) == (TransmitEnd.COMPLETE, 10)


def test_the_report_places_the_burst_on_the_receive_timeline(fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd)
    radio.receive(100)
    now(uhd, (uhd.first_tick + uhd.clock_offset + 100_000) / 1e6)
    report = finished(radio.transmit(np.zeros(10, np.complex64), delay_s=0.25))
    # The device's time is 2 s: 100,000 samples after the first one received; then a quarter second.
    assert report.start_index == pytest.approx(100_000 + 250_000, abs=1)


def endless() -> Any:
    while True:
        time.sleep(1e-4)
        yield np.full(1000, 0.5, np.complex64)


def test_an_endless_burst_ends_when_it_is_stopped_and_the_next_one_follows(
    fake_uhd: ModuleType,
) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = open_radio(uhd)
    first = radio.transmit(endless())
    second = radio.transmit(np.zeros(10, np.complex64))
    assert second.wait(0.0) is None
    first.stop()
    report = finished(first)
    assert report.ended_by is TransmitEnd.STOPPED
    assert report.num_samples % 1000 == 0
    assert finished(second).ended_by is TransmitEnd.COMPLETE
    radio.close()


def test_closing_the_radio_ends_all_bursts_that_are_queued(fake_uhd: ModuleType) -> None:
    radio = open_radio(fake_uhd.FakeUhd())
    bursts = [radio.transmit(endless()) for _ in range(3)]
    radio.close()
    assert [finished(burst).ended_by for burst in bursts] == [TransmitEnd.STOPPED] * 3
    assert [burst.num_samples for burst in bursts[1:]] == [0, 0]


def test_a_burst_that_is_stopped_in_the_queue_sends_nothing(fake_uhd: ModuleType) -> None:
    radio = open_radio(fake_uhd.FakeUhd())
    first, second = radio.transmit(endless()), radio.transmit(endless())
    second.stop()
    assert finished(second).num_samples == 0
    # A third one still follows the first.
    third = radio.transmit(endless())
    assert third.wait(0.15) is None
    assert third.num_samples == 0
    radio.close()
    assert finished(first).ended_by is finished(third).ended_by is TransmitEnd.STOPPED


def test_a_transmitter_at_another_rate_is_refused(fake_uhd: ModuleType) -> None:
    radio = open_radio(fake_uhd.FakeUhd(tx_rate=0.9e6))
    with pytest.raises(RadioError, match="transmitter runs at 900000 Hz"):
        radio.prepare_transmission()
    with pytest.raises(RadioError, match="transmitter runs at 900000 Hz"):
        radio.transmit(np.zeros(10, np.complex64))


def test_samples_that_are_no_numbers_are_refused_when_they_are_reached(
    fake_uhd: ModuleType,
) -> None:
    uhd = fake_uhd.FakeUhd()
    good = np.ones(10, np.complex64)
    transmission = open_radio(uhd).transmit([good, good, good * np.nan])
    with pytest.raises(SignalError, match="NaN"):
        transmission.wait()
    # What came before went out, and ended in order.
    assert transmission.num_samples == 20
    assert [ends for _, ends, _ in uhd.bursts] == [False, True]
    nothing = open_radio(fake_uhd.FakeUhd()).transmit([good * np.nan])
    with pytest.raises(SignalError, match="NaN"):
        nothing.wait()


class SourceError(Exception):
    """The maker of the samples failed."""


class LockStep:
    """The transmitting thread asks, and stands still until the test answers."""

    def __init__(self) -> None:
        self.questions: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask(self, question: str) -> Any:
        self.questions.put(question)
        answer = self.answers.get(timeout=20)
        if isinstance(answer, BaseException):
            raise answer
        return answer


@settings(
    max_examples=settings.default.max_examples * 3 // 4, stateful_step_count=40, deadline=None
)
class Transmitting(RuleBasedStateMachine):
    """A source, a device and a caller, each of which may do anything at any moment.

    The transmitting thread is in lock step with the rules: it stands at the source, in `send`, or
    waits for the end to be confirmed, and time passes only where the driver waits.
    """

    fake: ModuleType
    clock: list[float]

    def __init__(self) -> None:
        super().__init__()
        self.steps = LockStep()
        self.clock[0] = 0.0
        self.offered: list[np.ndarray] = []
        self.taken: list[np.ndarray] = []
        # Start of burst, end of burst, time: of each call that took samples.
        self.flags: list[tuple[bool, bool, bool]] = []
        self.pending: list[str] = []
        self.told: Counter[str] = Counter()
        self.stopped = self.raised = self.source_failed = self.source_ended = False
        self.last_taken = 0.0
        self.stalled = False
        uhd = self.fake.FakeUhd()
        self.burst = UsrpTransmission(
            uhd,
            SimpleNamespace(send=self.send, recv_async_msg=self.recv_async_msg),
            self.source(),
            sample_rate_hz=100.0,
            num_channels=2,
            start_time=lambda now: now + self.fake.TimeSpec(0.5),
            time_now=lambda: self.fake.TimeSpec(7.0),
            index_of=lambda time: round(time.get_real_secs() * 100),
            stall_s=3.0,
        )
        self.burst._future.add_done_callback(lambda _: self.steps.questions.put(None))
        self.where = self.steps.questions.get(timeout=20)

    def answer(self, value: Any) -> None:
        self.steps.answers.put(value)
        self.where = self.steps.questions.get(timeout=20)

    # What the thread meets.
    def source(self) -> Any:
        while (block := self.steps.ask("source")) is not None:
            yield block

    def send(self, words: np.ndarray, metadata: Any, timeout: float) -> int:
        assert words.flags.c_contiguous
        assert words.shape[0] == 2
        assert words.shape[1] > 0
        accepted = min(self.steps.ask("send"), words.shape[1])
        if accepted:
            whole = accepted == words.shape[1]
            self.taken.append(words[:, :accepted].copy())
            self.flags.append(
                (
                    metadata.start_of_burst,
                    metadata.end_of_burst and whole,
                    metadata.has_time_spec and metadata.time_spec.get_real_secs() == 7.5,
                )
            )
        return accepted

    def recv_async_msg(self, message: Any, timeout: float) -> bool:
        if not self.pending and timeout:
            self.steps.ask("confirmation")
        if not self.pending:
            return False
        name = self.pending.pop(0)
        self.told[name] += 1
        message.event_code = SimpleNamespace(name=name)
        return True

    # What may happen.
    @precondition(lambda self: self.where == "source")
    @rule(count=st.integers(1, 12), loud=st.booleans())
    def offer(self, count: int, loud: bool) -> None:
        first = sum(block.shape[1] for block in self.offered)
        iq = np.arange(first, first + count) / 32768 + (2j if loud else 0)
        self.offered.append(np.stack([iq, 0.5 - iq]).astype(np.complex64))
        self.answer(self.offered[-1])

    @precondition(lambda self: self.where == "source")
    @rule(fails=st.booleans())
    def end_source(self, fails: bool) -> None:
        self.source_failed, self.source_ended = fails, True
        self.answer(SourceError() if fails else None)

    @precondition(lambda self: self.where == "send")
    @rule(count=st.integers(1, 20))
    def take(self, count: int) -> None:
        self.last_taken = max(self.clock[0], 0.5)
        self.answer(count)

    @precondition(lambda self: self.where == "send")
    @rule()
    def take_nothing(self) -> None:
        self.clock[0] += 0.5
        self.stalled = self.clock[0] - max(self.last_taken, 0.5) > 3.0
        self.answer(0)

    @precondition(lambda self: self.where in ("send", "confirmation"))
    @rule(kind=st.sampled_from([RuntimeError, IndexError, OSError, ValueError, MemoryError]))
    def vanish(self, kind: type[Exception]) -> None:
        self.raised = True
        self.answer(kind("gone"))

    @precondition(lambda self: self.where == "confirmation")
    @rule()
    def say_nothing(self) -> None:
        self.clock[0] += 0.1
        self.answer(None)

    @precondition(lambda self: self.where in ("send", "confirmation"))
    @rule(
        name=st.sampled_from(
            [
                *("burst_ack", "underflow", "seq_error", "time_error", "underflow_in_packet"),
                *("seq_error_in_packet", "user_payload", "???"),
            ]
        )
    )
    def report(self, name: str) -> None:
        self.pending.append(name)

    @rule()
    def look(self) -> None:
        assert self.burst.done == (self.where is None)

    @precondition(lambda self: not self.stopped)
    @rule()
    def stop(self) -> None:
        self.stopped = True
        self.burst.stop()

    # What must hold.
    @invariant()
    def what_was_taken_is_the_beginning_of_what_was_offered(self) -> None:
        taken = sum(words.shape[1] for words in self.taken)
        assert self.burst.num_samples == taken
        if not taken:
            return
        words = np.concatenate(self.taken, axis=1)
        low = words.view(np.int16)[:, ::2]
        np.testing.assert_array_equal(low[0], np.arange(taken))
        np.testing.assert_array_equal(low[1], 16384 - np.arange(taken))

    @invariant()
    def the_burst_starts_once_and_ends_once(self) -> None:
        starts, ends, timed = ([flags[i] for flags in self.flags] for i in range(3))
        assert starts == timed == [True] * bool(starts) + [False] * (len(starts) - 1)
        assert not any(ends[:-1])

    def teardown(self) -> None:
        # The rest goes well.
        while self.where is not None:
            if self.where == "source":
                self.end_source(False)
            elif self.where == "send":
                self.take(1000)
            else:
                self.pending.extend(["burst_ack", "burst_ack"])
                self.answer(None)
        failed = None
        try:
            report = self.burst.wait()
        except SourceError as exc:
            failed, report = exc, self.burst._report()
        assert report is not None
        taken = sum(words.shape[1] for words in self.taken)
        offered = sum(block.shape[1] for block in self.offered)
        loud = np.concatenate([np.zeros((2, 0))] + [abs(b.imag) > 1 for b in self.offered], axis=1)
        assert (failed is not None) == (self.source_failed and not self.raised)
        # Messages that came when nobody listened any more are nobody's.
        assert report.events == dict(self.told)
        assert report.num_samples == taken
        assert report.clipped == loud[:, :taken].sum()
        assert report.underflows == self.told["underflow"] + self.told["underflow_in_packet"]
        assert report.sequence_errors == self.told["seq_error"] + self.told["seq_error_in_packet"]
        assert report.late == self.told["time_error"]
        assert report.acknowledged == (self.told["burst_ack"] >= 2)
        complete = taken == offered
        ended = bool(self.flags) and self.flags[-1][1]
        late = self.told["time_error"] > 0
        expected = {
            TransmitEnd.LATE: late,
            TransmitEnd.DISCONNECTED: self.raised and not late,
            TransmitEnd.STALLED: self.stalled and not late,
            TransmitEnd.STOPPED: self.stopped,
            TransmitEnd.COMPLETE: not (late or self.raised or self.stalled),
        }
        assert expected[report.ended_by], report
        assert report.ended_by is not TransmitEnd.COMPLETE or complete
        if not (self.raised or self.stopped or self.stalled or late):
            assert report.ended_by is TransmitEnd.COMPLETE
        # Only a device that is gone, or takes nothing, is left in the middle of a burst.
        if taken and not self.raised and not report.detail.startswith(("it took", "while the")):
            assert ended or late
        assert report.start_index == (750 if taken and not late else None)


def test_every_sample_is_sent_once_in_order_or_is_told_of(
    fake_uhd: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(module, "_PIECE_SAMPLES", 8)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    Transmitting.fake, Transmitting.clock = fake_uhd, clock
    run_state_machine_as_test(Transmitting)
    assert not [t for t in threading.enumerate() if t.name.startswith("phyemu-transmit")]
