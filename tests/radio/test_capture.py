"""From a radio into a recording."""

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from phyemu.channel import Awgn
from phyemu.errors import ConfigError, RadioError, RecordingError
from phyemu.iq import (
    Recording,
    RecordingWriter,
    open_recording,
    repair_recording,
    unfinished,
)
from phyemu.radio import (
    CaptureEnd,
    EmulatedRadio,
    Radio,
    ReceivedBlock,
    RecordedRadio,
    UsrpConfig,
    UsrpRadio,
    capture_to_recording,
)
from phyemu.radio.sc16 import from_sc16

Open = Callable[[Path], Recording]


def usrp(uhd: Any) -> UsrpRadio:
    return UsrpRadio(UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=2.4e9), uhd=uhd)


def ticks_of(recording: Recording) -> np.ndarray:
    parts = (recording.read().view(np.float32) * 32768).astype(np.int16)
    return parts.view(np.uint32).astype(np.int64)


def emulated() -> EmulatedRadio:
    return EmulatedRadio(
        Awgn(10.0), sample_rate_hz=1e6, symbol_rate_hz=1e6, reference_power=0.01, seed=4
    )


@settings(
    deadline=None,
    max_examples=settings.default.max_examples // 5,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_every_sample_is_in_the_recording_once_and_at_its_place(
    data: st.DataObject, fake_uhd: ModuleType, tmp_path: Path
) -> None:
    count = st.integers(1, 300)
    script = data.draw(
        st.lists(
            st.one_of(
                st.builds(fake_uhd.Data, count),
                st.builds(fake_uhd.Lose, count, st.sampled_from(["overflow", "bad_packet", None])),
                st.builds(fake_uhd.Fault, st.sampled_from(["late", "broken_chain", "alignment"])),
                st.builds(fake_uhd.Pause),
            ),
            max_size=10,
        )
    )
    end = data.draw(st.sampled_from(["complete", "disconnected"]))
    size = data.draw(st.integers(1, 400))
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(10), *script])
    if end == "disconnected":
        uhd.script.append(fake_uhd.Disconnect())
    summary = capture_to_recording(
        usrp(uhd),
        tmp_path / "capture.sigmf",
        num_samples=3000 if end == "complete" else None,
        block_samples=size,
        ring_samples=4 * size,
        force=True,
    )
    assert summary.ended_by == end
    with open_recording(summary.path) as recording:
        ticks = ticks_of(recording)
        np.testing.assert_array_equal(ticks, uhd.delivered_ticks[: ticks.size])
        # At the end the rest of a packet may not have been asked for.
        assert uhd.delivered_ticks.size - ticks.size < (20 if end == "complete" else 1)
        assert summary.num_samples == recording.num_samples == ticks.size
        assert recording.verify()
        # The time stamps tell everything, so each gap is known to the sample.
        assert summary.lost_samples == ticks[-1] - ticks[0] + 1 - ticks.size
        starts = [segment.sample_start for segment in recording.captures]
        for segment in recording.captures:
            assert segment.global_index == ticks[segment.sample_start] - ticks[0]
        gaps = np.flatnonzero(np.diff(ticks) != 1) + 1
        assert set(gaps) <= set(starts)
        assert summary.num_segments == len(starts)


def test_a_gap_names_its_cause_its_length_and_its_time(
    fake_uhd: ModuleType, tmp_path: Path, opened: Open
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(500_000), fake_uhd.Lose(250_000, "overflow")])
    summary = capture_to_recording(usrp(uhd), tmp_path / "gap", num_samples=600_000)
    recording = opened(summary.path)
    before, after = recording.captures
    assert (before.global_index, after.global_index) == (0, 750_000)
    assert after.fields["phyemu:gap"] == "overflow"
    assert after.fields["phyemu:lost_samples"] == 250_000
    assert before.datetime is not None
    assert after.datetime is not None
    start, resumed = (np.datetime64(text.rstrip("Z")) for text in (before.datetime, after.datetime))
    assert resumed - start == np.timedelta64(750_000, "us")
    assert summary.events == {"overflow": 1}
    assert summary.to_dict()["lost_samples"] == 250_000
    assert "1 gaps, 250000 samples lost, overflow x1" in summary.line()


