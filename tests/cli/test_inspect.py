"""`phyemu inspect` from the command line."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu.channel import Awgn, ImpulseResponse, save_model, save_responses
from phyemu.channel.hdf5 import StoreWriter
from phyemu.iq import Annotation, RecordingWriter, open_recording, write_recording

RATE_HZ = 20e6


def inspect(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments), "--quiet"])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Return a recording of a tone of -6 dBFS with two clipped samples and two annotations."""
    tone = 0.5 * np.exp(2j * np.pi * 0.125 * np.arange(20_000))
    tone[[5, 7]] = 3.0
    notes = [Annotation(sample_start=k, sample_count=9, label="frame") for k in (0, 50)]
    return write_recording(
        tmp_path / "tone.sigmf",
        tone.astype(np.complex64),
        sample_rate_hz=RATE_HZ,
        center_frequency_hz=2.4e9,
        description="a tone",
        global_fields={"phyemu:seed": 7, "phyemu:constellation": {"name": "psk", "order": 4}},
        annotations=notes,
    )


def test_json_describes_a_recording(recording: Path) -> None:
    result = inspect(recording, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["kind"] == "recording"
    assert (found["samples"], found["channels"], found["datatype"]) == (20_000, 1, "ci16_le")
    assert (found["sample_rate_hz"], found["duration_s"]) == (RATE_HZ, 1e-3)
    assert found["center_frequency_hz"] == 2.4e9
    # Two of 20000 samples are at full scale, the others at a quarter of its power.
    expected = 10 * np.log10((19_998 * 0.25 + 2) / 20_000)
    assert found["power_dbfs"] == pytest.approx(expected, abs=1e-3)
    assert found["peak_dbfs"] == pytest.approx(0.0, abs=1e-3)
    assert found["clipped"] == 2
    assert found["occupied_bandwidth_hz"] < 4 * RATE_HZ / 1024
    assert found["annotations"] == {"frame": 2}
    assert found["phyemu"] == {"seed": 7, "constellation": {"name": "psk", "order": 4}}
    assert found["hash_ok"] is True


def test_text_shows_the_same(recording: Path) -> None:
    result = inspect(recording)
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line.split(maxsplit=1)[1:] for line in result.stdout.splitlines()}
    assert lines["description"] == ["a tone"]
    assert lines["samples"] == ["20000"]
    assert lines["annotations"] == ["frame 2"]
    assert lines["clipped"] == ["2"]
    assert lines["hash_ok"] == ["True"]
    assert lines["constellation"] == ["name psk, order 4"]


def test_a_wrong_hash_is_shown_and_ends_with_exit_code_1(recording: Path) -> None:
    content = bytearray(recording.read_bytes())
    content[9000] ^= 1  # samples begin at byte 8192
    recording.write_bytes(content)
    result = inspect(recording, "--json")
    assert json.loads(result.stdout)["hash_ok"] is False
    assert result.exit_code == 1
    assert "do not match core:sha512; copy it again" in result.stderr
    unverified = inspect(recording, "--json", "--no-verify")
    assert unverified.exit_code == 0
    assert json.loads(unverified.stdout)["hash_ok"] is None


def test_the_plot_is_written_and_not_overwritten(recording: Path, tmp_path: Path) -> None:
    figure = tmp_path / "f.png"
    assert inspect(recording, "--plot", figure).exit_code == 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    again = inspect(recording, "--plot", figure)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert inspect(recording, "--plot", figure, "--force").exit_code == 0


def test_a_channel_of_several_is_chosen(tmp_path: Path) -> None:
    iq = np.array([[0.5] * 10, [0.25] * 10], np.complex64)
    path = write_recording(tmp_path / "r", iq, sample_rate_hz=1e6)
    found = json.loads(inspect(path, "--json", "--channel-index", "1").stdout)
    assert found["channels"] == 2
    assert found["power_dbfs"] == pytest.approx(20 * np.log10(0.25))
    refused = inspect(path, "--channel-index", "2")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no channel 2; it has 2" in refused.stderr


def test_silence_is_valid_json(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "r", np.zeros(10, np.complex64), sample_rate_hz=1e6)
    assert json.loads(inspect(path, "--json").stdout)["power_dbfs"] is None


