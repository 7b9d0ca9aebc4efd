"""A recording that plays a radio."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording, RecordingWriter, open_recording, write_recording
from phyemu.radio import RecordedRadio, StreamEvent


def ramp(count: int) -> np.ndarray:
    return np.arange(count).astype(np.complex64) / 32768


@pytest.fixture
def recording(tmp_path: Path, opened: Callable[[Path], Recording]) -> Recording:
    return opened(write_recording(tmp_path / "ramp.sigmf", ramp(1000), sample_rate_hz=1e6))


def test_it_ends_and_goes_on_saying_so(recording: Recording) -> None:
    radio = RecordedRadio(recording, sample_start=900)
    np.testing.assert_array_equal(radio.receive(500).iq[0], ramp(1000)[900:])
    for _ in range(2):
        block = radio.receive(500)
        assert (block.num_samples, block.event) == (0, StreamEvent.END)
        assert block.sample_index == 100


def test_a_loop_starts_over_without_a_gap(recording: Recording) -> None:
    radio = RecordedRadio(recording, sample_start=700, loop=True)
    blocks = [radio.receive(250) for _ in range(7)]
    received = np.concatenate([block.iq[0] for block in blocks])
    np.testing.assert_array_equal(received, np.tile(ramp(1000), 3)[700 : 700 + received.size])
    assert all(block.lost_samples == 0 and block.event is None for block in blocks)
    assert blocks[-1].sample_index + blocks[-1].num_samples == received.size


def test_recorded_gaps_are_played_as_gaps(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "gaps.sigmf", sample_rate_hz=1e6) as writer:
        writer.start_segment(global_index=0)
        writer.write(ramp(100))
        writer.start_segment(global_index=150, fields={"phyemu:gap": "overflow"})
        writer.write(ramp(40))
        writer.start_segment(fields={"phyemu:gap": "time_jump"})
        writer.write(ramp(30))
        writer.start_segment(center_frequency_hz=5e9)
        writer.write(ramp(20))
    with open_recording(tmp_path / "gaps.sigmf") as recording:
        radio = RecordedRadio(recording)
        blocks = [radio.receive(1000) for _ in range(5)]
    assert [block.num_samples for block in blocks] == [100, 40, 30, 20, 0]
    assert [block.lost_samples for block in blocks] == [0, 50, None, 0, 0]
    assert [block.sample_index for block in blocks] == [0, 150, 190, 220, 240]
    assert [block.event for block in blocks] == [
        None,
        StreamEvent.RECORDED_GAP,
        StreamEvent.RECORDED_GAP,
        None,
        StreamEvent.END,
    ]


def test_real_time_hands_samples_over_no_sooner_than_a_radio_would(recording: Recording) -> None:
    now = [50.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    radio = RecordedRadio(recording, real_time=True, clock=lambda: now[0], sleep=sleep)
    radio.receive(400)
    assert now[0] == pytest.approx(50.0 + 400e-6)
    # A caller that took its time waits for the rest only, and one that is late not at all.
    now[0] += 100e-6
    radio.receive(400)
    assert now[0] == pytest.approx(50.0 + 800e-6)
    now[0] += 1.0
    radio.receive(200)
    assert pauses == pytest.approx([400e-6, 300e-6])


def test_sleep_that_is_late_does_not_add_up(recording: Recording) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        # What a busy machine does: 0.1 to 3 ms late, every time.
        now[0] += seconds + 1e-4 + 3e-3 * rng.random()

    rng = np.random.default_rng(5)
    radio = RecordedRadio(recording, loop=True, real_time=True, clock=lambda: now[0], sleep=sleep)
    # Two hours, in blocks of half a second (of 1 MHz), would be much the same as these 20 000.
    for _ in range(20_000):
        block = radio.receive(1000)
        played_s = (block.sample_index + block.num_samples) / 1e6
        assert -1e-9 <= now[0] - played_s <= 3.1e-3


def test_a_thousand_segments_are_played_with_their_gaps(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    lengths, gaps = rng.integers(1, 40, 1000), rng.integers(0, 30, 1000)
    with RecordingWriter(tmp_path / "many.sigmf", sample_rate_hz=1e6) as writer:
        index = 0
        for length, gap in zip(lengths, gaps, strict=True):
            index += int(gap)
            writer.start_segment(global_index=index)
            writer.write(ramp(int(length)))
            index += int(length)
    with open_recording(tmp_path / "many.sigmf") as recording:
        radio = RecordedRadio(recording)
        blocks = [radio.receive(1000) for _ in range(1001)]
    assert [block.num_samples for block in blocks] == [*lengths, 0]
    assert [block.lost_samples for block in blocks[1:1000]] == list(gaps[1:])
    assert blocks[-1].event is StreamEvent.END


def test_what_the_recording_says_of_its_origin_is_passed_on(tmp_path: Path) -> None:
    fields = {"core:hw": "X310", "phyemu:waveform": "frames", "core:author": "me"}
    path = write_recording(tmp_path / "a", ramp(10), sample_rate_hz=1e6, global_fields=fields)
    with open_recording(path) as recording:
        assert RecordedRadio(recording).metadata() == {
            "core:hw": "X310",
            "phyemu:waveform": "frames",
        }


def test_it_refuses_to_transmit_and_to_start_outside(recording: Recording) -> None:
    with pytest.raises(RadioError, match="cannot transmit"):
        RecordedRadio(recording).transmit(ramp(10))
    for start in (-1, 1000):
        with pytest.raises(ConfigError, match=r"0\.\.999"):
            RecordedRadio(recording, sample_start=start)
