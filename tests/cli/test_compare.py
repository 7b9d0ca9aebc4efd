"""`phyemu compare`: usage, what it prints, and the pages it writes anew."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from phyemu_cli.main import main

from phyemu.comparison import comparison_preset, read_comparison, resolve_comparison
from phyemu.toml_config import to_toml

# The network without a radio alone: nothing but a backbone of one epoch is trained.
SETTINGS = """
systems = ["edge-only"]
[training.all.data]
limit = 40
[training.all.backbone]
epochs = 1
"""


def compare(*words: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["compare", *map(str, words)])


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return a settings file."""
    path = tmp_path / "settings.toml"
    path.write_text(SETTINGS)
    return path


def test_cells_are_made_listed_and_drawn_again(tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "out"
    words = ("--preset", "quick", "--config", settings, "-o", out, "--only", "table-1")
    listed = compare(*words, "--list")
    assert listed.exit_code == 0, listed.output
    assert listed.stdout.splitlines() == [
        "accuracy of edge-only, resnet8, digits, none, seed 0: to do",
        "1 cells: 0 done, 1 to do, 0 cannot be made; 1 trainings needed",
    ]
    assert not out.exists()
    made = compare(*words, "--quiet", "--json")
    assert made.exit_code == 0, made.output
    answer = json.loads(made.stdout)
    assert (answer["computed"], answer["failed"]) == (1, [])
    told = json.loads(compare("--resume", "-o", out, "--list", "--json").stdout)
    assert [cell["state"] for cell in told.pop("cells")] == ["done"]
    assert told == {"done": 1, "to_do": 0, "impossible": 0, "trainings": []}
    again = compare("--resume", "-o", out, "--quiet")
    assert "0 cells computed, 1 were there" in again.stdout
    (out / "index.md").write_text("mine")
    for another in (("--resume", "-o", out, "--quiet"), ("render", out)):
        left = compare(*another)
        assert left.exit_code == 0
        assert left.stderr.startswith(f"note: {out}/index.md: was not written by phyemu compare")
        assert left.stderr.count("\n") == 1
    (out / "index.md").unlink()
    assert compare("render", out).exit_code == 0
    assert (out / "index.md").is_file()


def test_a_comparison_goes_on_with_its_own_settings(tmp_path: Path) -> None:
    # Its profile is None, which TOML cannot say, and that of `paper` is the Jetson.
    quick = comparison_preset("quick")
    path = tmp_path / "comparison.toml"
    path.write_text(to_toml(quick), "utf-8")
    assert resolve_comparison({}, resumed=read_comparison(path)) == quick


def test_a_call_goes_on_with_the_settings_of_its_folder(tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "out"
    first = ("--preset", "quick", "--config", settings, "--only", "table-1,table-2")
    left_out = compare(*first, "--no-training", "--quiet", "-o", out)
    assert "1 left out" in left_out.stdout
    kept = (out / "comparison.toml").read_text()
    own = read_comparison(out / "comparison.toml")
    assert (own.exhibits, own.train_missing) == (("table-1", "table-2"), False)
    # What was said once holds until it is said otherwise, and that for one call.
    assert "1 left out" in compare("--quiet", "-o", out).stdout
    assert "1 left out" in compare("--only", "table-1", "--quiet", "-o", out).stdout
    assert (out / "comparison.toml").read_text() == kept
    assert "1 cells computed" in compare("--resume", "--training", "--quiet", "-o", out).stdout
    assert (out / "comparison.toml").read_text() == kept
    # Other settings are the folder's from then on, but for what is of a call.
    more = compare("--seed", 3, "--only", "table-1", "--quiet", "-o", out)
    assert "1 left out" in more.stdout
    own = read_comparison(out / "comparison.toml")
    assert (own.seeds, own.systems) == ((3,), ("edge-only",))
    assert own.exhibits == ("table-1", "table-2")


def test_a_failed_cell_is_exit_code_1(tmp_path: Path, settings: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "none").mkdir()  # and so without an image
    words = ("--preset", "quick", "--config", settings, "--only", "table-1", "--quiet")
    result = compare(*words, "--dataset", f"image-folder:{tmp_path}/none", "-o", out)
    assert result.exit_code == 1
    assert "1 failed" in result.stdout
    assert f"{tmp_path}/none" in result.stderr
    assert result.stderr.startswith("failed: accuracy of edge-only")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name the folder to fill with -o"),
        (("--preset", "best", "-o", "out"), "'best' is not one of"),
        (
            ("--resume", "--seed", "1", "-o", "out"),
            "--only, --runs and --no-training alone go with it",
        ),
    ],
)
def test_wrong_usage_is_exit_code_2(words: tuple[str, ...], message: str) -> None:
    result = compare(*words)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "table-4", "-o", "out"), "'table-4' is no table or figure; there are table-1"),
        (("--resume", "-o", "nowhere"), "nowhere/comparison.toml: no such file"),
        (("--runs", "nowhere", "-o", "out"), "nowhere: no such folder"),
        (("-o", "out"), "data: no such folder or archive; say where it is: --dataset cifar-10="),
    ],
)
def test_what_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = compare(*words)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_settings_without_their_images_leave_those_of_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    kept = to_toml(comparison_preset("quick"))
    (out / "comparison.toml").write_text(kept)
    result = compare("-o", out, "--dataset", f"image-folder:{tmp_path}/none")
    assert result.exit_code == 1
    assert f"{tmp_path}/none: no such folder or archive; say where it is" in result.stderr
    assert (out / "comparison.toml").read_text() == kept


@pytest.mark.parametrize("name", ["config.toml", "metrics.json", "checkpoints"])
def test_a_run_is_not_made_a_comparison(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    result = compare("--preset", "quick", "-o", tmp_path)
    assert result.exit_code == 1
    assert f"{tmp_path}: is a run, as it has {name}; name a folder of its own" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_without_cells_cannot_be_drawn(tmp_path: Path) -> None:
    result = compare("render", tmp_path)
    assert result.exit_code == 1
    assert "holds no finished cells" in result.stderr
