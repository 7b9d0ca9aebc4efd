"""`phyemu sound` prints, saves and draws what a recording holds."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.iq import write_recording
from phyemu.sounding import load_soundings
from phyemu.waveform.sounder import SounderFormat
from phyemu.waveform.transmission import write_sounder


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return a recording of six clean bursts."""
    sounder = SounderFormat(sample_rate_hz=20e6, length=128, gap_samples=400)
    return write_sounder(tmp_path / "rx.sigmf", sounder, num_bursts=6, amplitude=0.5)


def test_json_has_the_fields_promised(recording: Path, tmp_path: Path) -> None:
    output, plot = tmp_path / "cir.h5", tmp_path / "cir.svg"
    arguments = ["sound", str(recording), "-o", str(output), "--plot", str(plot), "--json"]
    result = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert answer["frames"] == 6
    assert answer["probe"] == "sounder"
    assert set(answer["cfo_hz"]) == {"median", "p05", "p95"}
    assert set(answer["snr_db"]) == {"median", "p05", "p95"}
    assert answer["rms_delay_spread_s"]["median"] == pytest.approx(0.0, abs=1e-9)
    assert answer["paths"][0]["gain_db"] == pytest.approx(-6.02, abs=0.01)
    assert len(answer["transmitters"]) == 1
    (link,) = load_soundings(output)
    assert link.num_frames == 6
    assert link.provenance["command"].startswith("phyemu sound")
    assert plot.read_text().lstrip().startswith("<?xml")


def test_text_names_the_link_and_its_paths(recording: Path) -> None:
    result = CliRunner().invoke(main, ["sound", str(recording), "--quiet"])
    assert result.exit_code == 0, result.output
    assert "transmitter 0: 6 sounder frames" in result.stdout
    assert "path 0:" in result.stdout


def test_the_reference_tells_what_was_sent(recording: Path, tmp_path: Path) -> None:
    from phyemu.iq import open_recording

    with open_recording(recording) as sent:
        bare = write_recording(tmp_path / "bare.sigmf", sent.read(), sample_rate_hz=20e6)
    arguments = ["sound", str(bare), "--reference", str(recording), "--json", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["probe"] == "sounder"


def test_no_probe_is_one_line_with_the_remedy(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal((5000, 2)) @ [1, 1j]
    path = write_recording(
        tmp_path / "noise.sigmf", noise.astype(np.complex64), sample_rate_hz=20e6
    )
    result = CliRunner().invoke(main, ["sound", str(path), "--quiet"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no probe found" in result.stderr
    assert "--reference" in result.stderr


def test_existing_output_needs_force(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "cir.h5"
    arguments = ["sound", str(recording), "-o", str(output), "--quiet"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert CliRunner().invoke(main, [*arguments, "--force"]).exit_code == 0


def test_a_missing_recording_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["sound", str(tmp_path / "none.sigmf")])
    assert result.exit_code == 2
    assert "no such file" in result.stderr


def test_wifi_transmitters_are_named_with_what_they_sent(shared_data: Path, tmp_path: Path) -> None:
    capture = shared_data / "captures" / "wifi_radiated_dot11n_6p5mbps.sigmf-meta"
    result = CliRunner().invoke(main, ["sound", str(capture), "--quiet"])
    assert result.exit_code == 0, result.output
    assert "transmitter 0 e8:de:27:90:6e:42: 47 wifi frames" in result.stdout
    assert "5 ht MCS 0 6.5 Mb/s; 23 data, 19 block ack, 5 QoS data" in result.stdout
    output = tmp_path / "cir.h5"
    arguments = ["sound", str(capture), "--json", "--quiet", "-o", str(output)]
    answer = json.loads(CliRunner().invoke(main, arguments).stdout)
    far = answer["transmitters"][1]
    assert far["transmitter_address"] == "98:5f:d3:c7:06:27"
    assert far["wifi"]["modulations"] == {"ht MCS 15": 9, "legacy 6 Mb/s": 4}
    assert far["wifi"]["fcs"] == {"ok": 3, "wrong": 1, "unknown": 9}
    near, _ = load_soundings(output)
    assert near.wifi is not None
    assert near.wifi.summary() == answer["transmitters"][0]["wifi"]


def _folder(tmp_path: Path) -> Path:
    """Return a folder of two recordings with bursts and one with nothing in it."""
    folder = tmp_path / "lab"
    folder.mkdir()
    sounder = SounderFormat(sample_rate_hz=20e6, length=128, gap_samples=400)
    write_sounder(folder / "a.sigmf", sounder, num_bursts=3, amplitude=0.5)
    write_sounder(folder / "c.sigmf", sounder, num_bursts=5, amplitude=0.25)
    write_recording(folder / "b.sigmf", np.full(3000, 1e-3 + 0j, np.complex64), sample_rate_hz=20e6)
    return folder


def test_a_folder_gives_a_folder_and_says_what_failed(tmp_path: Path) -> None:
    folder, output = _folder(tmp_path), tmp_path / "cir"
    result = CliRunner().invoke(main, ["sound", str(folder), "-o", str(output), "--quiet"])
    assert result.exit_code == 1
    assert sorted(path.name for path in output.iterdir()) == ["a.h5", "c.h5"]
    assert load_soundings(output / "c.h5")[0].num_frames == 5
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [Path(row[0]).name for row in rows[1:]] == ["a.sigmf", "c.sigmf"]
    assert [row[3] for row in rows[1:]] == ["3", "5"]
    assert "b.sigmf: b.sigmf: no probe found" in result.stderr
    assert "1 of 3 recordings failed" in result.stderr
    again = CliRunner().invoke(main, ["sound", str(folder), "-o", str(output), "--quiet"])
    assert "a.h5: exists already; give --force" in again.stderr


def test_json_of_several_recordings_is_a_list_in_order(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    names = [str(folder / f"{name}.sigmf") for name in ("c", "b", "a", "c")]
    result = CliRunner().invoke(main, ["sound", *names, "--json", "--quiet"])
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert answer["failed"] == 1
    found = [(Path(item["recording"]).name, item.get("frames")) for item in answer["recordings"]]
    assert found == [("c.sigmf", 5), ("b.sigmf", None), ("a.sigmf", 3)]
    assert "no probe found" in answer["recordings"][1]["error"]


def test_options_that_contradict_several_recordings_are_refused(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    for arguments, message in (
        (["--plot", "x.png"], "draws one recording"),
        (["-o", str(tmp_path / "x.h5")], "go into a folder"),
    ):
        result = CliRunner().invoke(main, ["sound", str(folder), *arguments])
        assert result.exit_code == 2
        assert message in result.stderr
    result = CliRunner().invoke(main, ["sound", str(folder), "--scheduler", "mars"])
    assert result.exit_code == 1
    assert "scheduler must be serial, local" in result.stderr


def test_a_cable_calibrates_a_recording(recording: Path, tmp_path: Path) -> None:
    output = tmp_path / "cir.h5"
    arguments = ["sound", str(recording), "--calibrate", str(recording), "-o", str(output)]
    result = CliRunner().invoke(main, [*arguments, "--quiet"])
    assert result.exit_code == 0, result.output
    assert load_soundings(output)[0].provenance["calibration"]["name"] == "rx.sigmf"
    twice = ["sound", str(recording), "--calibrate", str(output), "--quiet"]
    result = CliRunner().invoke(main, twice)
    assert result.exit_code == 1
    assert "cir.h5: is calibrated itself" in result.stderr
