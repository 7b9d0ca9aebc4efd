"""`phyemu fit` on soundings and on what is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import ImpulseResponse, load_model
from phyemu.iq import write_recording
from phyemu.sounding import Sounding, save_soundings
from phyemu.waveform.sounder import SounderFormat
from phyemu.waveform.transmission import write_sounder


@pytest.fixture
def soundings(tmp_path: Path) -> Path:
    """Return a file with one link of two Rayleigh paths, 60 frames."""
    rng = np.random.default_rng(0)
    frequencies_hz = np.linspace(-8e6, 8e6, 32, endpoint=False)
    gains = rng.standard_normal((60, 2, 2)) @ np.array([1.0, 1j]) * np.array([0.01, 0.005])
    transfer = gains @ np.exp(-2j * np.pi * np.outer([0.0, 200e-9], frequencies_hz))
    noise = np.full(transfer.shape, 1e-7)
    transfer = transfer + np.sqrt(noise / 2) * (
        rng.standard_normal((*noise.shape, 2)) @ np.array([1.0, 1j])
    )
    power_db = 10 * np.log10(np.square(np.abs(transfer)).mean(axis=1))
    sounding = Sounding(
        probe="sounder",
        sample_rate_hz=20e6,
        bandwidth_hz=16e6,
        center_frequency_hz=2.4e9,
        transmitter=0,
        sample_start=np.arange(60) * 100_000,
        time_s=np.arange(60) * 5e-3,
        frequencies_hz=frequencies_hz,
        transfer=transfer.astype(np.complex64),
        noise_variance=noise,
        cfo_hz=np.full(60, 100.0),
        sfo_ppm=np.full(60, 0.0),
        cn0_dbhz=power_db + 130.0,
        received_power_dbfs=power_db,
        noise_floor_dbfs=np.full(60, -57.0),
        confidence=np.ones(60),
        paths=ImpulseResponse(
            torch.from_numpy(gains.astype(np.complex64)),
            torch.tensor([0.0, 200e-9], dtype=torch.float64),
            5e-3,
        ),
        recording_name="made.sigmf",
    )
    return save_soundings([sounding], tmp_path / "cir.h5", provenance={})


def test_a_sounding_becomes_a_model_a_page_and_json(soundings: Path, tmp_path: Path) -> None:
    model, page = tmp_path / "room.h5", tmp_path / "room.png"
    result = CliRunner().invoke(
        main,
        f"fit {soundings} -o {model} --plot {page} --holdout 0.3 --json --quiet".split(),
    )
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["frames"] == 42
    assert {"delay_s", "gain_db", "k_factor_db"} <= set(summary["paths"][0])
    assert {"doppler_hz", "snr_db", "cfo_hz", "warnings"} <= set(summary)
    assert summary["holdout"]["frames"] == 18
    assert set(summary["holdout"]["log_likelihood"]) >= {"fit", "awgn", "single-tap", "tgn-b"}
    assert load_model(model).name == "room"
    assert page.stat().st_size > 10_000


def test_text_says_what_was_fitted_and_what_is_missing(soundings: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["fit", str(soundings), "-o", str(tmp_path / "m.h5"), "--method", "measured", "--quiet"],
    )
    assert result.exit_code == 0, result.output
    assert "2 paths from 60 frames" in result.stdout
    assert "note: the probe cannot tell phase noise" in result.stdout


def test_existing_output_is_kept_without_force(soundings: Path, tmp_path: Path) -> None:
    output = tmp_path / "there.h5"
    output.write_text("precious")
    result = CliRunner().invoke(main, ["fit", str(soundings), "-o", str(output)])
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert output.read_text() == "precious"


def test_a_transmitter_that_is_not_there_is_one_line(soundings: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main,
        ["fit", str(soundings), "-o", str(tmp_path / "m.h5"), "--transmitter", "3", "--quiet"],
    )
    assert result.exit_code == 1
    assert result.stderr.strip().count("\n") == 0
    assert "no sounding of transmitter 3" in result.stderr


def test_a_channel_model_in_place_of_a_sounding_is_refused(soundings: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.h5"
    runner = CliRunner()
    assert runner.invoke(main, ["fit", str(soundings), "-o", str(model), "--quiet"]).exit_code == 0
    result = runner.invoke(main, ["fit", str(model), "-o", str(tmp_path / "again.h5"), "--quiet"])
    assert result.exit_code == 1
    assert "model.h5" in result.stderr


@pytest.mark.parametrize(
    ("name", "transmitter", "cfo_khz"),
    [
        ("wifi_conducted_dot11a_24mbps", "0", -35.0),
        ("wifi_radiated_dot11n_6p5mbps", "98:5F:D3:C7:06:27", -15.0),
    ],
)
def test_real_captures_are_fitted(
    shared_data: Path, tmp_path: Path, name: str, transmitter: str, cfo_khz: float
) -> None:
    recording = shared_data / "captures" / f"{name}.sigmf-meta"
    arguments = f"-o {tmp_path / 'm.h5'} --transmitter {transmitter} --json --quiet"
    result = CliRunner().invoke(main, ["fit", str(recording), *arguments.split()])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["cfo_hz"] / 1e3 == pytest.approx(cfo_khz, abs=1.0)
    assert summary["explained_power"] > 0.95
    strongest = max(summary["paths"], key=lambda path: path["power"])
    assert strongest["k_factor_db"] > 20


def test_an_address_that_no_frame_names_is_refused_with_those_there_are(
    shared_data: Path, tmp_path: Path
) -> None:
    recording = shared_data / "captures" / "wifi_radiated_dot11n_6p5mbps.sigmf-meta"
    arguments = f"-o {tmp_path / 'm.h5'} --transmitter 02:00:00:00:00:01 --quiet"
    result = CliRunner().invoke(main, ["fit", str(recording), *arguments.split()])
    assert result.exit_code == 1
    assert "hold transmitters 0 e8:de:27:90:6e:42, 1 98:5f:d3:c7:06:27" in result.stderr


@pytest.mark.parametrize("given", ["-1", "two", "02:00:00:00:00"])
def test_what_is_no_transmitter_is_a_usage_error(
    soundings: Path, tmp_path: Path, given: str
) -> None:
    arguments = ["fit", str(soundings), "-o", str(tmp_path / "m.h5"), f"--transmitter={given}"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "rank (0 is the strongest) or its MAC address" in result.stderr


def test_a_folder_is_fitted_without_what_cannot_be_sounded(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    folder.mkdir()
    sounder = SounderFormat(sample_rate_hz=20e6, length=64, gap_samples=200)
    for name, count in (("a", 12), ("c", 9)):
        write_sounder(folder / f"{name}.sigmf", sounder, num_bursts=count, amplitude=0.5)
    quiet = np.full(3000, 1e-3 + 0j, np.complex64)
    write_recording(folder / "b.sigmf", quiet, sample_rate_hz=20e6)
    model = tmp_path / "model.h5"
    cable = folder / "a.sigmf"
    result = CliRunner().invoke(
        main, f"fit {folder} --calibrate {cable} -o {model} --json --quiet".split()
    )
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert [Path(item["recording"]).name for item in answer["failed"]] == ["b.sigmf"]
    assert "b.sigmf: not fitted" in result.stderr
    provenance = load_model(model).provenance
    assert provenance["frames"] == 21
    assert provenance["calibration"]["name"] == "a.sigmf"
    alone = CliRunner().invoke(
        main, f"fit {folder / 'b.sigmf'} --scheduler serial -o {tmp_path / 'x.h5'}".split()
    )
    assert alone.exit_code == 1
    assert "none of the recordings could be sounded" in alone.stderr


def test_soundings_are_not_calibrated_a_second_time(soundings: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, f"fit {soundings} --calibrate {soundings} -o {tmp_path / 'x.h5'}".split()
    )
    assert result.exit_code == 1
    assert "cir.h5: holds soundings already" in result.stderr


def test_a_folder_of_soundings_is_fitted_as_its_files_are(soundings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cir"
    folder.mkdir()
    (folder / soundings.name).write_bytes(soundings.read_bytes())
    answers = []
    for number, source in enumerate((soundings, folder)):
        output = tmp_path / f"model{number}.h5"
        arguments = ["fit", str(source), "--name", "x", "-o", str(output), "--json", "--quiet"]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        answers.append({**json.loads(result.stdout), "output": ""})
    assert answers[0] == answers[1]
