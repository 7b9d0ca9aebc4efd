import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main
from phyemu_cli.train_baseline import SYSTEMS

from phyemu.baselines import SystemName


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_all_systems_but_the_phydnn_are_offered() -> None:
    assert [*SYSTEMS, "PhyDNN"] == [str(name) for name in SystemName]


def test_bottlefit_from_the_backbone_of_a_run_and_again_with_resume(
    runner: CliRunner, trained_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "bf"
    arguments = ["train-baseline", "bf-1", "--quiet", "--json", "-o", str(run)]
    quick = ["--limit", "40", "--epochs", "1", "--backbone", str(trained_run)]
    first = runner.invoke(main, [*arguments, *quick])
    assert first.exit_code == 0, first.output
    report = json.loads(first.stdout)
    assert (report["system"], report["payload_bytes_per_image"]) == ("BF-1", 4096)
    again = runner.invoke(main, [*arguments, "--resume"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == report


def test_a_dt_jscc_is_evaluated_as_a_phydnn_is(runner: CliRunner, tmp_path: Path) -> None:
    config = tmp_path / "t.toml"
    config.write_text("[data]\nlimit = 40\n[dt_jscc]\nmaps = 8\nbatch_size = 20\n")
    run = tmp_path / "jscc"
    arguments = ["--config", str(config), "--epochs", "1", "--order", "4"]
    made = runner.invoke(
        main,
        ["train-baseline", "DT-JSCC", *arguments, "--channel", "awgn:9", "--quiet", "-o", str(run)],
    )
    assert made.exit_code == 0, made.output
    assert "through awgn" in made.stdout
    assert "4 bytes an image (phy)" in made.stdout
    scored = runner.invoke(
        main, ["evaluate", str(run), "--channel", "awgn:12", "--quiet", "--json"]
    )
    assert scored.exit_code == 0, scored.output
    assert json.loads(scored.stdout)["frames_sent"] == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["BF-3"], 2, "BF-3"),
        (["SC", "--order", "4"], 2, "--order goes with DT-JSCC, not with SC"),
        (["BF-1", "--model", "a:b"], 2, "--model goes with SC, edge-only, device-only, not with"),
        (["BF-1", "--channel", "awgn:12"], 2, "--channel goes with DT-JSCC"),
        (["edge-only", "--epochs", "3"], 2, "--epochs goes with BF-1, BF-2, DT-JSCC"),
        (["DT-JSCC", "--split", "layer1"], 2, "--split goes with SC"),
        (["BF-1", "--limit", "40"], 1, "--backbone: BF-1 is made from a trained network"),
        (["SC"], 1, "give --backbone RUN (a run of phyemu train) or --backbone FILE (weights)"),
        (["SC", "--backbone", "nowhere.pth"], 1, "nowhere.pth: no such file"),
    ],
)
def test_bad_use_says_what_is_wrong(
    runner: CliRunner, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    run = tmp_path / "run"
    result = runner.invoke(main, ["train-baseline", *arguments, "--quiet", "-o", str(run)])
    assert result.exit_code == code
    assert message in result.stderr
    assert not run.exists()
    if code == 1:
        assert len(result.stderr.strip().splitlines()) == 1


def test_ctrl_c_says_how_to_go_on(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def interrupted(*_: object, **__: object) -> None:
        run.mkdir()
        (run / "config.toml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("phyemu.baselines.train_system", interrupted)
    arguments = ["train-baseline", "DT-JSCC", "--limit", "20", "--quiet", "-o", str(run)]
    result = runner.invoke(main, arguments)
    assert result.exit_code == 130
    way_on = f"continue with phyemu train-baseline DT-JSCC --resume -o {run}"
    assert result.stderr == f"phyemu: interrupted; {way_on}\n"


@pytest.mark.parametrize("system", ["BF-1", "edge-only"])
def test_evaluate_says_that_a_baseline_sends_no_symbols(
    system: str, runner: CliRunner, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(f'system = "{system}"\n', encoding="utf-8")
    result = runner.invoke(main, ["evaluate", str(tmp_path), "--channel", "awgn:12", "--quiet"])
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert f"{tmp_path}: holds {system} of phyemu train-baseline" in result.stderr
    assert "name a run of phyemu train" in result.stderr