def test_a_gap_of_unknown_length_leaves_later_segments_without_an_index(
    fake_uhd: ModuleType, tmp_path: Path, opened: Open
) -> None:
    uhd = fake_uhd.FakeUhd(
        script=[fake_uhd.Data(100), fake_uhd.Lose(7), fake_uhd.Data(100), fake_uhd.Lose(7)],
        time_stamps=False,
    )
    summary = capture_to_recording(usrp(uhd), tmp_path / "gap", num_samples=300)
    assert summary.lost_samples is None
    assert "an unknown number of samples lost" in summary.line()
    assert [item.global_index for item in opened(summary.path).captures] == [0, None, None]


def test_a_vanished_device_leaves_everything_up_to_there(
    fake_uhd: ModuleType, tmp_path: Path, opened: Open
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(1234), fake_uhd.Disconnect()])
    summary = capture_to_recording(usrp(uhd), tmp_path / "gone.sigmf", duration_s=1.0)
    assert summary.ended_by is CaptureEnd.DISCONNECTED
    assert "NO_DEVICE" in summary.detail
    assert opened(summary.path).num_samples == summary.num_samples == 1234


def test_a_stream_that_dries_up_ends(fake_uhd: ModuleType, tmp_path: Path) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(50)] + [fake_uhd.Pause()] * 1_000_000)
    summary = capture_to_recording(usrp(uhd), tmp_path / "dry", stall_s=0.01)
    assert summary.ended_by is CaptureEnd.STALLED
    assert summary.num_samples == 50
    assert summary.events["timeout"] >= 1


def test_ctrl_c_leaves_a_valid_recording(tmp_path: Path, opened: Open) -> None:
    def interrupt(stage: str, done: int, total: int, note: str = "") -> None:
        if done and not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    interrupted = threading.Event()
    summary = capture_to_recording(
        emulated(), tmp_path / "stopped.sigmf", block_samples=1000, progress=interrupt
    )
    assert summary.ended_by is CaptureEnd.INTERRUPTED
    recording = opened(summary.path)
    assert recording.num_samples == summary.num_samples > 0
    assert recording.verify()


