"""`phyemu colosseum scenario` on the shipped scenarios."""

import json
from pathlib import Path

import scipy.io
from click.testing import CliRunner
from phyemu_cli.main import main


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["colosseum", "scenario", *arguments])
    return result.exit_code, result.output


def test_list_names_the_published_scenarios() -> None:
    code, output = run("list", "--json")
    assert code == 0
    assert {"1009", "51005", "90001"} <= {item["name"] for item in json.loads(output)["scenarios"]}
    assert "90003" in run("list")[1]


def test_show_prints_the_taps() -> None:
    code, output = run("show", "90002")
    assert code == 0
    assert "1>4: 0 ns 0.0 dB, 128 ns -6.0 dB" in output
    assert len(json.loads(run("show", "90002", "--json")[1])["links"]) == 20


def test_check_fails_with_the_link_named() -> None:
    code, output = run("check", "90004")
    assert code == 1
    assert "link 4>5" in output
    assert run("check", "51005") == (0, "fits the emulator\n")
    assert json.loads(run("check", "51005", "--json")[1]) == {"violations": []}


def test_export_refuses_what_is_off_the_grid_and_moves_it_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    code, output = run("export", "90003", "-o", str(path))
    assert code == 1
    assert "--on-grid" in output
    assert run("export", "90003", "--on-grid", "-o", str(path))[0] == 0
    assert scipy.io.loadmat(path)["chMatrix"].shape[:2] == (5, 5)
    assert "--force" in run("export", "90003", "-o", str(path))[1]
