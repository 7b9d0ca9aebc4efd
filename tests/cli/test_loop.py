"""`phyemu loop` and `phyemu report`: options, messages, the JSON object."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

SMALL = """
world = "office-los"
[sounding]
bursts = 24
interval_s = 0.05
length = 128
[air]
passes = 1
max_images = 8
interval_s = 0.02
[train.data]
limit = 120
[train.backbone]
epochs = 1
[train.phydnn]
epochs = [1]
"""


def test_the_json_object_holds_the_table_and_the_report_can_be_written_again(
    tmp_path: Path,
) -> None:
    settings = tmp_path / "small.toml"
    settings.write_text(SMALL)
    run = tmp_path / "run"
    arguments = ["loop", "--config", str(settings), "-o", str(run), "--json", "--quiet"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert {"run", "backbone_accuracy", "phydnn"} <= result.keys()
    assert len(result["phydnn"]) == 6
    for row in result["phydnn"]:
        assert {
            "trained_on",
            "tested_on",
            "accuracy",
            "frames_sent",
            "frames_lost",
            "bytes_on_air_per_batch_of_64",
        } <= row.keys()
    page = tmp_path / "page.html"
    assert CliRunner().invoke(main, ["report", str(run), "-o", str(page)]).exit_code == 0
    assert page.stat().st_size > 1_000_000
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 1
    assert "--resume" in again.stderr
    # A finished run resumes to its table at once.
    resumed = CliRunner().invoke(main, ["loop", "--resume", "-o", str(run), "--quiet"])
    assert resumed.exit_code == 0, resumed.output
    assert "trained through the fitted channel" in " ".join(resumed.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--snr", "8"], "snr_db needs captures"),
        (["--dataset", "digit"], "did you mean digits"),
        (["--backbone", "vgg"], "resnet8"),
        (["--resume", "-o", "absent"], "no run folder"),
    ],
)
def test_a_bad_option_gets_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["loop", "--quiet", *arguments])
    assert done.exit_code == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_resume_takes_no_other_settings(tmp_path: Path) -> None:
    (tmp_path / "loop.toml").write_text("")
    done = CliRunner().invoke(main, ["loop", "--resume", "-o", str(tmp_path), "--seed", "3"])
    assert done.exit_code == 2
    assert "leave the others out" in done.stderr
