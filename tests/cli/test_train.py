import json
import sys
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
        (["--channel", "awgn"], "channel awgn: lacks SNR_DB; write awgn:SNR_DB, as in awgn:12"),
        (
            ["--channel", "awgn:12", "--order", "4", "--epochs", "2"],  # --epochs 1 is there
            "(--epochs): [1, 2] are 2 numbers, but the orders are [4]; give one number, or one for",
        ),
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


@pytest.mark.parametrize("begun", [True, False])
def test_ctrl_c_says_how_to_go_on(
    begun: bool, runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "my run"

    def interrupted(*_: object, **__: object) -> None:
        if begun:
            run.mkdir()
            (run / "config.toml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("phyemu.training.train_run", interrupted)
    result = runner.invoke(main, ["train", *QUICK, "--quiet", "-o", str(run)])
    assert result.exit_code == 130
    way_on = f"; continue with phyemu train --resume -o '{run}'" if begun else ""
    assert result.stderr == f"phyemu: interrupted{way_on}\n"


def test_there_must_be_a_run_to_resume(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(main, ["train", "-o", str(tmp_path / "none"), "--resume"])
    assert result.exit_code == 2
    assert "holds no run to continue" in result.stderr
    assert not (tmp_path / "none").exists()


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


@pytest.mark.slow
def test_a_network_of_the_users_is_trained_and_loaded_only_where_it_is_named(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trained_nets.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, in_channels, maps=4):\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, maps, 8, 8), nn.ReLU(inplace=True),\n"
        "                         nn.Flatten(), nn.Linear(maps * 16, num_classes))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "trained_nets", raising=False)
    quick = ["--limit", "40", "--backbone-epochs", "1", "--epochs", "1", "--quiet"]
    named = ["--model", "trained_nets:net"]
    settings = [*named, "--option", "maps=6", "--split", "0", "--order", "4"]
    result = runner.invoke(main, ["train", *quick, *settings, "-o", "run"])
    assert result.exit_code == 0, result.output
    card = json.loads((tmp_path / "run" / "head" / "m4.json").read_text("utf-8"))
    assert card["architecture"] == {
        "name": "trained_nets:net",
        "num_classes": 10,
        "in_channels": 1,
        "options": {"maps": 6},
    }
    evaluate = ["evaluate", "run", "--channel", "awgn:12", "--fidelity", "symbol", "--quiet"]
    refused = runner.invoke(main, evaluate)
    assert refused.exit_code == 1
    assert "say so: --model trained_nets:net" in refused.stderr
    scored = runner.invoke(main, [*evaluate, *named, "--json"])
    assert scored.exit_code == 0, scored.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text("utf-8"))
    assert json.loads(scored.stdout)["num_images"] == 40
    assert metrics["symbols_per_image"] == 16
    again = runner.invoke(main, ["train", "-o", "run", "--resume", "--quiet"])
    assert again.exit_code == 0, again.output
    sent = runner.invoke(main, ["waveform", "images", "run", *named, "-o", "tx.sigmf", "--quiet"])
    assert sent.exit_code == 0, sent.output
    replay = ["replay", "tx.sigmf", "--through", "awgn:20", "--receiver", "run", "--quiet"]
    assert "--model trained_nets:net" in runner.invoke(main, replay).stderr
    assert runner.invoke(main, [*replay, *named]).exit_code == 0


def test_two_networks_are_one_too_many(runner: CliRunner, tmp_path: Path) -> None:
    both = ["--model", "a:b", "--backbone", "resnet8", "-o", str(tmp_path / "run")]
    result = runner.invoke(main, ["train", *both])
    assert result.exit_code == 2
    assert "both name the network" in result.stderr


@pytest.mark.slow
def test_three_devices_are_trained_exported_and_evaluated(
    runner: CliRunner, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    quick = ["--limit", "40", "--backbone-epochs", "1", "--epochs", "1", "--quiet"]
    cuts = ["--split", "layer2", "--split", "layer3", "--order", "4"]
    channel = ["--channel", "awgn:12//awgn:3"]
    result = runner.invoke(main, ["train", *quick, *cuts, *channel, "-o", str(run)])
    assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert metrics["symbols_per_image"] == 256 + 64
    assert metrics["channel"] == "awgn:12//awgn:3"
    (stage,) = metrics["phydnn"]
    assert stage["hop_sers"][0] < stage["hop_sers"][1]
    assert {path.parent.name for path in run.glob("*/m4.safetensors")} == {
        "head",
        "relay1",
        "tail",
    }
    evaluate = ["evaluate", str(run), "--quiet", "--limit", "20"]
    frames = runner.invoke(main, [*evaluate, *channel, "--json"])
    assert frames.exit_code == 0, frames.output
    answer = json.loads(frames.stdout)
    assert [hop["channel"] for hop in answer["hops"]] == ["awgn:12", "awgn:3"]
    assert [hop["symbols_per_image"] for hop in answer["hops"]] == [256, 64]
    assert all(hop["frames_sent"] > 0 for hop in answer["hops"])
    both = ["--channel", "awgn:9", "--channel", "awgn:20//awgn:0", "--fidelity", "symbol"]
    lines = runner.invoke(main, [*evaluate, *both, "--snr", "4,12"])
    assert lines.exit_code == 0, lines.output
    assert lines.stdout.count("over 2 hops") == 4
    assert lines.stdout.count("hop 2, ") == 4
    for arguments, code, message in [
        (["--channel", "awgn:12//awgn:3//awgn:1"], 1, "this network has 2 hops"),
        (["--channel", "awgn:12", "--latency"], 2, "--latency is of a single link"),
    ]:
        refused = runner.invoke(main, [*evaluate, *arguments])
        assert (refused.exit_code, message in refused.stderr) == (code, True), refused.stderr
    alone = ["waveform", "images", str(run), "-o", str(tmp_path / "t.sigmf")]
    refused = runner.invoke(main, alone)
    assert refused.exit_code == 1
    assert "a network on more than two devices" in refused.stderr
