import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

QUICK = ["--dataset", "digits", "--limit", "40", "--backbone-epochs", "1", "--epochs", "1"]


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_json_says_what_came_out_and_resume_gives_it_again(
    runner: CliRunner, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    orders = [
        "--order",
        "16",
        "--order",
        "4",
        "--symbols-per-slice",
        "2",
        "--symbols-per-slice",
        "1",
    ]
    arguments = [
        "train",
        "--preset",
        "paper",
        *QUICK,
        *orders,
        "--channel",
        "awgn:12",
        "-o",
        str(run),
        "--json",
    ]
    first = runner.invoke(main, [*arguments, "--quiet"])
    assert first.exit_code == 0, first.output
    report = json.loads(first.stdout)
    stages = [(stage["order"], stage["symbols_per_image"]) for stage in report["phydnn"]]
    assert stages == [(16, 512), (4, 256)]  # pairs of QPSK, then QPSK
    assert 'score = "inner-product"' in (run / "config.toml").read_text(encoding="utf-8")
    again = runner.invoke(main, ["train", "-o", str(run), "--resume", "--json", "--quiet"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == report


def test_text_names_every_order(runner: CliRunner, tmp_path: Path) -> None:
    config = tmp_path / "t.toml"
    config.write_text(
        "[data]\nlimit = 40\n[backbone]\nepochs = 1\nwidth = 4\n"
        '[phydnn]\norders = [4]\nepochs = [1]\n[link]\nchannel = "scenario:urban-80db:1-2:12"\n',
        encoding="utf-8",
    )
    arguments = ["train", "--config", str(config), "-o", str(tmp_path / "run"), "--quiet"]
    result = runner.invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "M = 4" in result.stdout
    assert "through urban-80db 1>2" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channel", "nowhere"], "nowhere"),
        (["--channel", "awgn:12", "--dataset", "digit"], "did you mean digits"),
        (["--channel", "awgn:12", "--backbone", "vgg"], "resnet8"),
        (["--channel", "awgn:12", "--order", "4", "--order", "8"], "must fall"),
        (["--channel", "awgn:12", "--split", "layer9"], "layer9"),
    ],
)
def test_bad_settings_give_one_line_and_exit_1(
    runner: CliRunner, tmp_path: Path, arguments: list[str], message: str
) -> None:
    quick = ["--limit", "40", "--backbone-epochs", "1", "--epochs", "1", "--quiet"]
    result = runner.invoke(main, ["train", *quick, *arguments, "-o", str(tmp_path / "run")])
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_widened_mixture_of_shipped_channels_is_trained_through(
    runner: CliRunner, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    quick = ["--limit", "40", "--backbone-epochs", "1", "--epochs", "1", "--quiet"]
    channel = ["--channel", "mixture:0.7*office-nlos,0.3*conference-los", "--widen", "1.5"]
    result = runner.invoke(main, ["train", *quick, *channel, "--order", "4", "-o", str(run)])
    assert result.exit_code == 0, result.output
    name = "widen:1.5:mixture:0.7*office-nlos,0.3*conference-los"
    assert f'channel = "{name}"' in (run / "config.toml").read_text(encoding="utf-8")
    assert f"through {name}" in result.stdout
    scored = runner.invoke(
        main, ["evaluate", str(run), *channel, "--limit", "20", "--snr", "9", "--quiet", "--json"]
    )
    assert scored.exit_code == 0, scored.output


def test_widening_needs_a_channel(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(main, ["train", "--widen", "1.5", "-o", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "--widen needs --channel" in result.stderr
