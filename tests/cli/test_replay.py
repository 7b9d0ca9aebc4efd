"""`phyemu replay`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu import evaluation, radio
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


def test_a_receiver_scores_it(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Score:
        def to_dict(self) -> dict[str, Any]:
            return {"accuracy": 93.5, "frames_lost": 0}

    monkeypatch.setattr(evaluation, "score_recording", lambda *_, **__: Score())
    result = run(recording, "--receiver", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout == "accuracy: 93.5\nframes_lost: 0\n"


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
