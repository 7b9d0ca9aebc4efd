"""The worker with a fake radio: what it is told, what it answers, what it leaves on the disk."""

import json
import resource
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import RadioError, StoreError
from phyemu.evaluation import (
    load_exported,
    load_sent_images,
    score_frames,
    score_recording,
)
from phyemu.evaluation.transmission import image_waveform
from phyemu.iq import Recording, open_recording, write_recording
from phyemu.listening import recorded_frames
from phyemu.node.environment import Environment
from phyemu.node.layout import NodeLayout
from phyemu.node.radio_conf import RadioConf, Role
from phyemu.node.roles import transmit as transmit_role
from phyemu.node.roles.capture import Capture
from phyemu.node.roles.occupied_band import occupied_hz
from phyemu.node.roles.transmit import Transmit
from phyemu.node.roles.work import WorkTask
from phyemu.node.worker import WorkerSession, event_line
from phyemu.node.worker_commands import Configure
from phyemu.radio import Radio
from phyemu.receiver import receive_frames
from phyemu.sounding import load_soundings, sound_recording
from phyemu.waveform import FrameFormat, SounderFormat
from phyemu.waveform.sent_frames import sent_frames
from phyemu.waveform.transmission import write_frames, write_sounder
from tests.node.driven_worker import DrivenWorker
from tests.node.fake_radio import FakeRadio, Samples

RATE = 1e6


@pytest.fixture
def radio() -> FakeRadio:
    """Return the radio that the worker opens."""
    return FakeRadio(RATE, 0.0)


@pytest.fixture
def started(worker: DrivenWorker, radio: FakeRadio) -> DrivenWorker:
    """Return a worker in this process with that radio."""

    def open_radio(conf: RadioConf, center_frequency_hz: float) -> Radio:
        radio.frequencies = [center_frequency_hz]
        return radio

    worker.start_here(open_radio)
    return worker


