"""Transmitting and recording at once: where the transmission lies in the recording."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from phyemu.channel import Awgn
from phyemu.errors import ConfigError, RadioError, RecordingError
from phyemu.iq import Annotation, CaptureSegment, Recording, write_recording
from phyemu.radio import (
    EmulatedRadio,
    TransmitEnd,
    TransmitSettings,
    UsrpConfig,
    UsrpRadio,
    capture_transmission,
)
from phyemu.radio.duplex import _annotation

Open = Callable[[Path], Recording]
RATE = 1e6


@pytest.fixture
def sent(tmp_path: Path, opened: Open) -> Recording:
    """Return a recording in which every sample says which it is."""
    iq = (np.arange(1, 5001) / 32768).astype(np.complex64)
    fields = {
        "phyemu:waveform": "sounder",
        "phyemu:reference_power": 0.001,
        # It is a capture itself.
        "phyemu:radio": {"serial": "other"},
        "phyemu:receive_gain_db": 3.0,
        "phyemu:transmit_start_index": 77,
    }
    return opened(
        write_recording(tmp_path / "tx.sigmf", iq, sample_rate_hz=RATE, global_fields=fields)
    )


def usrp(fake: ModuleType, **values: Any) -> UsrpRadio:
    driver = fake.FakeUhd(**({"packet_samples": 500} | values))
    return UsrpRadio(UsrpConfig(sample_rate_hz=RATE, center_frequency_hz=2.4e9), uhd=driver)


def emulated() -> EmulatedRadio:
    return EmulatedRadio(
        Awgn(float("inf")), sample_rate_hz=RATE, symbol_rate_hz=RATE, reference_power=1.0, seed=0
    )


def first_heard(received: Recording, threshold: float = 0.0) -> int:
    """Return the position on the receiver's timeline of the first sample that is not silence."""
    sample = int(np.flatnonzero(np.abs(received.read()) > threshold)[0])
    segment = [one for one in received.captures if one.sample_start <= sample][-1]
    assert segment.global_index is not None
    return sample - segment.sample_start + segment.global_index


def test_an_emulated_transmission_is_placed_in_its_recording(
    sent: Recording, tmp_path: Path, opened: Open
) -> None:
    radio = emulated()
    summary, report = capture_transmission(
        radio, sent, tmp_path / "rx.sigmf", TransmitSettings(repeats=2, delay_s=100e-6)
    )
    assert report is not None
    assert (report.start_index, report.num_samples) == (100, 10_000)
    received = opened(summary.path)
    fields = received.global_fields
    assert fields["phyemu:waveform"] == "sounder"
    assert fields["phyemu:reference_power"] == 0.001
    assert fields["phyemu:transmit_recording"] == "tx.sigmf"
    # What the transmitted recording said of its own reception is not said of this one.
    assert "phyemu:radio" not in fields
    assert fields["phyemu:receive_gain_db"] == 0.0
    assert fields["phyemu:transmit_start_index"] == 100
    assert fields["phyemu:transmit_samples"] == 10_000
    assert fields["phyemu:transmit_period_samples"] == 5000
    assert fields["phyemu:transmit_amplitude"] == 1.0
    assert fields["phyemu:transmit_alignment"] == {"basis": "same radio", "uncertainty_s": 0.0}
    (note,) = received.annotations
    assert (note.label, note.sample_start, note.sample_count) == ("transmission", 100, 10_000)
    begin = 100 + radio.latency_samples
    # The noise-free channel and the rounding to 16 bit: half a step each way, and the filter.
    np.testing.assert_allclose(
        received.read(begin, 10_000), np.tile(sent.read(), 2), atol=1 / 32768 + 1e-5
    )


