import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.iq import write_recording


@pytest.fixture
def run(trained_run: Path) -> Path:
    return trained_run


def test_one_channel_gives_one_object(run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "world:office-nlos", "--json", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert {
        "accuracy",
        "ser",
        "frames_sent",
        "frames_lost",
        "bytes_on_air_per_batch_of_64",
        "snr_db",
    } <= set(found)
    assert 0 <= found["accuracy"] <= 100
    assert found["frames_sent"] == 1


def test_a_range_gives_points_and_a_figure(run: Path, tmp_path: Path) -> None:
    plot = tmp_path / "sweep.png"
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--snr", "4:8:2", "--json"]
    arguments += ["--fidelity", "symbol", "--quiet", "--plot", str(plot)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    points = json.loads(result.stdout)["points"]
    assert [point["nominal_snr_db"] for point in points] == [4.0, 6.0, 8.0]
    # In white noise the SNR of the symbol link is the nominal one.
    assert [point["snr_db"] for point in points] == pytest.approx([4.0, 6.0, 8.0], abs=1e-3)
    assert plot.stat().st_size > 1000


def test_the_points_of_a_range_keep_what_the_receiver_measured(run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--snr", "30", "--json", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    (point,) = json.loads(result.stdout)["points"]
    assert point["nominal_snr_db"] == 30.0
    assert point["snr_db"] != 30.0
    assert point["snr_db"] == pytest.approx(30.0, abs=3.0)


def test_text_is_a_line_a_result(run: Path) -> None:
    arguments = ["evaluate", str(run / "head" / "m4.safetensors"), "--channel", "awgn:12"]
    result = CliRunner().invoke(main, [*arguments, "--quiet", "--lookup", "soft"])
    assert result.exit_code == 0, result.output
    assert "% of 40 images" in result.stdout


@pytest.mark.parametrize("fidelity", ["symbol", "frames"])
def test_frames_are_spoken_of_where_there_are_any(fidelity: str, run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--limit", "4", "--quiet"]
    result = CliRunner().invoke(main, [*arguments, "--fidelity", fidelity])
    assert result.exit_code == 0, result.output
    assert ("frames lost" in result.stdout) == (fidelity == "frames")
    assert "bytes per 64 images" in result.stdout


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--snr", "4:x"], 1, "START:STOP:STEP"),
        (["--snr", "20:4:2"], 1, "lead away from 4 dB; give --snr 4:20:2 or --snr 20:4:-2"),
        (["--channel", "awgn"], 1, "channel awgn: lacks SNR_DB; write awgn:SNR_DB, as in awgn:12"),
        (["--order", "16"], 1, "no PhyDNN of order 16"),
        (["--plot", "x.png"], 2, "--plot needs --snr"),
        (["--device-profile", "jetson-orin-nano"], 2, "goes with --latency or --energy"),
        (["--latency", "--device-profile", "jetson"], 1, "known device profiles: jetson-orin-nano"),
    ],
)
def test_bad_input_is_refused(run: Path, extra: list[str], code: int, message: str) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--quiet", *extra]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code
    assert message in result.stderr
    if code == 1:
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_device_profile_shows_what_a_jetson_would_take(run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--fidelity", "symbol", "--quiet"]
    arguments += ["--latency", "--energy", "--device-profile", "jetson-orin-nano"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "latency of 64 images on jetson-orin-nano" in result.stdout
    assert "energy of 1 image on jetson-orin-nano" in result.stdout
    assert "derived from figures of the PhyDNNs paper" in result.stdout
    assert "times within 15 %" in result.stdout


def test_energy_without_a_profile_is_of_this_machine(run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--fidelity", "symbol", "--quiet"]
    result = CliRunner().invoke(main, [*arguments, "--energy", "--json"])
    assert result.exit_code == 0, result.output
    one, many = json.loads(result.stdout)["cost"]
    assert (one["num_images"], many["num_images"]) == (1, 64)
    assert one["device"] == "this machine"
    assert one["head_j"] > 0
    assert "transmit_j" in one["modelled"]
    assert "head_s" not in one["modelled"]


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    arguments = ["evaluate", str(tmp_path), "--channel", "awgn:12", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "phyemu train" in result.stderr


def test_the_folder_of_a_loop_is_refused_and_its_runs_are_named(run: Path, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    for name in ("phydnn-awgn", "phydnn-fitted"):
        shutil.copytree(run, loop / name)
    (loop / "loop.toml").touch()
    recording = write_recording(tmp_path / "a", np.ones(9, np.complex64), sample_rate_hz=20e6)
    for arguments in (
        ["evaluate", str(loop), "--channel", "awgn:12"],
        ["replay", str(recording), "--receiver", str(loop)],
        ["waveform", "images", str(loop), "-o", str(tmp_path / "tx.sigmf")],
    ):
        result = CliRunner().invoke(main, [*arguments, "--quiet"])
        assert result.exit_code == 1
        assert f"{loop / 'phydnn-awgn'}, {loop / 'phydnn-fitted'}" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_links_of_scenarios_are_evaluated_by_their_link_budget(run: Path) -> None:
    arguments = ["evaluate", str(run), "--tx-power", "-12", "--json", "--quiet", "--latency"]
    for name in ("urban-40db", "urban-80db"):
        arguments += ["--channel", f"scenario:{name}:1-2"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    near, far = answer["channels"]
    assert (near["channel"], far["channel"]) == ("urban-40db 1>2", "urban-80db 1>2")
    assert near["frames_sent"] == far["frames_sent"] > 0
    # 40 dB apart, and fading: the mean over a few frames is some dB off.
    assert near["snr_db"] - far["snr_db"] == pytest.approx(40 - 10, abs=15)
    assert near["ser"] < far["ser"]
    assert [times["num_images"] for times in answer["latency"]] == [1, 64]


def test_a_range_of_snr_goes_over_a_link_of_a_scenario(run: Path) -> None:
    arguments = ["evaluate", str(run), "--channel", "scenario:urban-80db:1-2", "--snr", "0,30"]
    result = CliRunner().invoke(main, [*arguments, "--fidelity", "symbol", "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    low, high = json.loads(result.stdout)["points"]
    assert low["ser"] > high["ser"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channel", "awgn:9", "--tx-power", "0"], "only a link of a scenario has a path loss"),
        (["--channel", "scenario:1009:1-2:9", "--tx-power", "0"], "exclude each other"),
        (["--channel", "scenario:1009:1-2", "--tx-power", "0", "--snr", "9"], "with --snr"),
        (["--channel", "awgn:9", "--noise-figure", "3"], "goes with --tx-power"),
        (["--channel", "scenario:1009:1-2", "--tx-power", "inf"], "finite"),
    ],
)
def test_budgets_that_make_no_sense_are_refused(
    run: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(main, ["evaluate", str(run), *arguments])
    assert result.exit_code != 0
    assert message in result.output
