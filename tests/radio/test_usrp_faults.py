"""Whatever the driver does, no sample is lost uncounted, duplicated or mislabelled.

A state machine puts faults into the scripted driver's way while it receives, records, closes and
opens again. The judge is the number that each sample carries, and the driver's own log.

It was seen to fail when the code was changed by hand: reports ignored or not breaking the stream,
`out_of_sequence` without a code ignored, the next index or the length of a gap off by one, gaps
not counted or without a segment, whole packets not kept to, times in the middle of a packet
believed, only `RuntimeError` caught, jumps of the clock ignored either way, the rest of a packet
dropped, repeated or mislabelled, channels swapped, a silent device not started again, old samples
not read before a restart, the streamer kept after closing, a loss before a recording counted in it.
Only a missing restart after a late command or a broken chain passes here, because the silence
after it is noticed; `test_usrp.py` catches that one.
"""

import shutil
import tempfile
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from phyemu.errors import RadioError
from phyemu.iq import open_recording
from phyemu.radio import (
    CaptureEnd,
    ReceivedBlock,
    StreamEvent,
    UsrpConfig,
    UsrpRadio,
    capture_to_recording,
    usrp_receive,
)

COUNTS = st.integers(1, 300)
SIZES = st.integers(1, 400)
# Further than the script's losses and pauses together, so that a clock that was set is told from
# them: samples that could have been lost since are counted as lost.
JUMPS = st.builds(
    lambda size, sign: size * sign, st.integers(10**9, 10**11), st.sampled_from([-1, 1])
)
# After these the stream was begun again, so that samples are missing behind what came with them.
RESTARTED_AFTER = {
    StreamEvent.LATE_COMMAND,
    StreamEvent.BROKEN_CHAIN,
    StreamEvent.ALIGNMENT,
    StreamEvent.RESTARTED,
}
ERRORS = [RuntimeError, OSError, ValueError, IndexError]


def ticks_of(iq: np.ndarray) -> np.ndarray:
    """Return the numbers that the samples carry, (channels, num_samples)."""
    parts = (np.ascontiguousarray(iq).view(np.float32) * 32768).astype(np.int16)
    return parts.view(np.uint32).astype(np.int64)


def scripts(fake: ModuleType, *, silent_losses: bool) -> st.SearchStrategy[list[Any]]:
    """Return sequences of everything that can go wrong, and samples between."""
    every = ["timeout", "late", "broken_chain", "overflow", "alignment", "bad_packet", "???"]
    one = [
        st.builds(fake.Data, COUNTS),
        st.builds(fake.Data, COUNTS, st.just(False)),
        st.builds(
            fake.Lose, COUNTS, st.sampled_from(["overflow", "bad_packet", "???"]), st.booleans()
        ),
        st.builds(
            fake.Flagged, st.integers(0, 300), st.sampled_from(["none", "overflow", "alignment"])
        ),
        st.builds(fake.Fault, st.sampled_from(every)),
        st.builds(fake.Pause),
        st.builds(fake.Nothing),
        st.builds(fake.Halt),
        st.builds(fake.ClockSet, JUMPS),
    ]
    actions = st.one_of(one).map(lambda action: [action])
    if silent_losses:
        lost = st.builds(lambda count: [fake.Lose(count, None), fake.Data(count)], COUNTS)
        actions = st.one_of(actions, lost)
    several = st.lists(actions, min_size=1, max_size=8).map(chain.from_iterable).map(list)
    end = st.builds(fake.Disconnect, st.sampled_from(ERRORS))
    return st.builds(
        lambda script, end, ends: [*script, end] if ends == 0 else script,
        several,
        end,
        st.integers(0, 5),
    )


