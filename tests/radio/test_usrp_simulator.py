"""The real UHD driver, talking to UHD's own simulator of an E320 on this machine."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from phyemu.errors import RadioError
from phyemu.evaluation.description import describe_recording
from phyemu.iq import open_recording, write_recording
from phyemu.radio import (
    CaptureEnd,
    TransmitSettings,
    UsrpConfig,
    UsrpPort,
    UsrpRadio,
    capture_to_recording,
    find_usrps,
    measure_levels,
    sent_fields,
    transmit_recording,
)
from phyemu.radio.sc16 import to_sc16
from phyemu.waveform import FrameFormat
from phyemu.waveform.transmission import write_frames

pytestmark = pytest.mark.usrp

Start = Callable[[Mapping[str, str], Mapping[str, str]], str]
PACKET = 2000


def config(args: str, rate: float = 2e6) -> UsrpConfig:
    return UsrpConfig(
        args=args,
        sample_rate_hz=rate,
        center_frequency_hz=2.4e9,
        rx=UsrpPort(gain_db=100.0, antenna="RX2"),
        tx=UsrpPort(gain_db=10.0, antenna="TX/RX"),
    )


def words_of(iq: np.ndarray) -> np.ndarray:
    return (iq.view(np.float32) * 32768).astype(np.int16).view(np.uint32).astype(np.int64)


def test_a_capture_holds_each_sample_at_its_place_and_each_gap_as_a_segment(
    uhd_simulator: Start, tmp_path: Path
) -> None:
    source = {"class": "CountingSource", "lose_every": "50", "lost_packets": "3"}
    args = uhd_simulator(source, {"class": "LoopSink"})
    assert [device.fields["serial"] for device in find_usrps(args)] == ["PHYEMU0"]
    with UsrpRadio(config(args)) as radio:
        # The simulated device limits the gain to what an E320 has; the file tells that value.
        assert radio.metadata()["phyemu:radio"]["gain_db"] == [76.0]
        summary = capture_to_recording(
            radio, tmp_path / "gaps.sigmf", num_samples=499_999, block_samples=30_001
        )
        # The stream goes on: the second recording starts in the middle of a packet.
        again = capture_to_recording(radio, tmp_path / "again", num_samples=50_000)
    assert summary.ended_by is CaptureEnd.COMPLETE
    assert summary.events["sequence_gap"] >= 4
    with open_recording(summary.path) as recording:
        assert recording.num_samples == 499_999
        assert recording.sample_rate_hz == 2e6
        assert recording.center_frequency_hz == 2.4e9
        assert "e320" in recording.global_fields["core:hw"]
        assert recording.captures[0].datetime
        numbers = words_of(recording.read())
        starts = [segment.sample_start for segment in recording.captures]
        for segment in recording.captures:
            # The index on the timeline is the number that the device gave the sample.
            assert segment.global_index == numbers[segment.sample_start] - numbers[0]
        gaps = [segment.fields["phyemu:lost_samples"] for segment in recording.captures[1:]]
        assert set(gaps) == {3 * PACKET}
        assert summary.lost_samples == sum(gaps)
    within = np.delete(np.diff(numbers), np.array(starts[1:]) - 1)
    np.testing.assert_array_equal(within, 1)
    assert again.num_samples == 50_000
    assert set(again.events) <= {"sequence_gap"}


def test_what_is_transmitted_comes_back_bit_for_bit(uhd_simulator: Start, tmp_path: Path) -> None:
    source = {"class": "LoopSource", "lead_samples": str(2 * 30_001)}
    args = uhd_simulator(source, {"class": "LoopSink"})
    generator = np.random.default_rng(7)
    parts = generator.integers(-32768, 32768, size=2 * 30_001).astype(np.int16)
    iq = (parts.astype(np.float32) / 32768).view(np.complex64)
    sent = write_recording(tmp_path / "tx.sigmf", iq, sample_rate_hz=1e6)
    with open_recording(sent) as recording, UsrpRadio(config(args, 1e6)) as radio:
        assert measure_levels(recording).num_clipped == 0
        radio.receive(1000)
        transmission = transmit_recording(radio, recording, TransmitSettings(repeats=2))
        summary = capture_to_recording(radio, tmp_path / "rx.sigmf", num_samples=1_000_000)
        report = transmission.wait()
    assert report is not None
    assert report.num_samples == 2 * 30_001
    assert report.detail == ""
    with open_recording(summary.path) as received:
        words = words_of(received.read())
    active = np.flatnonzero(words)
    expected = np.tile(parts.view(np.uint32).astype(np.int64), 2)
    np.testing.assert_array_equal(words[active[0] : active[0] + expected.size], expected)


def test_a_burst_into_a_file_is_what_was_to_be_sent(uhd_simulator: Start, tmp_path: Path) -> None:
    file = tmp_path / "sent.sc16"
    args = uhd_simulator({"class": "LoopSource"}, {"class": "FileSink", "file": str(file)})
    iq = (np.arange(30_001) / 32768).astype(np.complex64)
    with UsrpRadio(config(args, 1e6)) as radio:
        report = radio.transmit(iq, delay_s=0.2).wait()
    assert report is not None
    assert report.num_samples == iq.size
    np.testing.assert_array_equal(np.fromfile(file, np.uint32), np.arange(iq.size))


def test_frames_from_the_air_are_received(uhd_simulator: Start, tmp_path: Path) -> None:
    sent = write_frames(
        tmp_path / "tx.sigmf",
        FrameFormat(sample_rate_hz=1e6, max_payload_symbols=2000),
        constellation_name="psk",
        order=4,
        num_symbols=8000,
        gap_samples=500,
        amplitude=0.4,
        seed=1,
    )
    with open_recording(sent) as recording:
        words, _ = to_sc16(recording.read_channels())
        fields = sent_fields(recording)
    words.tofile(tmp_path / "tx.sc16")
    source = {"class": "FileSource", "file": str(tmp_path / "tx.sc16")}
    args = uhd_simulator(source, {"class": "LoopSink"})
    with UsrpRadio(config(args, 1e6)) as radio:
        summary = capture_to_recording(
            radio, tmp_path / "rx.sigmf", num_samples=3 * words.size, global_fields=fields
        )
    with open_recording(summary.path) as received:
        found = describe_recording(received).to_dict()
    # The device plays the four frames over and over; three rounds are recorded.
    assert found["ok"] == 12
    assert [frame["frame_index"] for frame in found["details"]] == [0, 1, 2, 3] * 3


def test_an_antenna_that_the_device_lacks_is_refused_by_name(uhd_simulator: Start) -> None:
    args = uhd_simulator({"class": "LoopSource"}, {"class": "LoopSink"})
    with pytest.raises(RadioError, match="refuses AUX as rx antenna"):
        UsrpRadio(
            UsrpConfig(
                args=args,
                sample_rate_hz=1e6,
                center_frequency_hz=2.4e9,
                rx=UsrpPort(antenna="AUX"),
            )
        )


@pytest.mark.usefixtures("simulator_packages")
def test_a_device_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(RadioError, match=r"no USRP 'addr=127.0.0.1,serial=NOBODY' answers"):
        UsrpRadio(config("addr=127.0.0.1,serial=NOBODY"))