def numbered(first: int, count: int) -> Samples:
    """Return samples that say which they are, as they come back from ci16_le."""
    number = np.arange(first, first + count)
    return ((number % 1000 + 1j * (number // 1000)) / 32768).astype(np.complex64)


def numbers_of(recording: Recording) -> list[int]:
    iq = recording.read(0, recording.num_samples) * 32768
    found: list[int] = (np.round(iq.real) + 1000 * np.round(iq.imag)).astype(int).tolist()
    return found


def test_capture_begins_a_file_at_each_discontinuity_and_each_frequency(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    started.configure("capture", hz=1e9, capture={"max_bytes": 1e6})
    started.expect("ready")
    started.tell("start")
    started.expect("active")
    radio.feed(numbered(0, 3000))
    started.expect("progress", lambda event: event["samples"] == 3000)
    started.tell("discontinuity")
    started.expect("progress", lambda event: event["stretches"] == 2)
    radio.feed(numbered(3000, 2500))
    started.expect("progress", lambda event: event["samples"] == 5500)
    # The same values again are no news.
    started.tell("environment", center_frequency_hz=1e9, rf_bandwidth_hz=5e6)
    started.tell("environment", center_frequency_hz=2.4e9, rf_bandwidth_hz=5e6)
    started.expect("progress", lambda event: event["stretches"] == 3)
    radio.feed(numbered(5500, 2100))
    started.expect("progress", lambda event: event["samples"] == 7600)
    started.tell("statistics")
    assert started.expect("statistics")["stretches"] == 3
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert started.code() == 0
    assert radio.closed
    assert radio.frequencies == [1e9, 2.4e9]
    assert summary == started.read("summary.json")
    assert (summary["samples"], summary["stretches"], summary["ended_by"]) == (7600, 3, "stop")
    expected = {1: (0, 3000, 1e9), 2: (3000, 2500, 1e9), 3: (5500, 2100, 2.4e9)}
    for number, (first, count, frequency_hz) in expected.items():
        with open_recording(started.folder / f"capture-{number:04d}.sigmf") as recording:
            assert numbers_of(recording) == list(range(first, first + count))
            assert recording.center_frequency_hz == frequency_hz
            job = dict(recording.global_fields["phyemu:job"])
            assert job.pop("begin_s") >= 0
            assert job == {
                "name": "job-1",
                "node": 2,
                "scenario": "urban-40db",
                "role": "capture",
                "task": "task-0001",
                "stretch": number,
                "rf_bandwidth_hz": 5e6,
            }


def test_capture_stops_at_max_bytes_and_goes_on_listening(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    started.configure("capture", capture={"max_bytes": 4 * 5000 + 3})
    started.expect("ready")
    started.tell("start")
    radio.feed(numbered(0, 9000))
    started.expect("progress", lambda event: event["max_bytes_reached"])
    started.tell("discontinuity")  # of what comes then nothing is kept
    radio.feed(numbered(9000, 1000))
    started.expect("progress", lambda event: event["stretches"] == 2)
    started.tell("stop")
    assert started.expect("stopped")["summary"]["samples"] == 5000
    assert [path.name for path in started.folder.glob("*.sigmf*")] == ["capture-0001.sigmf"]


@pytest.mark.parametrize("kept", [1e6, 400.0])
def test_a_radio_that_vanishes_is_an_error_with_the_reason(
    started: DrivenWorker, radio: FakeRadio, kept: float
) -> None:
    started.configure("capture", capture={"max_bytes": kept})
    started.expect("ready")
    started.tell("start")
    radio.feed(numbered(0, 3000))
    started.expect("progress", lambda event: event["samples"] > 0)
    radio.gone.set()
    reason = started.expect("error")["reason"]
    assert "fake radio" in reason
    assert "pulled" in reason
    assert len(reason.splitlines()) == 1
    assert started.code() == 1
    summary = started.read("summary.json")
    assert (summary["ended_by"], summary["reason"]) == ("error", reason)
    with open_recording(started.folder / "capture-0001.sigmf") as recording:
        assert numbers_of(recording) == list(range(min(3000, int(kept // 4))))


def test_a_full_disk_is_an_error_and_keeps_what_it_took(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    limit, (_, most) = 300_000, resource.getrlimit(resource.RLIMIT_FSIZE)
    started.configure("capture")
    started.expect("ready")
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        started.tell("start")
        radio.feed(numbered(0, 100_000))
        radio.feed(numbered(100_000, 100_000))
        reason = started.expect("error")["reason"]
        assert started.code() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert "cannot be written (File too large)" in reason
    with open_recording(started.folder / "capture-0001.sigmf") as recording:
        assert 32_768 <= recording.num_samples <= limit // 4
        assert numbers_of(recording) == list(range(recording.num_samples))


def test_a_start_and_a_stop_without_a_sample_leave_nothing(started: DrivenWorker) -> None:
    started.configure("capture")
    started.expect("ready")
    started.tell("start")
    started.expect("active")
    started.end_of_input()
    assert started.expect("stopped")["summary"]["samples"] == 0
    assert started.code() == 0
    assert not list(started.folder.glob("*.sigmf*"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\x00{", "a command must be a line of JSON"),
        (b'{"command": "start"}', "the first command must be configure, got start"),
        (b'{"command": "configure"}', "radio_conf and environment must be objects"),
        (
            b'{"command": "configure", "radio_conf": {"role": "capture"}, "environment": {}}',
            "center_frequency_hz must be positive [Hz], got 'None'",
        ),
        (
            b'{"command": "configure", "radio_conf": {"role": "captur"}, "environment": {}}',
            "role must be one of",
        ),
        (
            b'{"command": "configure", "radio_conf": {"role": "idle"}, '
            b'"environment": {"center_frequency_hz": 1e9}}',
            "role idle needs no worker",
        ),
    ],
)
def test_a_first_line_that_is_no_configuration_is_an_error(
    started: DrivenWorker, line: bytes, reason: str
) -> None:
    started.write(line)
    assert reason in started.expect("error")["reason"]
    assert started.code() == 1


def test_garbage_later_costs_nothing_but_a_note(
    started: DrivenWorker, radio: FakeRadio, capsys: pytest.CaptureFixture[str]
) -> None:
    started.configure("capture")
    started.expect("ready")
    started.tell("start")
    started.write(b"\xff garbage")
    started.write(b'{"command": "explode"}')
    started.write(b'["stop"]')
    started.write(b"")
    started.configure("sound")
    started.tell("environment", center_frequency_hz="high")
    radio.feed(numbered(0, 2000))
    started.expect("progress", lambda event: event["samples"] == 2000)
    started.tell("stop")
    assert started.expect("stopped")["summary"]["role"] == "capture"
    notes = capsys.readouterr().err.splitlines()
    assert len([line for line in notes if "ignored: " in line]) == 5
    assert any("unknown command 'explode'; known: configure" in line for line in notes)


def test_a_radio_that_is_not_there_is_an_error(worker: DrivenWorker) -> None:
    def open_radio(conf: RadioConf, center_frequency_hz: float) -> Radio:
        raise RadioError("no USRP answers;\n check power and cable")

    worker.start_here(open_radio)
    worker.configure("capture")
    assert worker.expect("error")["reason"] == "no USRP answers; check power and cable"
    assert worker.code() == 1
    assert worker.read("summary.json")["ended_by"] == "error"


def test_an_error_is_told_where_keeping_fails_again(
    started: DrivenWorker, radio: FakeRadio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(work: Capture) -> None:
        raise StoreError("frames.h5: no room is left")

    monkeypatch.setattr(Capture, "keep", keep)
    started.configure("capture")
    started.expect("ready")
    started.tell("start")
    radio.feed(numbered(0, 3000))
    assert started.expect("error")["reason"] == "frames.h5: no room is left"
    assert started.code() == 1
    summary = started.read("summary.json")
    assert (summary["ended_by"], summary["reason"]) == ("error", "frames.h5: no room is left")


def test_what_is_made_and_cannot_be_kept_at_the_stop_is_an_error(
    started: DrivenWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(work: Capture) -> None:
        raise StoreError("frames.h5: no room is left")

    started.configure("capture")
    started.expect("ready")
    monkeypatch.setattr(Capture, "keep", keep)
    started.tell("stop")
    assert started.expect("error")["reason"] == "frames.h5: no room is left"
    assert started.read("summary.json")["ended_by"] == "error"


def test_an_exception_that_nobody_foresaw_is_told_with_its_type(worker: DrivenWorker) -> None:
    said: list[Any] = []
    notes: list[str] = []

    def open_radio(conf: RadioConf, center_frequency_hz: float) -> Radio:
        raise RuntimeError("EnvironmentError: IOError:\n the FPGA is another")

    session = WorkerSession(
        NodeLayout(worker.root),
        worker.folder,
        say=said.append,
        note=notes.append,
        open_radio=open_radio,
    )
    session.take(Configure(RadioConf(role=Role.CAPTURE), Environment(1e9)))
    with pytest.raises(RuntimeError, match="FPGA"):
        session.run()
    reason = "RuntimeError: EnvironmentError: IOError: the FPGA is another"
    assert said == [{"event": "error", "reason": reason}]
    assert notes == [reason]
    assert worker.read("summary.json")["reason"] == reason


def test_a_signal_wider_than_the_emulated_band_is_told_of_until_it_is_not(
    started: DrivenWorker,
) -> None:
    text = "the signal takes 1 MHz, but the emulated band has 0.8 MHz"
    started.configure("capture", band_hz=0.8e6)
    assert started.expect("problem")["text"] == text
    started.expect("ready")
    started.tell("environment", center_frequency_hz=1e9, rf_bandwidth_hz=1e6)
    assert started.expect("problem")["text"] == ""
    started.tell("stop")
    assert started.expect("stopped")["summary"]["problems"] == [text]


def test_frames_take_the_band_of_their_pulses_and_others_that_of_their_samples(
    tmp_path: Path,
) -> None:
    frames = write_frames(
        tmp_path / "frames.sigmf",
        FrameFormat(sample_rate_hz=RATE, samples_per_symbol=4, rolloff=0.3),
        constellation_name="psk",
        order=4,
        num_symbols=100,
        amplitude=0.4,
        gap_samples=300,
        seed=1,
    )
    format_ = SounderFormat(sample_rate_hz=RATE, length=63, repetitions=4, gap_samples=126)
    sounder = write_sounder(tmp_path / "sounder.sigmf", format_, num_bursts=3, amplitude=0.2)
    with open_recording(frames) as recording:
        assert occupied_hz(recording) == pytest.approx(RATE / 4 * 1.3)
    with open_recording(sounder) as recording:
        assert occupied_hz(recording) == RATE


def test_two_threads_write_transmission_json_one_after_the_other(
    worker: DrivenWorker, radio: FakeRadio, monkeypatch: pytest.MonkeyPatch
) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=63, repetitions=4, gap_samples=126)
    write_sounder(worker.content / "tx.sigmf", format_, num_bursts=3, amplitude=0.2)
    work = Transmit(
        WorkTask(
            conf=RadioConf(role=Role.TRANSMIT),
            content=worker.content,
            folder=worker.folder,
            scratch=worker.root,
        )
    )
    work.prepare(radio, threading.Event())
    entered, release, again = threading.Event(), threading.Event(), threading.Event()

    def write(path: Path, told: Any) -> None:
        (again if entered.is_set() else entered).set()
        assert release.wait(60)

    monkeypatch.setattr(transmit_role, "write_json_atomically", write)
    threads = [threading.Thread(target=work.keep) for _ in range(2)]
    for count, thread in enumerate(threads):
        work._stretches[:] = [{"samples": count}]  # something new each time
        thread.start()
        assert entered.wait(60)
    assert not again.wait(0.2)
    release.set()
    assert again.wait(60)
    for thread in threads:
        thread.join(60)
    work.close()


def test_transmit_repeats_without_a_gap_and_starts_anew_at_another_frequency(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=63, repetitions=4, gap_samples=126)
    path = started.content / "tx.sigmf"
    write_sounder(path, format_, num_bursts=3, amplitude=0.2)
    with open_recording(path) as recording:
        iq = recording.read(0, recording.num_samples)
    radio.enough = 40 * len(iq)
    started.configure("transmit", transmit={"peak_dbfs": -6.0})
    started.expect("ready")
    started.tell("start")
    assert radio.sent_enough.wait(60)
    started.tell("environment", center_frequency_hz=2e9, rf_bandwidth_hz=5e6)
    started.expect("progress", lambda event: event["stretches"] == 2)
    assert radio.sent_enough.wait(60)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert started.code() == 0
    assert radio.frequencies == [1e9, 2e9]
    peak = max(np.abs(iq.real).max(), np.abs(iq.imag).max())
    expected = np.tile(iq, 2) * np.float32(10 ** (-6 / 20) / peak)
    assert len(radio.transmissions) == 2
    for transmission in radio.transmissions:
        sent = np.concatenate(transmission.samples, axis=None)
        np.testing.assert_allclose(sent[: 2 * len(iq)], expected, atol=1e-6)
        np.testing.assert_allclose(sent[-len(iq) :], expected[: len(iq)], atol=1e-6)
    told = started.read("transmission.json")
    samples = sum(transmission.num_samples for transmission in radio.transmissions)
    assert told["samples"] == summary["samples"] == samples
    assert told["pass_samples"] == len(iq)
    assert told["frames_per_pass"] == 3
    assert told["frames"] == 3 * samples // len(iq)  # every block holds whole passes
    assert told["air_time_s"] == pytest.approx(samples / RATE)
    power = np.mean(np.square(np.abs(expected[63 : 63 + 4 * 63])))
    assert told["power_dbfs"] == pytest.approx(10 * np.log10(power), abs=0.05)
    frequencies = [entry["center_frequency_hz"] for entry in told["stretches"]]
    assert frequencies == [1e9, 2e9]


def test_a_transmitter_that_vanishes_is_an_error(started: DrivenWorker, radio: FakeRadio) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=63, repetitions=4, gap_samples=126)
    write_sounder(started.content / "tx.sigmf", format_, num_bursts=3, amplitude=0.2)
    started.configure("transmit")
    started.expect("ready")
    started.tell("start")
    assert radio.sent_enough.wait(60)
    radio.gone.set()
    assert "disconnected: pulled" in started.expect("error")["reason"]
    assert started.read("transmission.json")["samples"] == radio.transmissions[0].num_samples


@pytest.mark.parametrize(
    ("role", "sections", "reason"),
    [
        ("transmit", {}, "tx.sigmf: no such recording; put it into the image"),
        ("sound", {}, "tx.sigmf: no such recording; put what is transmitted into the image"),
        ("receive", {}, "tx.sigmf: no such recording, so nothing tells what the frames are"),
        ("phydnn-transmit", {}, "phydnn: holds no exported head (head/m*.safetensors)"),
        ("phydnn-receive", {}, "phydnn: holds no exported tail (tail/m*.safetensors)"),
    ],
)
def test_content_that_is_missing_is_named(
    started: DrivenWorker, role: str, sections: dict[str, object], reason: str
) -> None:
    started.configure(role, **sections)
    assert reason in started.expect("error")["reason"]
    assert started.code() == 1


def test_content_that_does_not_fit_the_radio_is_refused(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    write_frames(
        started.content / "tx.sigmf",
        FrameFormat(sample_rate_hz=2e6),
        constellation_name="psk",
        order=4,
        num_symbols=100,
        amplitude=0.4,
        gap_samples=300,
        seed=1,
    )
    started.configure("receive")
    assert started.expect("error")["reason"] == (
        "fake radio: runs at 1 MHz, but the frames have 2 MHz; set sample_rate_hz in [radio] of "
        "radio.conf"
    )


def faded(iq: Samples, seed: int, noise: float) -> Samples:
    """Return samples through two paths, with noise."""
    rng = np.random.default_rng(seed)
    through = iq.copy()
    through[3:] += 0.3j * iq[:-3]
    drawn = rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq))
    return (through + noise * drawn).astype(np.complex64)


def test_soundings_are_those_of_the_windows_that_are_kept(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=127, repetitions=5, gap_samples=381)
    path = started.content / "tx.sigmf"
    write_sounder(path, format_, num_bursts=40, amplitude=0.2)
    with open_recording(path) as recording:
        iq = faded(recording.read(0, recording.num_samples), 1, 1e-3)
    section = {"window_s": 0.008, "every_s": 0.012, "keep_samples": True}
    started.configure("sound", sound=section)
    started.expect("ready")
    started.tell("start")
    # Then the transmitter is silent.
    iq = np.concatenate([iq, np.full(20_000, 1e-3, np.complex64)])
    radio.feed(iq)
    started.expect("progress", lambda event: event["windows_without_signal"] >= 1)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert started.code() == 0
    windows = sorted(started.folder.glob("window-*.sigmf"))
    soundings = sorted(started.folder.glob("soundings-*.h5"))
    assert len(windows) == summary["windows"]
    assert len(soundings) == summary["windows"] - summary["windows_without_signal"] >= 3
    begins = []
    for stored in soundings:
        found = load_soundings(stored)
        window = stored.with_name(stored.name.replace("soundings", "window").replace("h5", "sigmf"))
        with open_recording(window) as kept, open_recording(path) as reference:
            start = kept.captures[0].global_index
            assert start is not None
            np.testing.assert_allclose(
                kept.read(0, kept.num_samples), iq[start : start + 8000], atol=1e-4
            )
            expected = sound_recording(kept, reference=reference)
        assert len(found) == len(expected) == 1
        np.testing.assert_array_equal(found[0].transfer, expected[0].transfer)
        np.testing.assert_array_equal(found[0].paths.gains, expected[0].paths.gains)
        delays_s = found[0].paths.delays_s.numpy()
        assert delays_s == pytest.approx([0.0, 3 / RATE], abs=0.1 / RATE)
        begins.append(found[0].provenance["begin_s"])
        assert found[0].provenance["job"]["scenario"] == "urban-40db"
    # Windows follow each other in the time of the samples, however long sounding takes.
    np.testing.assert_allclose(np.diff(begins), 0.012, atol=1e-9)


def test_a_link_that_sums_above_full_scale_is_sounded_as_it_is_and_said(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=127, repetitions=5, gap_samples=381)
    path = started.content / "tx.sigmf"
    write_sounder(path, format_, num_bursts=20, amplitude=0.7)
    with open_recording(path) as recording:
        sent = recording.read(0, recording.num_samples)
    iq = sent.copy()
    for delay in (3, 9):
        iq[delay:] += sent[:-delay]
    beyond = (np.abs(iq.real) >= 1) | (np.abs(iq.imag) >= 1)
    assert np.count_nonzero(beyond[:8000]) > 100
    started.configure("sound", sound={"window_s": 0.008, "every_s": 0.008})
    started.expect("ready")
    started.tell("start")
    radio.feed(iq[:8500])
    started.expect("progress", lambda event: event["windows"] == 1)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert summary["clipped_samples"] == np.count_nonzero(beyond[:8000])
    (found,) = load_soundings(started.folder / "soundings-0001.h5")
    assert found.provenance["clipped_samples"] == summary["clipped_samples"]
    # Three equal paths and no other: nothing was limited on the way.
    assert found.paths.num_paths == 3
    powers_db = 20 * np.log10(np.abs(found.paths.gains.numpy()).mean(axis=0))
    assert np.ptp(powers_db) < 0.2


def test_samples_of_windows_are_thrown_away_where_nobody_wants_them(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    format_ = SounderFormat(sample_rate_hz=RATE, length=127, repetitions=5, gap_samples=381)
    write_sounder(started.content / "tx.sigmf", format_, num_bursts=10, amplitude=0.2)
    with open_recording(started.content / "tx.sigmf") as recording:
        iq = recording.read(0, recording.num_samples)
    started.configure("sound", sound={"window_s": 0.004, "every_s": 0.004})
    started.expect("ready")
    started.tell("start")
    radio.feed(faded(iq, 2, 1e-3)[:9000])
    started.expect("progress", lambda event: event["windows"] == 2)
    started.tell("stop")  # in the middle of the third
    started.expect("stopped")
    names = sorted(item.name for item in started.folder.iterdir())
    assert names == ["soundings-0001.h5", "soundings-0002.h5", "summary.json"]


def test_received_frames_are_those_that_a_recording_holds(
    started: DrivenWorker, radio: FakeRadio, tmp_path: Path
) -> None:
    frame_format = FrameFormat(sample_rate_hz=RATE, max_payload_symbols=300)
    path = started.content / "tx.sigmf"
    write_frames(
        path,
        frame_format,
        constellation_name="psk",
        order=4,
        num_symbols=2000,
        amplitude=0.4,
        gap_samples=300,
        seed=1,
    )
    with open_recording(path) as recording:
        iq = faded(recording.read(0, recording.num_samples), 3, 0.01)
        fields = recording.global_fields
    started.configure("receive")
    started.expect("ready")
    started.tell("start")
    radio.feed(iq)
    told = started.expect("progress", lambda event: event["frames"] >= 6)
    assert told["samples"] > 0  # of the stretch at work
    assert told["snr_db"] > 20
    assert (told["gaps"], told["lost_samples"]) == (0, 0)
    # They are on the disk by now, or at most half a second later: see the test with a kill.
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    heard = write_recording(
        tmp_path / "heard.sigmf",
        iq,
        sample_rate_hz=RATE,
        datatype="cf32_le",
        global_fields={key: fields[key] for key in ("phyemu:frame_format", "phyemu:constellation")},
    )
    with open_recording(heard) as recording:
        expected = recorded_frames(recording, sent_frames(recording.global_fields, name="x"))
    assert len(expected) == summary["frames"] == 7
    with h5py.File(started.folder / "frames-0001.h5") as file:
        np.testing.assert_array_equal(
            file["frames/sample_start"][()], [frame.sample_start for frame in expected]
        )
        points = np.concatenate([frame.points for frame in expected])
        np.testing.assert_allclose(file["symbols/points"][()], points, atol=1e-5)
        job = json.loads(file.attrs["provenance"])["job"]
        assert job["node"] == 2


def test_frames_beyond_max_bytes_are_counted_and_not_kept(
    started: DrivenWorker, radio: FakeRadio
) -> None:
    frame_format = FrameFormat(sample_rate_hz=RATE, max_payload_symbols=100)
    path = started.content / "tx.sigmf"
    write_frames(
        path,
        frame_format,
        constellation_name="psk",
        order=4,
        num_symbols=500,
        amplitude=0.4,
        gap_samples=300,
        seed=1,
    )
    with open_recording(path) as recording:
        iq = recording.read(0, recording.num_samples)
    # 8 bytes a point, 4 a posterior: the second frame of 100 symbols fills it.
    started.configure("receive", receive={"like": "tx.sigmf", "max_bytes": 100 * 24 + 1})
    started.expect("ready")
    started.tell("start")
    radio.feed(iq)
    radio.feed(np.zeros(5000, np.complex64))
    started.expect("progress", lambda event: event["frames"] == 5)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert (summary["frames"], summary["frames_not_kept"]) == (5, 3)
    with h5py.File(started.folder / "frames-0001.h5") as file:
        assert file["frames/frame_index"][()].tolist() == [0, 1]


@given(count=st.integers(0, 2000))
def test_events_stay_short_however_many_stretches_there_were(count: int) -> None:
    captures = [{"path": f"capture-{number:04d}.sigmf"} for number in range(count)]
    event = {"event": "stopped", "summary": {"samples": 7, "captures": captures}}
    line = event_line(event)
    assert len(line) <= 1 << 15
    told = json.loads(line)
    if len(json.dumps(event)) <= 1 << 15:
        assert told == event
    else:
        assert told == {"event": "stopped", "summary": {"samples": 7}}


Installed = Callable[[str], Path]


@pytest.fixture
def phydnn_of(started: DrivenWorker, content: Path, radio: FakeRadio) -> Installed:
    """Return a function that gives the worker one side of the PhyDNN, and its radio the rate."""

    def install(side: str) -> Path:
        folder = started.content / "phydnn"
        shutil.copytree(content / side, folder / side)
        name = {"head": "images.npz", "tail": "sent.npz"}[side]
        shutil.copyfile(content / name, folder / name)
        radio.rate_hz = 20e6
        return folder

    return install


def test_the_head_sends_what_the_tail_expects(
    started: DrivenWorker, radio: FakeRadio, run: Path, content: Path, phydnn_of: Installed
) -> None:
    phydnn_of("head")
    radio.enough = 1 << 17
    started.configure("phydnn-transmit", transmit={"peak_dbfs": -1.0})
    # 10 Msymbols/s with a rolloff of 0.25.
    problem = "the signal takes 12.5 MHz, but the emulated band has 5 MHz"
    assert started.expect("problem")["text"] == problem
    started.expect("ready")
    waveform = NodeLayout(started.root).scratch / "images.sigmf"
    assert waveform.exists()
    started.tell("start")
    assert radio.sent_enough.wait(60)
    started.tell("stop")
    started.expect("stopped")
    assert started.code() == 0
    assert not waveform.exists()
    told = started.read("transmission.json")
    sent = load_sent_images(content / "sent.npz")
    both = load_exported(run)
    iq = np.concatenate(radio.transmissions[0].samples, axis=None)
    first = iq[: told["pass_samples"]]
    frames = receive_frames(
        [first], frame_format=both.frame_format, constellation=both.constellation
    )
    score = score_frames(frames, sent, both, channel="wire", fidelity="frames").evaluation
    assert (score.ser, score.frames_lost) == (0.0, 0)
    np.testing.assert_allclose(iq[len(first) : 2 * len(first)], first)
    assert np.abs(first.view(np.float32)).max() == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    assert told["frames_per_pass"] == len(sent.payload_plan)
    assert told["images_per_pass"] == 20
    passes = told["samples"] / told["pass_samples"]
    bits = 2 * 20 * both.symbols_per_image
    assert told["bytes_on_air"]["payload"] == pytest.approx(passes * bits / 8)
    overhead = sum(both.frame_format.overhead_symbols(size) for size in sent.payload_plan)
    assert told["bytes_on_air"]["overhead"] == pytest.approx(passes * overhead * 2 / 8)
    assert told["air_s"] == pytest.approx(told["pass_samples"] / 20e6 / 20)
    latency = told["head_latency"]
    assert told["head_s"] == latency["single"]["median_s"] > 0
    assert latency["single"]["p95_s"] >= latency["single"]["median_s"]
    assert latency["batch"]["images"] == 20
    assert latency["device"]


@pytest.mark.parametrize("noise", [0.01, 0.12])
def test_predictions_are_those_of_the_recording(
    started: DrivenWorker,
    radio: FakeRadio,
    run: Path,
    content: Path,
    phydnn_of: Installed,
    tmp_path: Path,
    noise: float,
) -> None:
    folder = phydnn_of("tail")
    both, sent = load_exported(run), load_sent_images(folder / "sent.npz")
    wave, _ = image_waveform(
        sent, both.constellation, both.frame_format, amplitude=0.3, gap_samples=1024
    )
    iq = faded(wave.numpy(), 5, noise)
    started.configure("phydnn-receive")
    started.expect("ready")
    started.tell("start")
    radio.feed(iq)
    radio.feed(iq)  # the next pass
    started.expect("progress", lambda event: event["images"] >= 20)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert started.code() == 0
    path = write_recording(tmp_path / "rx.sigmf", iq, sample_rate_hz=20e6, datatype="cf32_le")
    with open_recording(path) as recording:
        expected = score_recording(recording, run, sent=sent)
    lines = (started.folder / "predictions.jsonl").read_text().splitlines()
    told = [json.loads(line) for line in lines]
    assert [line["index"] for line in told] == list(range(20)) * 2
    assert [line["prediction"] for line in told[:20]] == expected.predictions.tolist()
    assert [line["label"] for line in told[:20]] == sent.labels.tolist()
    assert summary["accuracy"] == pytest.approx(expected.evaluation.accuracy)
    assert summary["symbol_error_rate"] == pytest.approx(expected.evaluation.ser, abs=2e-3)
    if noise > 0.1:
        assert summary["symbol_error_rate"] > 0.01  # the comparison is not one of zeros
    errors = sum(line["symbol_errors"] for line in told)
    assert errors == summary["symbol_errors"]
    assert summary["frames_lost"] == 0
    assert summary["tail_s"] > 0
    with h5py.File(started.folder / "frames-0001.h5") as file:
        assert len(file["frames/status"]) == summary["frames"] == 2 * len(sent.payload_plan)


def test_without_what_was_sent_images_are_still_classified(
    started: DrivenWorker, radio: FakeRadio, run: Path, content: Path, phydnn_of: Installed
) -> None:
    (phydnn_of("tail") / "sent.npz").unlink()
    both, sent = load_exported(run), load_sent_images(content / "sent.npz")
    wave, _ = image_waveform(
        sent, both.constellation, both.frame_format, amplitude=0.3, gap_samples=1024
    )
    started.configure("phydnn-receive")
    started.expect("ready")
    started.tell("start")
    radio.feed(wave.numpy())
    radio.feed(np.zeros(50_000, np.complex64))
    started.expect("progress", lambda event: event["images"] >= 20)
    started.tell("stop")
    summary = started.expect("stopped")["summary"]
    assert summary["accuracy"] is None
    assert summary["symbol_error_rate"] is None
    told = [
        json.loads(line) for line in (started.folder / "predictions.jsonl").read_text().splitlines()
    ]
    frames = receive_frames(
        [wave.numpy()], frame_format=both.frame_format, constellation=both.constellation
    )
    expected = score_frames(frames, sent, both, channel="wire", fidelity="frames")
    assert [line["prediction"] for line in told] == expected.predictions.tolist()
    assert {line["label"] for line in told} == {None}


def test_a_stop_while_it_prepares_is_obeyed(started: DrivenWorker, phydnn_of: Installed) -> None:
    phydnn_of("head")
    started.configure("phydnn-transmit")
    started.tell("stop")
    # It may have been ready before it was told.
    summary = started.expect("stopped", passing=("ready",))["summary"]
    assert started.code() == 0
    assert summary["stretches"] == 0