def test_the_caller_can_stop_it_too(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(RadioError, match="not one sample came \\(interrupted\\)"):
        capture_to_recording(emulated(), tmp_path / "none.sigmf", stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fails_leaves_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    write = RecordingWriter.write

    def fail_later(self: RecordingWriter, iq: np.ndarray) -> None:
        if self.num_samples >= 3000:
            raise RecordingError("disk full")
        write(self, iq)

    monkeypatch.setattr(RecordingWriter, "write", fail_later)
    summary = capture_to_recording(
        emulated(), tmp_path / "full.sigmf", block_samples=1000, ring_samples=2000
    )
    assert (summary.ended_by, summary.detail) == (CaptureEnd.FAILED, "disk full")
    assert opened(summary.path).num_samples == 3000


@pytest.mark.parametrize("room", [0, 150_000])
def test_a_disk_that_is_full_within_the_first_block_keeps_what_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open, room: int
) -> None:
    class FullDisk(io.FileIO):
        """A file on a disk with little room behind the front of an archive."""

        def write(self, data: Any) -> int:
            if self.tell() + len(data) > room + 8192:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(unfinished, "FileIO", FullDisk)
    radio = Numbers()
    path = tmp_path / "full.sigmf"
    if room == 0:
        with pytest.raises(RecordingError, match=r"full\.sigmf: cannot be written \(No space"):
            capture_to_recording(radio, path)
        assert list(tmp_path.iterdir()) == []
        return
    summary = capture_to_recording(radio, path, block_samples=100_000)
    assert summary.ended_by is CaptureEnd.FAILED
    assert "No space left" in summary.detail
    assert (summary.num_samples, summary.num_segments) == (1 << 15, 1)
    recording = opened(path)
    assert recording.verify()
    np.testing.assert_array_equal(ticks_of(recording), np.arange(1 << 15))


def test_an_error_that_nobody_foresaw_is_raised_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(EmulatedRadio, "receive", broken)
    with pytest.raises(ZeroDivisionError):
        capture_to_recording(emulated(), tmp_path / "none.sigmf", num_samples=10)
    assert list(tmp_path.iterdir()) == []


def test_a_slow_disk_holds_an_emulated_radio_back_without_loss(
    tmp_path: Path, opened: Open
) -> None:
    summary = capture_to_recording(
        emulated(),
        tmp_path / "slow.sigmf",
        num_samples=50_001,
        block_samples=100,
        ring_samples=200,
        datatype="cf32_le",
    )
    np.testing.assert_array_equal(opened(summary.path).read(), emulated().receive(50_001).iq[0])


class Numbers(Radio):
    """Receives its own sample numbers, as fast as they are fetched.

    Attributes:
        received: Samples so far.
        written: How many of them a test has seen written.
        most_held: The most that were received, or being received, and not written.
    """

    sample_rate_hz = 20e6
    center_frequency_hz = 2.4e9
    num_channels = 1
    live = False
    name = "numbers"

    def __init__(self, sample_rate_hz: float = 20e6) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.received = self.written = self.most_held = 0
        self._told = threading.Condition()

    def metadata(self) -> dict[str, Any]:
        return {}

    def receive(self, num_samples: int, out: np.ndarray | None = None) -> ReceivedBlock:
        assert out is not None
        begin, iq = self.received, out[:, :num_samples]
        self.fill(iq)
        with self._told:
            self.received += num_samples
            self.most_held = max(self.most_held, self.received - self.written)
            self._told.notify_all()
        return ReceivedBlock(iq=iq, sample_index=begin)

    def fill(self, iq: np.ndarray) -> None:
        begin = self.received
        from_sc16(np.arange(begin, begin + iq.shape[1], dtype=np.uint32)[None], iq)

    def wait_for(self, num_samples: int) -> None:
        """Wait until so many were received."""
        with self._told:
            assert self._told.wait_for(lambda: self.received >= num_samples, 60)


@pytest.mark.parametrize("sample_rate_hz", [62_500.0, 2e6])
def test_a_disk_that_stalls_for_nine_tenths_of_a_second_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open, sample_rate_hz: float
) -> None:
    radio = Numbers(sample_rate_hz)
    stall = round(0.9 * sample_rate_hz)
    waited = []

    class StallingDisk(io.FileIO):
        """A file whose first block of samples is taken only after so many more were received."""

        def write(self, data: Any) -> int:
            if radio.received and not waited:
                radio.wait_for(stall)
                waited.append(radio.received)
            return super().write(data)

    monkeypatch.setattr(unfinished, "FileIO", StallingDisk)
    # The ring that a capture has unless told otherwise.
    summary = capture_to_recording(radio, tmp_path / "r.sigmf", num_samples=2 * stall)
    # The radio was never kept waiting: a device would not have overflown.
    assert waited[0] >= stall
    assert (summary.num_samples, summary.num_segments) == (2 * stall, 1)
    np.testing.assert_array_equal(ticks_of(opened(summary.path)), np.arange(2 * stall))


@pytest.mark.parametrize(
    ("sample_rate_hz", "sizes", "block", "ring"),
    [
        (20e6, {"block_samples": 1000, "ring_samples": 8000}, 1000, 8000),
        (20e6, {"ring_samples": 8000}, 4000, 8000),  # one is filled while one is written
        # 50 ms and the whole blocks of a second less one, within the bounds of both.
        (1e3, {}, 250, 750),
        (20e3, {}, 2048, 8 * 2048),
        (62.5e3, {}, 3125, 59_375),
        (1e6, {}, 50_000, 950_000),
        (20e6, {}, 1 << 17, 151 << 17),
        (1e9, {}, 1 << 17, (1 << 25) - (1 << 17)),
    ],
)
def test_the_ring_is_bounded_in_time_and_memory(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sample_rate_hz: float,
    sizes: dict[str, int],
    block: int,
    ring: int,
) -> None:
    radio = Numbers(sample_rate_hz)
    written: list[int] = []

    def slow(self: RecordingWriter, iq: np.ndarray) -> None:
        radio.wait_for(ring)
        written.append(iq.size)
        radio.written += iq.size
        if radio.written > 2 * ring:
            raise RecordingError("enough")

    monkeypatch.setattr(RecordingWriter, "write", slow)
    monkeypatch.setattr(radio, "fill", lambda iq: None)  # a ring that nobody fills takes no memory
    with pytest.raises(RecordingError, match="enough"):
        capture_to_recording(radio, tmp_path / "r", **sizes)
    assert set(written) == {block}
    assert radio.most_held == ring


