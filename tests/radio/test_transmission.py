"""Recordings on their way to a transmitter."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from phyemu.channel import Awgn
from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording, RecordingWriter, write_recording
from phyemu.radio import (
    EmulatedRadio,
    GapMode,
    TransmitEnd,
    TransmitSettings,
    UsrpConfig,
    UsrpRadio,
    amplitude_for_peak,
    may_clip,
    measure_levels,
    send_recording,
    sent_fields,
    transmit_recording,
    transmitted_samples,
)
from phyemu.radio.transmission import _repeated

Record = Callable[..., Recording]


@pytest.fixture
def record(tmp_path: Path, opened: Callable[[Path], Recording]) -> Record:
    """Return a function that writes samples and opens the recording."""

    def write(iq: np.ndarray, rate: float = 1e6) -> Recording:
        path = write_recording(
            tmp_path / "tx.sigmf",
            np.asarray(iq, np.complex64),
            sample_rate_hz=rate,
            datatype="cf32_le",
            global_fields={"phyemu:waveform": "sounder"},
            force=True,
        )
        return opened(path)

    return write


def test_levels_are_known_before_anything_is_sent(record: Record) -> None:
    recording = record(np.array([0.5 + 0.25j, -0.75j, 0.1, 0.0]))
    levels = measure_levels(recording, amplitude=2.0)
    assert levels.peak == pytest.approx(1.5)
    assert levels.num_clipped == 1
    assert levels.mean_power == pytest.approx(4 * (0.3125 + 0.5625 + 0.01) / 4)
    assert levels.largest_amplitude == pytest.approx(1 / 0.75)
    assert measure_levels(recording, amplitude=1 / 0.75).num_clipped == 0


def test_repetitions_follow_each_other_without_a_gap(record: Record, fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    counted = np.arange(1000) / 32768
    radio = UsrpRadio(UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=uhd)
    seen: list[int] = []
    report = send_recording(
        radio,
        record(counted),
        TransmitSettings(amplitude=2.0, repeats=3),
        progress=lambda stage, done, total, note="": seen.append(total),
    )
    assert report.num_samples == 3000
    assert set(seen) == {3000}
    np.testing.assert_array_equal(uhd.sent_words[0], np.tile(2 * np.arange(1000), 3))


def test_an_endless_transmission_ends_with_the_recording_that_hears_it(record: Record) -> None:
    settings = {"sample_rate_hz": 1e6, "symbol_rate_hz": 1e6, "reference_power": 1.0}
    radio = EmulatedRadio(Awgn(float("inf")), seed=0, **settings)
    transmission = transmit_recording(radio, record(np.ones(70)), TransmitSettings(repeats=None))
    radio.receive(1000)
    transmission.stop()
    report = transmission.wait()
    assert report is not None
    assert report.num_samples == 1000


@pytest.mark.parametrize("count", [1, 70, 131_072, 131_073, 300_000])
@pytest.mark.parametrize("repeats", [1, 2, 5])
def test_blocks_are_long_whatever_is_repeated_and_in_order(
    record: Record, count: int, repeats: int
) -> None:
    recording = record(np.arange(count) + 1)
    blocks = list(_repeated(recording, TransmitSettings(repeats=repeats)))
    np.testing.assert_array_equal(
        np.concatenate(blocks, axis=1)[0], np.tile(np.arange(count) + 1, repeats)
    )
    # Not a block per repetition: that would be work per packet.
    endless = _repeated(recording, TransmitSettings(repeats=None))
    sizes = [next(endless).shape[1] for _ in range(6)]
    assert sum(sizes) >= 6 * 37_000
    assert max(sizes) <= 1 << 18


def gappy(tmp_path: Path, opened: Callable[[Path], Recording]) -> Recording:
    """Return two channels, 0..99, a gap of 40, 100..199, one of unknown length, 200..299."""
    path = tmp_path / "gaps.sigmf"
    numbers = np.arange(1, 301) / 1024
    iq = np.stack([numbers, -numbers]).astype(np.complex64)
    with RecordingWriter(path, sample_rate_hz=1e6, num_channels=2) as writer:
        writer.start_segment(global_index=1000)
        writer.write(iq[:, :100])
        writer.start_segment(global_index=1140)
        writer.write(iq[:, 100:200])
        writer.start_segment()
        writer.write(iq[:, 200:])
    return opened(path)


def test_gaps_keep_their_time_as_silence(
    tmp_path: Path, opened: Callable[[Path], Recording]
) -> None:
    recording = gappy(tmp_path, opened)
    one, other = recording.read_channels()
    for settings, silence in (
        (TransmitSettings(repeats=2), 40),
        (TransmitSettings(repeats=2, gaps=GapMode.SKIP), 0),
    ):
        assert transmitted_samples(recording, settings) == 300 + silence
        sent = np.concatenate(list(_repeated(recording, settings)), axis=1)
        once = [np.concatenate([x[:100], np.zeros(silence), x[100:]]) for x in (one, other)]
        np.testing.assert_array_equal(sent, np.tile(np.stack(once), 2))


def test_a_long_gap_is_sent_in_blocks_of_bounded_length(
    tmp_path: Path, opened: Callable[[Path], Recording]
) -> None:
    path = tmp_path / "long.sigmf"
    with RecordingWriter(path, sample_rate_hz=1e6) as writer:
        writer.start_segment(global_index=0)
        writer.write(np.ones(1, np.complex64))
        writer.start_segment(global_index=10_000_000)
        writer.write(np.ones(1, np.complex64))
    recording = opened(path)
    sizes = [block.shape[1] for block in _repeated(recording, TransmitSettings())]
    assert sum(sizes) == transmitted_samples(recording) == 10_000_001
    assert max(sizes) == 1 << 18


def test_channels_of_the_recording_are_chosen_by_number(
    tmp_path: Path, opened: Callable[[Path], Recording], fake_uhd: ModuleType
) -> None:
    recording = gappy(tmp_path, opened)
    uhd = fake_uhd.FakeUhd()
    radio = UsrpRadio(UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=uhd)
    with pytest.raises(RadioError, match=r"2 channels are to be sent, but .* transmits on 1"):
        send_recording(radio, recording)
    report = send_recording(radio, recording, TransmitSettings(channels=(1,)))
    assert report.num_samples == 340
    # -1/1024 is -32 of 32768, and -32 as an unsigned word.
    assert uhd.sent_words.view(np.int16)[0, 0] == -32


def test_integers_cannot_clip_unless_they_are_amplified(
    record: Record, tmp_path: Path, opened: Callable[[Path], Recording]
) -> None:
    path = write_recording(
        tmp_path / "full.sigmf", np.full(3, -1 - 1j, np.complex64), sample_rate_hz=1e6
    )
    integers = opened(path)
    assert not may_clip(integers, 1.0)
    assert measure_levels(integers).num_clipped == 0
    assert may_clip(integers, 1.01)
    assert may_clip(record(np.ones(3)), 0.5)


def test_the_scale_for_a_peak_brings_the_peak_there(record: Record) -> None:
    recording = record(np.array([0.1 - 0.2j, 0.05j]))
    amplitude = amplitude_for_peak(recording, -20.0)
    assert measure_levels(recording, amplitude=amplitude).peak == pytest.approx(0.1)
    with pytest.raises(ConfigError, match="at most 0"):
        amplitude_for_peak(recording, 0.1)
    with pytest.raises(ConfigError, match="silent"):
        amplitude_for_peak(record(np.zeros(3)), 0.0)


def test_ctrl_c_ends_the_burst_in_order(record: Record, fake_uhd: ModuleType) -> None:
    uhd = fake_uhd.FakeUhd()
    radio = UsrpRadio(UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=uhd)
    pressed: list[int] = []

    def press(stage: str, done: int, total: int, note: str = "") -> None:
        assert (stage, total) == ("transmit", 0)
        if done and not pressed:
            pressed.append(done)
            raise KeyboardInterrupt

    report = send_recording(
        radio, record(np.ones(5000)), TransmitSettings(repeats=None), progress=press
    )
    assert report.ended_by is TransmitEnd.STOPPED
    assert report.num_samples >= pressed[0]
    assert [ends for _, ends, _ in uhd.bursts].index(True) == len(uhd.bursts) - 1


def test_what_was_sent_is_named_for_the_reception(record: Record) -> None:
    assert sent_fields(record(np.ones(3))) == {
        "phyemu:waveform": "sounder",
        "phyemu:transmit_recording": "tx.sigmf",
    }


def test_recordings_that_do_not_suit_the_radio_are_refused(
    record: Record, fake_uhd: ModuleType
) -> None:
    radio = UsrpRadio(
        UsrpConfig(sample_rate_hz=1e6, center_frequency_hz=1e9), uhd=fake_uhd.FakeUhd()
    )
    with pytest.raises(RadioError, match="made for 2000000 Hz"):
        transmit_recording(radio, record(np.ones(3), 2e6))
    with pytest.raises(RadioError, match="3 channels are to be sent"):
        transmit_recording(radio, record(np.ones((3, 5))))
    fine = record(np.ones(3))
    for amplitude in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="amplitude"):
            measure_levels(fine, amplitude=amplitude)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"repeats": 0}, "repeats"),
        ({"amplitude": 0.0}, "amplitude"),
        ({"delay_s": -1.0}, "delay_s"),
        ({"delay_s": 1.0, "at_s": 2.0}, "not both"),
        ({"channels": ()}, "at least one channel"),
    ],
)
def test_settings_that_no_transmission_could_have_are_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        TransmitSettings(**values)
