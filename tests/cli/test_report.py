"""`phyemu report`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu import loop


def test_it_says_where_the_report_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the page holds is tested with the loop.
    monkeypatch.setattr(loop, "write_loop_report", lambda folder, path: path)
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.stdout == f"{tmp_path / 'report.html'}\n"
    result = CliRunner().invoke(main, ["report", str(tmp_path), "--json"])
    assert json.loads(result.stdout) == {"path": str(tmp_path / "report.html")}


def test_a_folder_that_is_no_loop_is_one_line(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 1
    assert "no run folder" in result.stderr
