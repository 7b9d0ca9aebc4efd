"""`phyemu waveform` writes what a radio can transmit."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.iq import open_recording


def test_a_sounder_and_frames_are_written_with_their_parameters(tmp_path: Path) -> None:
    runner = CliRunner()
    sounder = tmp_path / "sounder.sigmf"
    arguments = ["waveform", "sounder", "--sample-rate", "5M", "--period", "128", "--bursts", "4"]
    result = runner.invoke(main, [*arguments, "-o", str(sounder)])
    assert result.exit_code == 0, result.output
    assert "4 bursts" in result.output
    with open_recording(sounder) as recording:
        assert recording.sample_rate_hz == 5e6
        assert recording.global_fields["phyemu:sounder"]["length"] == 128
        assert [item.label for item in recording.annotations] == ["sounding"] * 4
    frames = tmp_path / "frames.sigmf"
    arguments = ["waveform", "frames", "--order", "8", "--symbols", "500", "--seed", "3"]
    result = runner.invoke(main, [*arguments, "-o", str(frames)])
    assert result.exit_code == 0, result.output
    with open_recording(frames) as recording:
        assert recording.global_fields["phyemu:seed"] == 3
        assert recording.global_fields["phyemu:constellation"]["order"] == 8
        assert [item.label for item in recording.annotations] == ["frame"]


def test_chips_are_written_in_bursts_or_without_end(tmp_path: Path) -> None:
    path = tmp_path / "cast.sigmf"
    arguments = ["waveform", "sounder", "--sequence", "glfsr", "--continuous", "--bursts", "3"]
    result = CliRunner().invoke(main, [*arguments, "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert "3 frames without gaps" in result.output
    with open_recording(path) as recording:
        fields = recording.global_fields["phyemu:sounder"]
        assert fields["gap_samples"] == 0
        assert fields["chips"] == {
            "kind": "glfsr",
            "degree": 8,
            "index": 0,
            "samples_per_chip": 2,
        }
        iq = recording.read()
        assert len(iq) == 3 * 8 * 510
        assert set(iq.real.round(3).tolist()) == {-0.5, 0.5}
    arguments = ["waveform", "sounder", "--sequence", "gold", "--degree", "5", "--index", "4"]
    arguments += ["--samples-per-chip", "3", "--repetitions", "6", "--bursts", "1", "--force"]
    result = CliRunner().invoke(main, [*arguments, "-o", str(path), "--json"])
    assert json.loads(result.stdout)["interval_s"] == pytest.approx((6 + 3) * 93 / 20e6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--degree", "8"], "--sequence zadoff-chu has no --degree"),
        (["--continuous"], "--sequence zadoff-chu has no --continuous"),
        (["--sequence", "glfsr", "--period", "512"], "--sequence glfsr has no --period"),
        (["--sequence", "golay", "--bandwidth", "5M"], "--sequence golay has no --bandwidth"),
        (["--sequence", "glfsr", "--continuous", "--gap", "9"], "--continuous or --gap"),
    ],
)
def test_options_of_another_sequence_are_refused(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = ["waveform", "sounder", *arguments, "-o", str(tmp_path / "tx.sigmf")]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert message in result.output


def test_json_says_what_was_written(tmp_path: Path) -> None:
    path = str(tmp_path / "tx.sigmf")
    arguments = ["waveform", "sounder", "--period", "64", "--bursts", "3", "--gap", "192"]
    result = CliRunner().invoke(main, [*arguments, "-o", path, "--json"])
    # 9 periods and the gap, at 20 MHz: 768 samples are 38.4 us.
    expected = {"path": path, "bursts": 3, "interval_s": pytest.approx(38.4e-6)}
    assert json.loads(result.stdout) == expected
    arguments = ["waveform", "frames", "--symbols", "100", "-o", path, "--force", "--json"]
    assert json.loads(CliRunner().invoke(main, arguments).stdout) == {
        "path": path,
        "symbols": 100,
        "order": 4,
        "seed": 0,
        "constellation": "psk",
    }


def test_images_of_a_run_are_written_with_what_scores_them(
    trained_run: Path, tmp_path: Path
) -> None:
    run, path = tmp_path / "run", tmp_path / "tx.sigmf"
    shutil.copytree(trained_run, run)
    arguments = ["waveform", "images", str(run), "-o", str(path), "--limit", "10", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "10 images of order 4 in 1 frames" in result.stdout
    assert (run / "sent.npz").is_file()
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "sent.npz: exists already" in again.stderr
    assert CliRunner().invoke(main, [*arguments, "--force"]).exit_code == 0
    arguments = ["waveform", "images", str(run), "-o", str(path), "--amplitude", "1", "--force"]
    clipped = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert clipped.exit_code == 1
    assert "would clip" in clipped.stderr


def test_duration_decides_how_many_bursts(tmp_path: Path) -> None:
    path = tmp_path / "tx.sigmf"
    arguments = ["waveform", "sounder", "--duration", "0.01", "-o", str(path)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    with open_recording(path) as recording:
        assert recording.duration_s <= 0.01
        assert len(recording.annotations) == 16  # of 12,288 samples in 200,000


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sounder", "--bursts", "2", "--duration", "1"], 2, "not both"),
        (["sounder", "--gap", "10"], 1, "at least two periods"),
        (["sounder", "--bandwidth", "40M"], 1, "at most the sample rate"),
        (["sounder", "--amplitude", "1", "--bandwidth", "9M"], 1, "would clip"),
        (["sounder", "--sample-rate", "fast"], 2, "no positive frequency"),
        (["frames", "--constellation", "qam", "--order", "7"], 1, "order"),
    ],
)
def test_a_bad_setting_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    output = str(tmp_path / "tx.sigmf")
    result = CliRunner().invoke(main, ["waveform", *arguments, "-o", output])
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_existing_output_needs_force(tmp_path: Path) -> None:
    path = tmp_path / "tx.sigmf"
    arguments = ["waveform", "sounder", "--bursts", "1", "--period", "64", "-o", str(path)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "--force" in result.output
    assert CliRunner().invoke(main, [*arguments, "--force"]).exit_code == 0
