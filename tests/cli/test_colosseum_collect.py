"""`phyemu colosseum collect` at the command line: exit codes, lines, and what is fetched."""

import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu.iq import write_recording

_SSH = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nshift\nexec sh -c "$*"\n'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["colosseum", "collect", *map(str, arguments)])


@pytest.fixture
def reservation(tmp_path: Path) -> Path:
    """Return a reservation whose node 2 captured, and whose node 1 left nothing."""
    root = tmp_path / "nas" / "RESERVATION-5"
    task = root / "t-srn40-RES5" / "task-0001"
    task.mkdir(parents=True)
    conf = {"job": {"name": "grab", "node": 2, "scenario": "1009"}}
    (task / "task.json").write_text(json.dumps({"role": "capture", "radio_conf": conf}))
    (task.parent / "status.json").write_text('{"state": "FINISHED", "info": ""}')
    iq = (0.5 * np.exp(0.1j * np.arange(4000))).astype(np.complex64)
    write_recording(task / "capture-0001.sigmf", iq, sample_rate_hz=1e6)
    (root / "Inputs").mkdir()
    batch = {"BatchName": "grab", "NodeData": [{"RFNode_ID": 1}, {"RFNode_ID": 2}]}
    (root / "Inputs" / "batch_input.json").write_text(json.dumps(batch))
    return root


def test_what_is_missing_is_a_line_and_exit_code_1(reservation: Path, tmp_path: Path) -> None:
    result = run(reservation, "-o", tmp_path / "home", "--quiet")
    assert result.exit_code == 1
    assert result.stderr == "phyemu: reservation 5, node 1: left no logs\n"
    assert "Captures" in result.stdout
    assert (tmp_path / "home/recordings/grab-RES5-node2-task1-capture-0001.sigmf").is_file()
    again = run(reservation, "-o", tmp_path / "home", "--quiet", "--allow-missing", "--json")
    assert again.exit_code == 0
    found = json.loads(again.stdout)
    assert [item["duration_s"] for item in found["results"]] == [0.004]
    assert found["problems"] == ["reservation 5, node 1: left no logs"]


def test_a_remote_folder_is_fetched_and_collected(
    reservation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ssh").write_text(_SSH)
    (tmp_path / "bin" / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    source, home = f"file-proxy:{reservation}", tmp_path / "home"
    dry = run(source, "-o", home, "--dry-run")
    assert dry.exit_code == 0
    assert shlex.split(dry.stdout)[-2:] == [source, f"{home}/fetched/file-proxy/root/"]
    assert not home.exists()
    result = run(source, "-o", home, "--quiet", "--allow-missing")
    assert result.exit_code == 0, result.output
    assert (home / "fetched/file-proxy/root" / reservation.relative_to("/") / "Inputs").is_dir()
    assert len(list((home / "recordings").iterdir())) == 1


@pytest.mark.parametrize(
    ("source", "message"),
    [("nothing", "no such folder"), ("-oProxyCommand=x:/a", ""), ("h:/../x", "without '..'")],
)
def test_a_bad_source_is_one_line(source: str, message: str, tmp_path: Path) -> None:
    result = run("-o", tmp_path / "home", "--quiet", "--", source)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "home").exists()


def test_a_figure_that_exists_is_refused_before_any_work(reservation: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("mine")
    result = run(reservation, "-o", tmp_path / "home", "--plot", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert not (tmp_path / "home").exists()