@pytest.mark.parametrize("delay", [0, 137])
@pytest.mark.parametrize("delay_s", [0.0, 0.25])
def test_a_usrp_hears_its_transmission_exactly_where_the_recording_says(
    sent: Recording, tmp_path: Path, opened: Open, fake_uhd: ModuleType, delay: int, delay_s: float
) -> None:
    # A cable as long as `delay`: the true offset is known.
    radio = usrp(fake_uhd, cable=fake_uhd.Cable(RATE, delay))
    with radio:
        summary, report = capture_transmission(
            radio, sent, tmp_path / "rx.sigmf", TransmitSettings(repeats=3, delay_s=delay_s)
        )
    assert report is not None
    assert report.ended_by is TransmitEnd.COMPLETE
    received = opened(summary.path)
    start = received.global_fields["phyemu:transmit_start_index"]
    # Nothing is heard before the burst, and the recording began before it.
    assert start > max(delay_s, 0.1) * RATE - 1
    assert first_heard(received) == start + delay
    np.testing.assert_array_equal(
        received.read(start + delay, 15_000), np.tile(sent.read(), 3), strict=True
    )
    assert received.annotations[0].sample_start == start
    settings = received.global_fields["phyemu:transmit_radio"]
    assert (settings["serial"], settings["antenna"]) == ("F4KE", ["RX2"])
    assert received.global_fields["phyemu:radio"]["serial"] == "F4KE"
    assert received.global_fields["phyemu:transmit_report"] == {
        "underflows": 0,
        "sequence_errors": 0,
        "late": 0,
        "clipped": 0,
        "acknowledged": True,
        "ended_by": "complete",
    }


def test_a_gap_in_the_reception_moves_nothing(
    sent: Recording, tmp_path: Path, opened: Open, fake_uhd: ModuleType
) -> None:
    script = [fake_uhd.Data(60_000), fake_uhd.Lose(1234), fake_uhd.Data(50_000)]
    script += [fake_uhd.Lose(1000), fake_uhd.Data(1 << 30)]
    with usrp(fake_uhd, cable=fake_uhd.Cable(RATE), script=script) as radio:
        summary, _ = capture_transmission(radio, sent, tmp_path / "rx.sigmf")
    received = opened(summary.path)
    assert len(received.captures) == 3
    start = received.global_fields["phyemu:transmit_start_index"]
    assert first_heard(received) == start
    (note,) = received.annotations
    assert received.read(note.sample_start, 1)[0] == sent.read(0, 1)[0]


def test_the_receiver_runs_before_the_burst_is_timed(
    sent: Recording, tmp_path: Path, fake_uhd: ModuleType
) -> None:
    cable = fake_uhd.Cable(RATE)
    radio = usrp(fake_uhd, cable=cable)
    asked: list[int] = []
    time_now = cable.time_now

    def note(transmitter: bool) -> Any:
        asked.append(cable.now)
        return time_now(transmitter)

    cable.time_now = note
    with radio:
        capture_transmission(radio, sent, tmp_path / "rx.sigmf")
    assert asked
    assert min(asked) > radio._uhd.first_tick