KILLED = """
import io, os, signal, sys, time
import numpy as np
from phyemu.iq import unfinished
from phyemu.radio import Radio, ReceivedBlock, capture_to_recording
from phyemu.radio.sc16 import from_sc16

class Numbers(Radio):
    sample_rate_hz, center_frequency_hz, num_channels, live, name = 62_500.0, 1e9, 1, False, "n"
    received = 0

    def metadata(self):
        return {}

    def receive(self, num_samples, out):
        begin, iq = self.received, out[:, :num_samples]
        from_sc16(np.arange(begin, begin + num_samples, dtype=np.uint32)[None], iq)
        self.received += num_samples
        return ReceivedBlock(iq=iq, sample_index=begin)

class StallingDisk(io.FileIO):
    def write(self, data):
        if self.tell() < 400_000:
            return super().write(data)
        before = -1
        while before != radio.received:  # until the ring is full: the worst moment to be killed
            before = radio.received
            time.sleep(0.1)
        os.write(1, b"%d" % radio.received)
        os.kill(os.getpid(), signal.SIGKILL)

unfinished.FileIO = StallingDisk
radio = Numbers()
capture_to_recording(radio, sys.argv[1])
"""


def test_a_capture_that_is_killed_while_the_disk_stalls_loses_no_more_than_a_second(
    tmp_path: Path, opened: Open
) -> None:
    path = tmp_path / "r.sigmf"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    received, kept = int(done.stdout), repair_recording(path).num_samples
    # The disk took all until then, and the rest is the ring.
    assert kept >= 98_000
    assert 0.5 * 62_500 < received - kept <= 62_500
    np.testing.assert_array_equal(ticks_of(opened(path)), np.arange(kept))


def test_whoever_presses_ctrl_c_again_does_not_lose_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    fsync = os.fsync

    def interrupted(descriptor: int) -> None:
        # Impatience while the disk is being waited for: signals reach the main thread.
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.05)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", interrupted)
    summary = capture_to_recording(Numbers(), tmp_path / "r.sigmf", num_samples=10_000)
    assert summary.ended_by is CaptureEnd.COMPLETE
    assert opened(summary.path).verify()


def test_an_error_that_nobody_foresaw_keeps_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open
) -> None:
    receive = Numbers.receive

    def broken(self: Numbers, num_samples: int, out: np.ndarray | None = None) -> ReceivedBlock:
        if self.received >= 5000:
            raise ZeroDivisionError
        return receive(self, num_samples, out)

    monkeypatch.setattr(Numbers, "receive", broken)
    with pytest.raises(ZeroDivisionError):
        capture_to_recording(Numbers(), tmp_path / "r.sigmf", block_samples=1000)
    assert repair_recording(tmp_path / "r.sigmf").num_samples == 5000
    assert opened(tmp_path / "r.sigmf").num_samples == 5000


def test_a_played_recording_is_recorded_to_its_end_with_its_gaps(
    fake_uhd: ModuleType, tmp_path: Path, opened: Open
) -> None:
    uhd = fake_uhd.FakeUhd(script=[fake_uhd.Data(100), fake_uhd.Lose(30), fake_uhd.Data(100)])
    first = opened(capture_to_recording(usrp(uhd), tmp_path / "a", num_samples=200).path)
    summary = capture_to_recording(RecordedRadio(first), tmp_path / "b")
    assert summary.ended_by is CaptureEnd.STREAM_END
    assert summary.lost_samples == 30
    second = opened(summary.path)
    np.testing.assert_array_equal(second.read(), first.read())
    assert [segment.global_index for segment in second.captures] == [0, 130]
    assert second.global_fields["core:hw"] == first.global_fields["core:hw"]


def test_two_channels_are_recorded_side_by_side(
    fake_uhd: ModuleType, tmp_path: Path, opened: Open
) -> None:
    radio = UsrpRadio(
        UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9, channels=(0, 1)),
        uhd=fake_uhd.FakeUhd(),
    )
    recording = opened(capture_to_recording(radio, tmp_path / "two", num_samples=500).path)
    first, second = recording.read_channels()
    np.testing.assert_array_equal(second[:-1], first[1:])


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_samples": 0},
        {"duration_s": 0.0},
        {"duration_s": float("inf")},
        {"num_samples": 1, "duration_s": 1.0},
        {"block_samples": 0},
        {"ring_samples": 0},
        {"block_samples": 2, "ring_samples": 1},
        {"stall_s": 0.0},
    ],
)
def test_lengths_and_sizes_that_make_no_sense_are_refused(
    tmp_path: Path, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError):
        capture_to_recording(emulated(), tmp_path / "none.sigmf", **arguments)
    assert list(tmp_path.iterdir()) == []
