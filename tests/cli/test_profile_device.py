import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.metering import load_device_profile

QUICK = ["profile-device", "--seconds", "0.01", "--quiet"]


def test_a_profile_is_written_with_the_errors_it_was_checked_at(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    result = CliRunner().invoke(main, [*QUICK, "-o", str(path), "--power", "20"])
    assert result.exit_code == 0, result.output
    profile = load_device_profile(path)
    assert profile.name == "bench"
    assert profile.powers.compute_w == pytest.approx(20.0)
    assert "ResNet-20 of width 16 up to layer1" in result.stdout
    assert "half of the networks it has not seen within" in result.stdout
    assert "20 W while it computes (20 W (given))" in result.stdout
    again = CliRunner().invoke(main, [*QUICK, "-o", str(path)])
    assert again.exit_code == 1
    assert "--force" in again.stderr


def test_json_holds_the_profile_and_the_errors(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    result = CliRunner().invoke(main, [*QUICK, "-o", str(path), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["profile"]["name"] == "bench"
    assert told["median_error"] <= told["worst_error"]


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--meter", "rapl", "--power", "3"], 2, "does not go with --meter"),
        (["--meter", "rapple"], 1, "did you mean rapl"),
        (["--power", "0"], 2, "--power"),
        (["--device", "tpu"], 2, "cpu"),
    ],
)
def test_bad_input_is_refused_and_nothing_written(
    tmp_path: Path, extra: list[str], code: int, message: str
) -> None:
    path = tmp_path / "bench.toml"
    result = CliRunner().invoke(main, [*QUICK, "-o", str(path), *extra])
    assert result.exit_code == code
    assert message in result.stderr
    assert not path.exists()
