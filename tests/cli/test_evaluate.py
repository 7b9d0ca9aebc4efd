import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.training import preset, train_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = preset("digits", "awgn:12")
    config = replace(
        config,
        data=replace(config.data, limit=40),
        backbone=replace(config.backbone, width=4, epochs=1, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(1,), batch_size=20),
    )
    folder = tmp_path_factory.mktemp("runs") / "run"
    train_run(config, folder)
    return folder


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
    assert [point["snr_db"] for point in json.loads(result.stdout)["points"]] == [4.0, 6.0, 8.0]
    assert plot.stat().st_size > 1000


def test_text_is_a_line_a_result(run: Path) -> None:
    arguments = ["evaluate", str(run / "head" / "m4.safetensors"), "--channel", "awgn:12"]
    result = CliRunner().invoke(main, [*arguments, "--quiet", "--lookup", "soft"])
    assert result.exit_code == 0, result.output
    assert "% of 40 images" in result.stdout


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--snr", "4:x"], 1, "START:STOP:STEP"),
        (["--order", "16"], 1, "no PhyDNN of order 16"),
        (["--plot", "x.png"], 2, "--plot needs --snr"),
    ],
)
def test_bad_input_is_refused(run: Path, extra: list[str], code: int, message: str) -> None:
    arguments = ["evaluate", str(run), "--channel", "awgn:12", "--quiet", *extra]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    arguments = ["evaluate", str(tmp_path), "--channel", "awgn:12", "--quiet"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "phyemu train" in result.stderr
