"""`phyemu receive` from the command line."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.iq import RecordingWriter, open_recording, write_recording

RUN = "from phyemu_cli.main import main; main()"


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of five frames at 20 dB that says what they are."""
    folder = tmp_path_factory.mktemp("receive")
    sent, path = folder / "tx.sigmf", folder / "rx.sigmf"
    for arguments in (
        ["waveform", "frames", "--symbols", "70000", "-o", str(sent)],
        ["emulate", str(sent), "--channel", "awgn:20", "-o", str(path), "--quiet"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    return path


def _frames(output: str) -> tuple[list[dict], dict]:
    lines = [json.loads(line) for line in output.splitlines()]
    return lines[:-1], lines[-1]["summary"]


def test_frames_of_a_recording_are_told_and_kept(received: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.h5"
    result = CliRunner().invoke(main, ["receive", str(received), "--json", "-o", str(kept)])
    assert result.exit_code == 0, result.output
    frames, summary = _frames(result.stdout)
    with open_recording(received) as recording:
        starts = [annotation.sample_start for annotation in recording.annotations]
        latency = frames[0]["sample_start"] - starts[0]
    assert [f["sample_start"] - latency for f in frames] == starts
    assert [f["frame_index"] for f in frames] == list(range(5))
    assert {f["status"] for f in frames} == {"ok"}
    # The noise of 267 samples of preamble is known to 0.3 dB; five of that.
    assert all(abs(f["snr_db"] - 20) < 1.5 for f in frames)
    assert summary["frames"]["ok"] == 5
    assert summary["ended_by"] == "end"
    with h5py.File(kept) as file:
        assert file["symbols/points"].shape == (70_000,)
    again = CliRunner().invoke(main, ["receive", str(received), "-o", str(kept)])
    assert again.exit_code == 1
    assert "give --force" in again.stderr


def test_lines_and_limits(received: Path) -> None:
    result = CliRunner().invoke(main, ["receive", str(received), "--frames", "2", "--loop"])
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert "frame 1     ok            14000 symbols" in lines[1]
    assert "2 frames" in lines[2]
    assert "ended: complete" in lines[2]
    looped = CliRunner().invoke(main, ["receive", str(received), "--loop", "--frames", "7"])
    assert "frame 1  " in looped.stdout.splitlines()[6]


def test_a_pipe_until_ctrl_c(received: Path) -> None:
    with open_recording(received) as recording:
        samples = recording.read().tobytes()
    with subprocess.Popen(
        [sys.executable, "-c", RUN, "receive", "-", "--like", str(received), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=False,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        threading.Thread(target=lambda: _write(process, samples), daemon=True).start()
        first = [json.loads(process.stdout.readline()) for _ in range(4)]
        process.send_signal(signal.SIGTERM)
        rest = process.stdout.read().decode().splitlines()
        assert process.wait(timeout=60) == 0
    assert [frame["frame_index"] for frame in first] == [0, 1, 2, 3]
    summary = json.loads(rest[-1])["summary"]
    assert summary["ended_by"] == "interrupted"
    # The fifth frame was complete when the end came, cut off, or still on its way.
    assert sum(summary["frames"].values()) in (4, 5)
    assert summary["frames"]["ok"] >= 4


def _write(process: "subprocess.Popen[bytes]", samples: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(samples)
    process.stdin.flush()


def test_an_emulated_radio(received: Path) -> None:
    sent = received.with_name("tx.sigmf")
    arguments = ["receive", "--emulated", "awgn:12", "--transmit", str(sent), "--json"]
    result = CliRunner().invoke(
        main, [*arguments, "--repeat", "2", "--seed", "3", "--decision-directed"]
    )
    assert result.exit_code == 0, result.output
    frames, summary = _frames(result.stdout)
    assert [f["frame_index"] for f in frames] == [*range(5), *range(5)]
    assert summary["snr_db"] == pytest.approx(12, abs=1)
    assert summary["missing_frames"] == 0


def test_an_emulated_radio_is_heard_to_the_end_of_what_is_sent_gaps_included(
    received: Path, tmp_path: Path
) -> None:
    with open_recording(received.with_name("tx.sigmf")) as whole:
        iq, fields, rate = whole.read(), whole.global_fields, whole.sample_rate_hz
        sent = {key: value for key, value in fields.items() if key.startswith("phyemu:")}
    half = iq.size // 2
    with RecordingWriter(
        tmp_path / "gap.sigmf", sample_rate_hz=rate, num_channels=1, global_fields=sent
    ) as writer:
        for global_index, part in ((0, iq[:half]), (half + 200_000, iq[half:])):
            writer.start_segment(global_index=global_index)
            writer.write(part)
    arguments = ["receive", "--emulated", "awgn:20", "--transmit", str(tmp_path / "gap.sigmf")]
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    frames, _ = _frames(result.stdout)
    # The gap tears the third of five frames; the last one ends with the recording.
    assert [frame["frame_index"] for frame in frames][-2:] == [3, 4]
    assert frames[-1]["sample_start"] > half + 200_000


def test_a_run_scores_each_frame(trained_run: Path, tmp_path: Path) -> None:
    import shutil

    run, sent = tmp_path / "run", tmp_path / "images.sigmf"
    shutil.copytree(trained_run, run)
    result = CliRunner().invoke(main, ["waveform", "images", str(run), "-o", str(sent), "--quiet"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["receive", str(sent), "--receiver", str(run), "--json"])
    assert result.exit_code == 0, result.output
    frames, summary = _frames(result.stdout)
    assert [frame["symbol_errors"] for frame in frames] == [0] * len(frames)
    scored = CliRunner().invoke(main, ["replay", str(sent), "--receiver", str(run), "--json"])
    whole = json.loads(scored.stdout)
    # All images lie in the only frame: the same score as that of the whole recording.
    assert len(frames) == 1
    assert summary["images"] == whole["num_images"]
    assert 100 * summary["images_right"] / summary["images"] == pytest.approx(whole["accuracy"])


def test_a_sounder_is_called_by_its_name(tmp_path: Path) -> None:
    sounder = tmp_path / "sounder.sigmf"
    CliRunner().invoke(main, ["waveform", "sounder", "--bursts", "2", "-o", str(sounder)])
    for arguments in (["receive", str(sounder)], ["receive", "office_nlos"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "holds sounding bursts, no frames; sound it: phyemu sound" in result.stderr
    unnamed = write_recording(tmp_path / "x.sigmf", np.ones(99, "c8"), sample_rate_hz=20e6)
    result = CliRunner().invoke(main, ["receive", str(unnamed)])
    assert result.exit_code == 1
    assert "metadata name no frames" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of SOURCE, --usrp ARGS and --emulated CHANNEL"),
        (["-"], "samples do not tell what the frames are"),
        (["-", "--constellation", "psk:4", "--pace"], "--pace: only with a recording"),
        (["-", "--constellation", "psk"], "write psk:4 or qam:16"),
        (["x.sigmf", "--freq", "2.4G"], "--freq: only with --usrp"),
        (["--usrp", "", "--constellation", "psk:4"], "--usrp needs --freq"),
        (["--emulated", "awgn:3"], "--emulated and --transmit go together"),
        (["nowhere.sigmf"], "nowhere"),
    ],
)
def test_options_that_do_not_fit_are_usage_errors(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["receive", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.stderr


def test_samples_that_are_no_numbers_are_counted(received: Path) -> None:
    with open_recording(received) as recording:
        samples = recording.read()
    samples[5000:5010] = np.nan
    done = subprocess.run(
        [sys.executable, "-c", RUN, "receive", "-", "--like", str(received), "--json"],
        input=samples.tobytes(),
        capture_output=True,
        check=True,
        timeout=120,
    )
    frames, summary = _frames(done.stdout.decode())
    assert summary["bad_samples"] == 10
    assert len(frames) == 5


def test_a_stated_constellation_takes_the_recordings_rate(received: Path, tmp_path: Path) -> None:
    slow = tmp_path / "slow.sigmf"
    with open_recording(received) as recording:
        write_recording(slow, recording.read(), sample_rate_hz=10e6)
    arguments = ["receive", str(slow), "--constellation", "psk:8", "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert [frame["frame_index"] for frame in _frames(result.stdout)[0]] == list(range(5))
