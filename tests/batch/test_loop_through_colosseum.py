"""The loop through Colosseum closes on the command line: collect, fit, train, and the loop."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

pytestmark = pytest.mark.slow

_SMALL = ("--dataset", "digits", "--limit", 60, "--backbone-epochs", 1, "--epochs", 1, "--quiet")


def phyemu(*arguments: object) -> str:
    """Run a command, and return what it printed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_what_a_job_left_becomes_a_channel_a_phydnn_and_a_place(
    sounding_job: Path, sounded_air: Path, tmp_path: Path
) -> None:
    home, channel = tmp_path / "home", tmp_path / "link.h5"
    sent = ("--reference", sounded_air / "tx.sigmf")
    phyemu("colosseum", "collect", sounding_job, *sent, "-o", home, "--quiet")
    soundings = home / "soundings" / "90003-1-2.h5"
    fit = json.loads(phyemu("fit", soundings, "-o", channel, "--json", "--quiet"))
    assert len(fit["paths"]) == 3
    delays_ns = [1e9 * path["delay_s"] for path in fit["paths"]]
    # As the emulator plays them, on its 10 ns grid.
    assert delays_ns == pytest.approx([0, 180, 430], abs=6)
    phyemu("train", "--channel", channel, *_SMALL, "-o", tmp_path / "run")
    assert (tmp_path / "run" / "head" / "m16.safetensors").is_file()
    (recording,) = (home / "recordings").iterdir()
    few = ("--passes", 1, "--test-images", 8)
    for number, captures in enumerate((soundings, recording)):
        run = tmp_path / f"loop-{number}"
        text = phyemu("loop", "--captures", captures, *_SMALL, *few, "-o", run, "--json")
        assert json.loads(text)["place"] == captures.name
        assert (run / "report.html").is_file()