def test_recordings_are_found_by_library_name(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "library" / "captures"
    shelf.mkdir(parents=True)
    recording.rename(shelf / "my_room.sigmf")
    monkeypatch.setenv("PHYEMU_LIBRARY", str(shelf.parent))
    assert inspect("my-room").exit_code == 0
    missing = inspect("my-rom")
    assert missing.exit_code == 2
    assert "my-room" in missing.stderr


def test_a_channel_model_is_described(tmp_path: Path) -> None:
    path = save_model(Awgn(12.0), tmp_path / "c.h5", provenance={"seed": 3})
    found = json.loads(inspect(path, "--json").stdout)
    assert (found["kind"], found["model"], found["snr_db"]) == ("channel", "Awgn", 12.0)
    assert found["provenance"] == {"seed": 3}
    assert "snr_db" in inspect(path).stdout


def test_responses_are_described(tmp_path: Path) -> None:
    response = ImpulseResponse(
        gains=torch.ones(5, 2, dtype=torch.complex64),
        delays_s=torch.tensor([0.0, 100e-9], dtype=torch.float64),
        interval_s=1e-3,
    )
    path = save_responses(response, tmp_path / "r.h5")
    found = json.loads(inspect(path, "--json").stdout)
    assert (found["kind"], found["steps"], found["interval_s"]) == ("responses", 5, 1e-3)
    # Two equal paths 100 ns apart: each lies 50 ns from their mean.
    assert found["rms_delay_spread_s"] == pytest.approx(50e-9)


def test_soundings_are_described_and_drawn(shared_data: Path, tmp_path: Path) -> None:
    capture = shared_data / "captures" / "wifi_conducted_dot11a_9mbps"
    store, figure = tmp_path / "s.h5", tmp_path / "s.png"
    arguments = ["sound", str(capture), "-o", str(store), "--json", "--quiet"]
    sounded = CliRunner().invoke(main, arguments)
    assert sounded.exit_code == 0, sounded.output
    found = json.loads(inspect(store, "--json", "--plot", figure).stdout)
    assert found["kind"] == "soundings"
    assert found["frames"] == json.loads(sounded.stdout)["frames"]
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_another_store_is_named_by_its_kind(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "x.h5", kind="radio-map", provenance={}):
        pass
    assert json.loads(inspect(tmp_path / "x.h5", "--json").stdout)["kind"] == "radio-map"


def test_bad_input_gets_one_line_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "bad.sigmf").write_bytes(b"no archive" * 100)
    (tmp_path / "bad.h5").write_bytes(b"no hdf5")
    (tmp_path / "bad.sigmf-meta").write_text("{")
    (tmp_path / "bad.sigmf-data").write_bytes(bytes(8))
    for name, message in (
        ("bad.sigmf", "damaged"),
        ("bad.h5", "no HDF5 file"),
        ("bad.sigmf-meta", "is no JSON"),
        ("bad.sigmf-data", "is no JSON"),
    ):
        result = inspect(tmp_path / name, "--json")
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
    channel = save_model(Awgn(1.0), tmp_path / "c.h5")
    plotted = inspect(channel, "--plot", tmp_path / "f.png")
    assert plotted.exit_code == 2
    assert "--plot draws recordings" in plotted.stderr


def test_real_captures_are_inspected(shared_data: Path) -> None:
    base = shared_data / "captures" / "wifi_radiated_dot11n_6p5mbps"
    found = json.loads(inspect(base, "--json").stdout)
    assert found["samples"] == 169_040
    assert found["hash_ok"] is True
    # 802.11n at 20 MHz fills 56 carriers of 312.5 kHz, the outer ones some 15 dB weaker.
    assert 14e6 < found["occupied_bandwidth_hz"] < 56 * 312.5e3


@pytest.mark.parametrize("name", ["rec", "rec.sigmf"])
def test_an_interrupted_recording_is_found_and_repaired(tmp_path: Path, name: str) -> None:
    writer = RecordingWriter(tmp_path / name, sample_rate_hz=RATE_HZ)
    path = writer.path
    writer.write(np.full(40_000, 0.5, np.complex64))
    result = inspect(path)
    assert result.exit_code == 1
    assert f"process {os.getpid()} is still writing it" in result.stderr
    writer.leave()  # as a process that is killed leaves it
    for given in (path, tmp_path / "rec", *tmp_path.iterdir()):
        result = inspect(given)
        assert result.exit_code == 1
        assert f"phyemu inspect --repair {path}" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    result = inspect(path, "--repair")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{path}: repaired (interrupted), 40000 samples (0.002 s)\n"
    result = inspect(path, "--json")
    assert json.loads(result.stdout)["phyemu"]["repaired"]["samples"] == 40_000
    result = inspect(path, "--repair", "--json")
    assert json.loads(result.stdout)["repaired"] is None
    assert inspect(path, "--repair", "--plot", "x.png").exit_code == 2


def test_another_recording_of_the_name_is_kept_and_the_unfinished_one_is_named(
    recording: Path,
) -> None:
    writer = RecordingWriter(recording, sample_rate_hz=RATE_HZ, force=True)
    writer.write(np.zeros(10, np.complex64))
    writer.leave()
    result = inspect(recording)
    assert result.exit_code == 0
    assert "tone.sigmf.partial: holds another recording of that name" in result.stderr
    refused = inspect(recording, "--repair")
    assert refused.exit_code == 1
    assert "would replace tone.sigmf; move that away, or use --force" in refused.stderr
    assert inspect(recording, "--repair", "--force").exit_code == 0
    with open_recording(recording, verify=True) as repaired:
        assert repaired.num_samples == 10
