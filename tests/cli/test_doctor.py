"""`phyemu doctor`."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main

from phyemu.radio import diagnosis
from phyemu.radio.diagnosis import Finding, Level

FINDINGS = [
    Finding("Python", Level.OK, "3.11"),
    Finding("disk", Level.PROBLEM, "full", "make room"),
]


@pytest.fixture(autouse=True)
def _found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "diagnose", lambda folder: FINDINGS)


def test_each_finding_is_a_line_and_each_remedy_another(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--folder", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [["ok", "Python", "3.11"], ["problem", "disk", "full"], ["make", "room"]]


def test_json_holds_the_same() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"])
    assert json.loads(result.stdout)["findings"][1] == {
        "subject": "disk",
        "level": "problem",
        "state": "full",
        "remedy": "make room",
    }


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["doctor", "--folder", str(tmp_path / "absent")])
    assert result.exit_code == 2
