"""`phyemu replay`."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu import radio
from phyemu.channel import Awgn
from phyemu.evaluation import description
from phyemu.evaluation.description import RecordingDescription
from phyemu.iq import Recording, write_recording
from phyemu.radio import EmulatedRadio, UsrpConfig


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_recording(
        tmp_path / "tx.sigmf",
        np.full(3000, 0.5 + 0.5j, np.complex64),
        sample_rate_hz=1e6,
        center_frequency_hz=2.4e9,
    )


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stand in for the detectors; return the lengths of what was described."""
    seen: list[int] = []

    def describe(recording: Recording, **_: Any) -> RecordingDescription:
        seen.append(recording.num_samples)
        return RecordingDescription(kind="frames", summary={"frames": 2}, lines=["two frames"])

    monkeypatch.setattr(description, "describe_recording", describe)
    return seen


def test_it_says_what_a_recording_holds(recording: Path, described: list[int]) -> None:
    result = run(recording)
    assert result.exit_code == 0, result.output
    assert result.stdout == "two frames\n"
    assert json.loads(run(recording, "--json").stdout) == {"kind": "frames", "frames": 2}
    assert described == [3000, 3000]


def test_through_a_channel_it_describes_what_arrives(
    recording: Path, described: list[int], tmp_path: Path
) -> None:
    result = run(recording, "--through", "awgn:20", "--json", "--quiet")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["through"]["channel"] == "awgn:20"
    assert answer["through"]["snr_db"] == 20
    assert described == [answer["through"]["samples"]]
    # The recording of what arrived was for this call only.
    assert [path.name for path in tmp_path.iterdir()] == ["tx.sigmf"]


def test_a_receiver_scores_what_waveform_images_wrote(trained_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained_run, folder)
    sent = tmp_path / "images.sigmf"
    missing = run(trained_run / "none", "--receiver", folder)
    assert missing.exit_code == 2
    arguments = ["waveform", "images", str(folder), "-o", str(sent), "--passes", "2", "--json"]
    written = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout)["images"] == 80
    result = run(sent, "--through", "awgn:15", "--receiver", folder, "--json", "--quiet")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["frames_lost"], answer["lost_frames"], answer["num_images"]) == (0, [], 80)
    # 4-PSK at 15 dB: Q(sqrt(31.6)) per neighbour, 2e-8; a receiver that lost its way shows.
    assert answer["ser"] < 1e-3
    # A run of one epoch knows little, but the air takes nothing from it.
    without_channel = json.loads(run(sent, "--receiver", folder, "--json", "--quiet").stdout)
    assert without_channel["ser"] == 0
    assert answer["accuracy"] == pytest.approx(without_channel["accuracy"], abs=1.3)
    assert "accuracy: " in run(sent, "--receiver", folder, "--quiet").stdout


def test_a_run_that_sent_nothing_is_refused_with_the_remedy(
    recording: Path, trained_run: Path
) -> None:
    result = run(recording, "--receiver", trained_run, "--quiet")
    assert result.exit_code == 1
    assert f"phyemu waveform images {trained_run}" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--freq", "1G"), "--freq"),
        (("--amplitude", 1.0, "--gain", 0), "--gain, --amplitude"),
        (("--antenna", "TX/RX", "--through", "awgn:3"), "--antenna"),
        (("--repeat", 1, "--delay", 0), "--repeat, --delay"),
    ],
)
def test_options_of_the_transmitter_need_one(
    recording: Path, arguments: tuple[object, ...], names: str
) -> None:
    result = run(recording, *arguments)
    assert result.exit_code == 2
    assert f"{names}: only with --usrp" in result.stderr


def test_a_seed_needs_a_channel(recording: Path) -> None:
    result = run(recording, "--seed", 0)
    assert result.exit_code == 2
    assert "--seed: only with --through" in result.stderr


@pytest.fixture
def transmitters(monkeypatch: pytest.MonkeyPatch) -> list[UsrpConfig]:
    """Stand in for the USRP; return the settings that were asked for."""
    asked: list[UsrpConfig] = []

    def open_usrp(config: UsrpConfig) -> EmulatedRadio:
        asked.append(config)
        rate = config.sample_rate_hz
        return EmulatedRadio(
            Awgn(10.0), sample_rate_hz=rate, symbol_rate_hz=rate, reference_power=0.01, seed=0
        )

    monkeypatch.setattr(radio, "UsrpRadio", open_usrp)
    return asked


def test_a_usrp_transmits_at_the_rate_of_the_recording(
    recording: Path, transmitters: list[UsrpConfig]
) -> None:
    result = run(recording, "--usrp", "type=b200", "--gain", 40, "--antenna", "TX/RX", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["underflows"] == 0
    assert answer["levels"]["num_clipped"] == 0
    config = transmitters[0]
    assert (config.sample_rate_hz, config.center_frequency_hz) == (1e6, 2.4e9)
    assert (config.tx.gain_db, config.tx.antenna) == (40.0, "TX/RX")


def test_clipping_is_announced_before_it_happens(
    recording: Path, transmitters: list[UsrpConfig]
) -> None:
    result = run(recording, "--usrp", "", "--amplitude", 3, "--freq", "5.8G", "--quiet")
    assert result.exit_code == 0, result.output
    assert "3000 samples will clip; --amplitude 2 is the largest that does not" in result.stderr
    assert transmitters[0].center_frequency_hz == 5.8e9


@pytest.mark.usefixtures("transmitters")
def test_contradictions_are_usage_errors(recording: Path, tmp_path: Path) -> None:
    result = run(recording, "--usrp", "", "--through", "awgn:3")
    assert result.exit_code == 2
    assert "goes with neither" in result.stderr
    bare = write_recording(tmp_path / "bare", np.ones(3, np.complex64), sample_rate_hz=1e6)
    result = run(bare, "--usrp", "")
    assert result.exit_code == 2
    assert "give --freq" in result.stderr
    assert run("no-such-recording").exit_code == 2
