"""From `batch` to `collect` with the real workers: a PhyDNN, and a sounder, through the twin."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario
from phyemu.colosseum.files import save_scenario
from phyemu.training import preset, train_run

pytest.importorskip("zmq", reason="pyzmq is not installed: pip install 'phyemu[live]'")

pytestmark = pytest.mark.slow

DELAYS_S = (0.0, 1.2e-6)
GAINS = (0.8, 0.3j)


def phyemu(*arguments: object) -> str:
    """Run a command, and return what it printed."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def rehearsed_and_collected(jobs: Path, folder: Path) -> list[dict[str, Any]]:
    """Return the links in the table that is collected of a rehearsed batch."""
    files = sorted(path for path in jobs.glob("*.json") if path.name != "plan.json")
    phyemu("colosseum", "rehearse", *files, "-o", folder / "rehearsed", "--quiet")
    options: Sequence[object] = ("--plan", jobs, "-o", folder / "results", "--quiet")
    phyemu("colosseum", "collect", folder / "rehearsed", *options)
    found: list[dict[str, Any]] = json.loads((folder / "results" / "results.json").read_text())[
        "results"
    ]
    return found


def test_every_frame_of_a_phydnn_arrives(tmp_path: Path) -> None:
    config = preset("digits", "awgn:12", seed=1)
    config = replace(
        config,
        data=replace(config.data, limit=60),
        backbone=replace(config.backbone, width=4, epochs=4, batch_size=20),
        phydnn=replace(config.phydnn, orders=(4,), epochs=(2,), batch_size=20),
        # A quarter of what a run has by default: as much is proven by fewer frames.
        frame=replace(config.frame, sample_rate_hz=config.frame.sample_rate_hz / 4),
    )
    train_run(config, tmp_path / "run")
    phyemu(
        *("colosseum", "batch", "phydnn", "urban-40db", "--rf-scenario", "urban-40db=70040"),
        *("--run", tmp_path / "run", "--head-image", "phyemu-tx", "--tail-image", "phyemu-rx"),
        *("--images", 20, "--duration", 1, "-o", tmp_path / "jobs"),
    )
    (link,) = rehearsed_and_collected(tmp_path / "jobs", tmp_path)
    assert (link["transmitter"], link["receiver"]) == (1, 2)
    assert link["frames_lost"] == 0
    assert link["frames_received"] > 100
    # The last frame may be cut by the end, and its missing symbols count as wrong; frames differ in
    # length, as the last of a pass holds what is left.
    assert link["symbol_error_rate"] < 2 / link["frames_received"]
    assert link["images"] >= 20
    for log in (tmp_path / "rehearsed").rglob("node.jsonl"):
        assert '"the worker ended by itself (exit code 0)"' in log.read_text()


def test_a_sounder_finds_the_taps_of_the_scenario(tmp_path: Path) -> None:
    response = ImpulseResponse(
        torch.tensor([GAINS], dtype=torch.complex64),
        torch.tensor(DELAYS_S, dtype=torch.float64),
        1e-3,
    )
    scenario = Scenario(
        name="two-taps",
        description="Two taps far apart.",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        num_nodes=2,
        links={(1, 2): response, (2, 1): response},
    )
    path = save_scenario(scenario, tmp_path / "two-taps.json")
    phyemu(
        *("colosseum", "batch", "sound", path, "--rf-scenario", "two-taps=70001"),
        *("--image", "phyemu-node", "--transmitter", 1, "--rate", "10M", "--window", 0.3),
        *("--duration", 1, "-o", tmp_path / "jobs"),
    )
    (link,) = rehearsed_and_collected(tmp_path / "jobs", tmp_path)
    assert (link["taps"], link["taps_missed"], link["extra_paths"]) == (2, 0, 0)
    # CaST's tolerances.
    assert link["delay_error_ns"] <= 20
    assert link["gain_error_db"] <= 0.5
    assert link["soundings"] >= 10
