import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from phyemu_cli.main import main


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_the_papers_cut_is_in_the_table(runner: CliRunner) -> None:
    result = runner.invoke(main, ["splits", "resnet8"])
    assert result.exit_code == 0, result.output
    title, *rows = result.stdout.splitlines()
    assert title.split() == "split features symbols M=16 M=8 M=4 parameters MACs".split()
    cells = {row.split()[0]: row.split()[1:] for row in rows}
    assert cells["layer1"][:4] == ["16x32x32", "1024", "32,768", "B"]
    assert "linear" not in cells
    assert "layer1.0.conv1" not in cells


def test_all_says_why_a_cut_cannot_be(runner: CliRunner) -> None:
    arguments = ["splits", "resnet8", "--width", "4", "--image", "1x8x8", "--all"]
    result = runner.invoke(main, arguments)
    assert result.exit_code == 0, result.output
    line = next(line for line in result.stdout.splitlines() if line.startswith("layer1.0.conv1"))
    assert "no: the cut carries more than one tensor" in line


def test_a_network_of_the_users_is_listed_as_json(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listed_nets.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, in_channels, maps=4):\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, maps, 2, 2), nn.Flatten(),\n"
        "                         nn.Linear(maps * 16, num_classes))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "listed_nets", raising=False)
    arguments = ["splits", "listed_nets:net", "--option", "maps=6", "--image", "1x8x8"]
    result = runner.invoke(main, [*arguments, "--classes", "3", "--order", "2", "--json"])
    assert result.exit_code == 0, result.output
    (point,) = json.loads(result.stdout)["splits"]
    assert (point["name"], point["feature_shape"]) == ("0", [6, 4, 4])
    assert point["bytes_per_64_images"] == {"2": 64 * 16 / 8}
    parameters = (6 * 4 + 6, 6 * 16 * 3 + 3)
    assert point["parameter_share"] == pytest.approx(parameters[0] / sum(parameters))


def test_a_network_that_cannot_be_cut_is_told_in_a_line(
    runner: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole_nets.py").write_text(
        "from torch import nn\n"
        "class net(nn.Module):\n"
        "    def __init__(self, num_classes, in_channels):\n"
        "        super().__init__()\n"
        "        self.last = nn.Linear(in_channels * 64, num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.last(x.flatten(1))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "whole_nets", raising=False)
    arguments = ["splits", "whole_nets:net", "--image", "1x8x8"]
    result = runner.invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout == "whole_nets:net: no cut is possible; --all says why\n"
    assert "last" in runner.invoke(main, [*arguments, "--all"]).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["resnet9"], 1, "6n + 2"),
        (["vgg"], 1, "resnet8"),
        (["no_such_nets:net"], 1, "cannot be imported"),
        (["resnet8", "--image", "32x32"], 2, "write 3x32x32"),
        (["resnet8", "--option", "maps=3"], 2, "--option goes with"),
        (["a:b", "--option", "maps"], 2, "write KEY=VALUE"),
        (["a:b", "--width", "8"], 2, "--width is of a CIFAR ResNet"),
    ],
)
def test_bad_input_gets_one_line(
    runner: CliRunner, arguments: list[str], code: int, message: str
) -> None:
    result = runner.invoke(main, ["splits", *arguments])
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]
