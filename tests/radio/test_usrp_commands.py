"""The commands that a user types, with the real UHD driver and UHD's own simulator of an E320.

What the terminal shows and how signals are taken is seen in processes; loading PyTorch takes each
some seconds, so the rest runs in this one.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.iq import open_recording, write_recording
from phyemu.receiver import receive_frames
from phyemu.sounding import load_soundings
from phyemu.waveform import FrameFormat, constellation
from phyemu.waveform.transmission import random_symbols

pytestmark = pytest.mark.usrp

PHYEMU = [sys.executable, "-c", "from phyemu_cli.main import main; main()"]
PACKET = 2000
DEVICE = "addr=127.0.0.1"
RECEIVE = ["capture", "--usrp", DEVICE, "--rate", "2M", "--freq", "2.4G", "--gain", "30"]
COUNTING = {"class": "CountingSource"}
TIMEOUT_S = 120
# Samples are played when the simulator has all of them, on a busy machine some time later.
ON_AIR_S = 2


def run(*arguments: object) -> dict[str, Any]:
    """Run a command in this process; it must succeed."""
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def refusal(*arguments: object) -> str:
    """Run a command in this process that must fail; return the line that it says."""
    result = CliRunner().invoke(main, [*map(str, arguments), "--quiet"])
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    return str(line)


@contextmanager
def started(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a process of its own, which ends with the block."""
    process = subprocess.Popen(
        [*PHYEMU, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The driver's own words on socket buffers and lost connections are not ours.
        env=os.environ | {"UHD_LOG_CONSOLE_LEVEL": "fatal"},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_samples(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a capture has written samples into its folder."""
    deadline = time.monotonic() + TIMEOUT_S
    while sum(path.stat().st_size for path in folder.glob("*.partial")) < 200_000:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def numbers_of(path: Path) -> np.ndarray:
    """Return the numbers that the CountingSource gave the samples."""
    with open_recording(path) as recording:
        parts = recording.read().view(np.float32) * 32768
    return parts.astype(np.int16).view(np.uint32).astype(np.int64)


def test_devices_and_doctor_find_the_device_and_its_driver(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    (found,) = run("devices", "--usrp", DEVICE)["usrps"]
    assert found["serial"] == "PHYEMU0"
    assert found["args"] == "type=e3xx,addr=127.0.0.1,serial=PHYEMU0"
    findings = run("doctor", "--folder", tmp_path)["findings"]
    (driver,) = (finding for finding in findings if finding["subject"] == "UHD")
    assert driver["level"] == "ok"
    assert driver["state"].startswith("4.")


def test_capture_records_for_a_time_with_each_gap_as_a_segment(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    simulated_usrp.wire(COUNTING | {"lose_every": "60", "lost_packets": "2"}, {"class": "LoopSink"})
    out = tmp_path / "rx"
    answer = run(*RECEIVE, "--antenna", "RX2", "--duration", 0.3, "-o", out)
    assert answer["ended_by"] == "complete"
    assert answer["num_samples"] == 600_000
    numbers = numbers_of(out)
    missing = np.diff(numbers) - 1
    assert set(missing) == {0, 2 * PACKET}
    assert answer["lost_samples"] == missing.sum()
    assert answer["events"]["sequence_gap"] == answer["num_segments"] - 1 == 5
    with open_recording(out) as recording:
        begins = [0, *(np.flatnonzero(missing) + 1)]
        assert [segment.sample_start for segment in recording.captures] == begins
        indices = [segment.global_index for segment in recording.captures]
        assert indices == [numbers[begin] - numbers[0] for begin in begins]
        assert recording.global_fields["phyemu:radio"]["serial"] == "PHYEMU0"


def test_ctrl_c_ends_a_capture_that_is_valid_and_another_program_finds_the_device_in_use(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    simulated_usrp.wire(COUNTING, {"class": "LoopSink"})
    out = tmp_path / "rx.sigmf"
    with started(*RECEIVE, "-o", out, "--quiet") as process:
        wait_for_samples(tmp_path, process)
        line = refusal(*RECEIVE, "-o", tmp_path / "second")
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert line == f"phyemu: USRP '{DEVICE}' is in use by another program; close it first"
    assert process.returncode == 0, stderr
    assert "interrupted" in stdout
    assert stderr == ""
    numbers = numbers_of(out)
    assert len(numbers) >= 50_000
    np.testing.assert_array_equal(np.diff(numbers), 1)
    run("inspect", out, "--verify")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rx.sigmf"]


@pytest.mark.slow  # UHD waits twice ten seconds for the device
def test_a_device_that_vanishes_leaves_a_valid_recording_and_one_line(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    simulated_usrp.wire(COUNTING, {"class": "LoopSink"})
    out = tmp_path / "rx.sigmf"
    with started(*RECEIVE, "-o", out, "--quiet") as process:
        wait_for_samples(tmp_path, process)
        simulated_usrp.kill()
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    (line,) = stdout.splitlines()
    assert "stalled" in line or "disconnected" in line
    assert stderr == ""
    numbers = numbers_of(out)
    assert f"{len(numbers)} samples" in line
    np.testing.assert_array_equal(np.diff(numbers), 1)
    run("inspect", out, "--verify")


def test_replay_sends_each_repetition_bit_for_bit(simulated_usrp: Any, tmp_path: Path) -> None:
    parts = np.random.default_rng(3).integers(-32768, 32768, (20_001, 2)).astype(np.int16)
    iq = (parts / np.float32(32768)).astype(np.float32).view(np.complex64)[:, 0]
    sent = write_recording(tmp_path / "tx.sigmf", iq, sample_rate_hz=1e6)
    file = tmp_path / "sent.sc16"
    simulated_usrp.wire({"class": "LoopSource"}, {"class": "FileSink", "file": str(file)})
    arguments = ["--usrp", DEVICE, "--freq", "2.4G", "--gain", 10, "--repeat", 3, "--json"]
    with started("replay", sent, *arguments, "--quiet") as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, stderr
    answer = json.loads(stdout)
    assert answer["num_samples"] == 3 * len(parts)
    assert answer["clipped"] == answer["underflows"] == 0
    np.testing.assert_array_equal(
        np.fromfile(file, np.int16).reshape(-1, 2), np.tile(parts, (3, 1))
    )


def test_a_sounder_on_the_air_gives_the_gains_and_the_delay_of_the_paths(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    sent, out = tmp_path / "tx.sigmf", tmp_path / "rx.sigmf"
    arguments = ["--sample-rate", "1M", "--period", 256, "--bursts", 12, "--amplitude", 0.5]
    run("waveform", "sounder", *arguments, "-o", sent)
    with open_recording(sent) as recording:
        num_samples = recording.num_samples
    source = {"lead_samples": str(num_samples), "taps": "0:0.5,7:0.25", "noise": "33"}
    simulated_usrp.wire({"class": "LoopSource"} | source, {"class": "LoopSink"})
    answer = run(
        *("capture", "--usrp", DEVICE, "--freq", "2.4G", "--gain", 30),
        *("--transmit", sent, "--tx-gain", 10, "--duration", ON_AIR_S, "-o", out),
    )
    assert answer["transmitted"]["num_samples"] == num_samples
    assert answer["lost_samples"] == 0
    sounded = run("sound", out, "-o", tmp_path / "cir.h5")
    assert sounded["frames"] == 12
    assert sounded["cfo_hz"]["median"] == pytest.approx(0, abs=1)
    first, second = sounded["paths"][:2]
    # The sounder's RMS is 0.5, of which 0.5 arrive at once and 0.25 after 7 samples. Noise is 46 dB
    # below, and the mean over 12 bursts of 7 periods of 256 samples 43 dB further: 1e-4 for the
    # stronger path, 0.001 dB.
    assert first["gain_db"] == pytest.approx(20 * np.log10(0.5 * 0.5), abs=0.01)
    assert second["gain_db"] == pytest.approx(20 * np.log10(0.5 * 0.25), abs=0.01)
    assert second["delay_s"] - first["delay_s"] == pytest.approx(7e-6, abs=1e-9)
    fitted = run("fit", tmp_path / "cir.h5", "-o", tmp_path / "room.h5")
    assert [path["gain_db"] for path in fitted["paths"][:2]] == [
        pytest.approx(path["gain_db"], abs=0.01) for path in (first, second)
    ]
    # The noise has twice the variance of I, which is that of the noise and of two roundings. The
    # power is that in the band: |0.5 + 0.25 exp(-14j pi f)|^2, averaged over |f| < share / 2.
    (link,) = load_soundings(tmp_path / "cir.h5")
    share = link.bandwidth_hz / 1e6
    power = 0.5**2 * (0.5**2 + 0.25**2 + 2 * 0.5 * 0.25 * np.sinc(7 * share))
    noise = 2 * (33**2 + 2 / 12) / 32768**2
    # Its estimate rests on the bins of 7 periods in each of 12 bursts: five standard errors.
    tolerance = 10 * np.log10(1 + 5 / np.sqrt(12 * 7 * 256 * share))
    assert fitted["cn0_dbhz"] == pytest.approx(10 * np.log10(power / noise * 1e6), abs=tolerance)


def test_frames_that_were_sent_are_decoded_from_what_was_captured(
    simulated_usrp: Any, tmp_path: Path
) -> None:
    sent, out = tmp_path / "tx.sigmf", tmp_path / "rx.sigmf"
    arguments = ["--sample-rate", "1M", "--order", 8, "--symbols", 20_000, "--seed", 5]
    run("waveform", "frames", *arguments, "-o", sent)
    with open_recording(sent) as recording:
        num_samples, num_frames = recording.num_samples, len(recording.annotations)
    source = {"lead_samples": str(num_samples), "taps": "0:0.7,2:-0.1", "noise": "100"}
    simulated_usrp.wire({"class": "LoopSource"} | source, {"class": "LoopSink"})
    run(
        *("capture", "--usrp", DEVICE, "--freq", "2.4G", "--gain", 30),
        *("--transmit", sent, "--tx-gain", 10, "--duration", ON_AIR_S, "-o", out),
    )
    found = run("replay", out)
    assert found["frames"] == found["ok"] == num_frames == 2
    assert [frame["frame_index"] for frame in found["details"]] == [0, 1]
    with open_recording(out) as received:
        frames = receive_frames(
            received.blocks(1 << 18),
            frame_format=FrameFormat.from_dict(received.global_fields["phyemu:frame_format"]),
            constellation=constellation("psk", 8),
        )
    decided = np.concatenate([frame.posteriors.argmax(axis=1) for frame in frames])
    np.testing.assert_array_equal(decided, random_symbols(20_000, order=8, seed=5).numpy())


def test_an_antenna_that_the_device_lacks_is_named_with_those_it_has(simulated_usrp: Any) -> None:
    line = refusal(*RECEIVE, "--antenna", "AUX", "-o", "never")
    assert "refuses AUX as rx antenna of channel 0" in line
    assert not Path("never").exists()


@pytest.mark.usefixtures("simulated_usrp")
def test_a_device_that_does_not_answer_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    args = "addr=127.0.0.1,serial=NOBODY"
    line = refusal("capture", "--usrp", args, *RECEIVE[3:], "-o", tmp_path / "rx")
    assert line.startswith(f"phyemu: no USRP '{args}' answers; check power and cable")