@pytest.mark.parametrize("ahead_s", [0.0, 5.0, 0.3])
@pytest.mark.parametrize("source", ["external", "internal"])
def test_two_devices_say_how_well_their_times_align(
    sent: Recording,
    tmp_path: Path,
    opened: Open,
    fake_uhd: ModuleType,
    ahead_s: float,
    source: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cable = fake_uhd.Cable(RATE, 50, ahead=round(ahead_s * RATE))
    with usrp(fake_uhd, cable=cable) as receiver, usrp(fake_uhd, cable=cable) as transmitter:
        for device in (receiver, transmitter):
            device._uhd.clock_offset = 0
        monkeypatch.setattr(fake_uhd.MultiUSRP, "get_time_source", lambda self, board: source)
        summary, report = capture_transmission(
            receiver, sent, tmp_path / "rx.sigmf", transmitter=transmitter
        )
    assert report is not None
    assert report.start_index is None  # the transmitter received nothing
    received = opened(summary.path)
    alignment = received.global_fields["phyemu:transmit_alignment"]
    error = received.global_fields["phyemu:transmit_start_index"] + 50 - first_heard(received)
    if source == "external" and ahead_s != 0.3:
        # A pulse per second makes times equal but for whole seconds.
        assert alignment == {"basis": "shared time", "uncertainty_s": 0.0}
        assert error == 0
    else:
        assert alignment["basis"] == "host clock"
        assert abs(error) <= alignment["uncertainty_s"] * RATE + 1
        assert 0 < alignment["uncertainty_s"] < 0.1


def test_a_transmission_lasts_as_long_as_it_records(
    sent: Recording, tmp_path: Path, opened: Open, fake_uhd: ModuleType
) -> None:
    with usrp(fake_uhd, cable=fake_uhd.Cable(RATE)) as radio:
        summary, report = capture_transmission(
            radio,
            sent,
            tmp_path / "rx.sigmf",
            TransmitSettings(repeats=None),
            num_samples=400_000,
        )
    assert report is not None
    assert report.ended_by is TransmitEnd.STOPPED
    received = opened(summary.path)
    (note,) = received.annotations
    assert note.sample_start + (note.sample_count or 0) == received.num_samples == 400_000


def test_what_fails_on_the_way_out_does_not_take_the_recording_with_it(
    tmp_path: Path, opened: Open, fake_uhd: ModuleType
) -> None:
    iq = np.ones(300_000, np.complex64)
    iq[200_000] = np.nan
    raw = opened(
        write_recording(
            tmp_path / "tx.sigmf",
            np.ones(300_000, np.complex64),
            sample_rate_hz=RATE,
            datatype="cf32_le",
        )
    )
    raw.read_channels = (
        lambda start=0, count=None: (  # type: ignore[method-assign]
            iq[None, start : start + count] if start + count < 200_000 else fail()
        )
    )

    def fail() -> Any:
        raise RecordingError("tx.sigmf: sample 200000 is NaN")

    with (
        usrp(fake_uhd) as radio,
        pytest.raises(RecordingError, match="sample 200000"),
    ):
        capture_transmission(radio, raw, tmp_path / "rx.sigmf", num_samples=400_000)
    assert opened(tmp_path / "rx.sigmf").num_samples == 400_000


def test_a_second_ctrl_c_does_not_take_the_recording_with_it(
    sent: Recording, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(self: Any, timeout_s: float | None = None) -> None:
        raise KeyboardInterrupt

    radio = emulated()
    monkeypatch.setattr(type(radio.transmit(np.zeros(1, np.complex64))), "wait", interrupt)
    summary, report = capture_transmission(radio, sent, tmp_path / "rx.sigmf", num_samples=1000)
    assert report is None
    assert opened(summary.path).num_samples == 1000


def test_a_transmitter_that_does_not_end_is_a_failure_that_the_recording_tells(
    sent: Recording, tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    radio = emulated()
    asked: list[float | None] = []

    def hang(self: Any, timeout_s: float | None = None) -> None:
        asked.append(timeout_s)

    monkeypatch.setattr(type(radio.transmit(np.zeros(1, np.complex64))), "wait", hang)
    summary, report = capture_transmission(radio, sent, tmp_path / "rx.sigmf", num_samples=1000)
    assert asked == [10.0]
    assert report is not None
    assert report.ended_by is TransmitEnd.STALLED
    assert "stalled: it has not ended 10 s after it was told to" in report.line()
    told = opened(summary.path).global_fields
    assert told["phyemu:transmit_report"]["ended_by"] == "stalled"
    assert "phyemu:transmit_start_index" not in told


def test_what_cannot_be_sent_is_refused_before_anything_is_received(
    sent: Recording, tmp_path: Path, fake_uhd: ModuleType
) -> None:
    driver = fake_uhd.FakeUhd(rate=2e6, tx_rate=2e6, rates=(2e6,))
    settings = UsrpConfig(sample_rate_hz=2e6, center_frequency_hz=2.4e9)
    with UsrpRadio(settings, uhd=driver) as radio:
        with pytest.raises(RadioError, match="made for 1000000 Hz"):
            capture_transmission(radio, sent, tmp_path / "rx.sigmf")
        assert driver.commands == []
    with usrp(fake_uhd, tx_rate=2e6) as radio:
        with pytest.raises(RadioError, match="transmitter runs at 2000000 Hz"):
            capture_transmission(radio, sent, tmp_path / "rx.sigmf")
        assert radio._uhd.commands == []
    with pytest.raises(ConfigError, match="no channel 3"):
        capture_transmission(
            emulated(), sent, tmp_path / "rx.sigmf", TransmitSettings(channels=(3,))
        )
    assert not (tmp_path / "rx.sigmf").exists()


def test_the_annotation_keeps_to_what_was_recorded() -> None:
    segments = [
        CaptureSegment(sample_start=0, global_index=100),
        CaptureSegment(sample_start=50, global_index=400),
        CaptureSegment(sample_start=80),
    ]

    def note(start: int, count: int) -> tuple[int, int | None] | None:
        found: Annotation | None = _annotation(segments, 100, start, count)
        return None if found is None else (found.sample_start, found.sample_count)

    # Samples 0..49 are 100..149 of the timeline, 50..79 are 400..429, the rest nobody knows.
    assert note(110, 20) == (10, 20)
    assert note(140, 270) == (40, 20)
    assert note(0, 1000) == (0, 80)
    assert note(200, 100) is None
    assert note(200, 210) == (50, 10)
    assert note(430, 10) is None