class Faults(RuleBasedStateMachine):
    """A radio, a driver with a script, and what has to hold between them."""

    fake: ModuleType

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="phyemu-faults-"))
        self.radio: UsrpRadio | None = None
        self.patch: Any = None

    @precondition(lambda self: self.radio is None)
    @rule(
        channels=st.integers(1, 3),
        packet=st.integers(1, 100),
        stamps=st.booleans(),
        in_flight=st.sampled_from([0, 0, 30, 250]),
    )
    def open(self, channels: int, packet: int, stamps: bool, in_flight: int) -> None:
        self.uhd = self.fake.FakeUhd(
            packet_samples=packet,
            time_stamps=stamps,
            in_flight_samples=in_flight,
            num_channels=3,
        )
        self.channels = tuple(range(channels))
        self._open()

    def _open(self) -> None:
        self.patch = mock.patch.object(usrp_receive, "time", self.uhd)
        self.patch.start()
        self.radio = UsrpRadio(
            UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=2.4e9, channels=self.channels),
            uhd=self.uhd,
        )
        self.uhd.delivered.clear()
        self.uhd.flushed.clear()
        self.uhd.stamps, self.uhd.stamped_offset = 0, None
        # None: a recording came in between, and the index is not known.
        self.next_index: int | None = 0
        self.last_tick: int | None = None
        self.last_offset: int | None = None
        self.num_received = 0
        # Samples that the driver had handed over when the stream was begun again.
        self.before_restart = 0
        # Something was reported since the last sample; a loss is unknown until the next stamp.
        self.broken = self.unsure = self.gone = False
        # The first time that is known, or is known anew, may be one of the middle of a packet.
        self.rough = False

    @precondition(lambda self: self.radio is not None)
    @rule()
    def close_and_open_again(self) -> None:
        assert self.radio is not None
        self.radio.close()
        self.radio.close()
        self.patch.stop()
        self.uhd.script.clear()
        # The fake refuses a device, or a stream, that somebody still holds.
        self._open()

    def teardown(self) -> None:
        if self.radio is not None:
            self.radio.close()
            self.patch.stop()
        shutil.rmtree(self.folder)

    def _script(self, data: st.DataObject) -> None:
        """Say what the driver will do next; a device that is gone does nothing any more."""
        if not self.gone:
            # Only time stamps on both sides can tell a loss without a word.
            silent = self.uhd.stamps > 0
            self.uhd.script.extend(data.draw(scripts(self.fake, silent_losses=silent)))

    # What has to hold.

    @precondition(lambda self: self.radio is not None)
    @rule(data=st.data(), size=SIZES, times=st.integers(1, 12))
    def receive(self, data: st.DataObject, size: int, times: int) -> None:
        assert self.radio is not None
        self._script(data)
        for _ in range(times):
            stamps_before = self.uhd.stamps
            block = self.radio.receive(size)
            assert block.num_samples <= size
            self._judge(block, stamped=self.uhd.stamps > stamps_before)
        self._nothing_is_missing()

    def _judge(self, block: ReceivedBlock, *, stamped: bool) -> None:
        if self.next_index is None:
            self.next_index = block.sample_index - (block.lost_samples or 0)
        assert block.sample_index >= self.next_index
        if self.gone:
            assert (block.num_samples, block.event) == (0, StreamEvent.DISCONNECTED)
        self.gone = block.event is StreamEvent.DISCONNECTED
        self.broken |= block.event is not None and block.event.breaks_stream
        if not block.num_samples:
            assert block.sample_index == self.next_index
            assert block.lost_samples == 0
            return
        ticks = ticks_of(block.iq)
        for number, row in enumerate(ticks):
            np.testing.assert_array_equal(row, ticks[0] + number)
        # Inside a block there is no gap, and nothing comes twice or out of order.
        np.testing.assert_array_equal(np.diff(ticks[0]), 1)
        missing = 0 if self.last_tick is None else int(ticks[0, 0]) - self.last_tick - 1
        assert missing >= 0
        counted = block.sample_index - self.next_index
        offset = self.uhd.stamped_offset if stamped else self.last_offset
        clock_set = self.last_offset is not None and offset != self.last_offset
        if block.lost_samples is None:
            # The clock was set; or something was said, and no time; or a time tells now that
            # samples are missing since then.
            without_time = self.broken and (not stamped or self.last_offset is None)
            assert clock_set or without_time or (stamped and (self.unsure or self.rough))
            self.unsure = not stamped or (self.unsure and not self.broken)
        else:
            assert not clock_set
            assert block.lost_samples == counted
            assert counted == missing
            # A time of the middle of a packet hides what was lost; a report starts a packet.
            self.unsure &= not (stamped and self.broken)
        assert block.event is not StreamEvent.TIME_JUMP or clock_set
        if stamped and (clock_set or (self.last_offset is None and self.last_tick is not None)):
            self.rough = True
        self.next_index = block.sample_index + block.num_samples
        self.last_tick, self.last_offset = int(ticks[0, -1]), offset
        if block.event in RESTARTED_AFTER:
            # The rest of this packet, if it was asked for in parts, came before that too.
            self.before_restart = sum(count for _, count in self.uhd.delivered)
        self.broken = self.num_received < self.before_restart
        self.num_received += block.num_samples

    def _nothing_is_missing(self) -> None:
        # What the driver handed over was received, but for the rest of a packet asked for in part.
        handed = sum(count for _, count in self.uhd.delivered)
        assert 0 <= handed - self.num_received < self.uhd.packet_samples

    @precondition(lambda self: self.radio is not None)
    @rule(data=st.data(), count=st.integers(1, 2000), size=SIZES)
    def record(self, data: st.DataObject, count: int, size: int) -> None:
        assert self.radio is not None
        self._script(data)
        try:
            summary = capture_to_recording(
                self.radio,
                self.folder / "capture.sigmf",
                num_samples=count,
                block_samples=size,
                ring_samples=4 * size,
            )
        except RadioError:
            # Not one sample came, because there is no device any more.
            assert self.uhd.streamer().gone
            assert not (self.folder / "capture.sigmf").exists()
            self.gone = True
            return
        assert summary.ended_by in (CaptureEnd.COMPLETE, CaptureEnd.DISCONNECTED)
        self.gone = summary.ended_by is CaptureEnd.DISCONNECTED
        assert self.gone or summary.num_samples == count
        with open_recording(summary.path) as recording:
            assert recording.verify()
            ticks = ticks_of(recording.read_channels())
            segments = recording.captures
        summary.path.unlink()
        assert ticks.shape == (len(self.channels), summary.num_samples)
        for number, row in enumerate(ticks):
            np.testing.assert_array_equal(row, ticks[0] + number)
        numbers = ticks[0]
        handed = self.uhd.delivered_ticks
        begin = self.num_received
        np.testing.assert_array_equal(numbers, handed[begin : begin + numbers.size])
        self.num_received += numbers.size
        self._nothing_is_missing()
        # Each gap begins a segment, and a segment begins with a gap or with a report.
        starts = [segment.sample_start for segment in segments]
        assert starts == sorted(set(starts))
        assert summary.num_segments == len(starts)
        gaps = set((np.flatnonzero(np.diff(numbers) != 1) + 1).tolist())
        assert gaps <= set(starts)
        causes = {str(event) for event in StreamEvent if event.breaks_stream}
        assert {segment.fields["phyemu:gap"] for segment in segments[1:]} <= causes
        lengths = [segment.fields.get("phyemu:lost_samples") for segment in segments[1:]]
        if None not in lengths:
            missing = [int(numbers[start] - numbers[start - 1] - 1) for start in starts[1:]]
            assert lengths == missing
            assert summary.lost_samples == sum(missing)
            # Without an index where something unknown was lost just before.
            for segment in segments if segments[0].global_index is not None else ():
                shift = segment.global_index - segments[0].global_index
                assert shift == numbers[segment.sample_start] - numbers[0]
        else:
            assert summary.lost_samples is None
        self.last_tick, self.next_index = int(numbers[-1]), None
        # What the last stamp said is not known here; the driver's log of calls would tell.
        self.last_offset, self.unsure = self.uhd.stamped_offset, True
        self.rough = True
        self.broken = True
        # It may have ended within a packet after which the stream was begun again.
        self.before_restart = sum(count for _, count in self.uhd.delivered)


def test_no_fault_loses_duplicates_or_mislabels_a_sample(fake_uhd: ModuleType) -> None:
    machine = type("BoundFaults", (Faults,), {"fake": fake_uhd})
    run_state_machine_as_test(
        machine,
        settings=settings(
            # 20 in the gate, 300 with the profile "explore" (CONTRIBUTING.md).
            max_examples=max(60, settings.default.max_examples // 5),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
