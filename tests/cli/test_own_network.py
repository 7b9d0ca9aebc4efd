"""A network that is not phyemu's, from its run to the device, the relay and the server."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from phyemu_cli.main import main
from safetensors.torch import save_file

from phyemu.baselines import load_backbone, load_system
from phyemu.datasets import load_dataset
from phyemu.dnn import UserModel, evaluating
from phyemu.errors import CheckpointError
from phyemu.evaluation import load_exported
from phyemu.training import preset, train_run
from tests.untrained_chain import UntrainedChain, export_untrained_chain

NAME = "served_nets:net"
SOURCE = """
from torch import nn

def net(num_classes, in_channels):
    return nn.Sequential(nn.Conv2d(in_channels, 4, 4, 4), nn.ReLU(), nn.Conv2d(4, 4, 2, 2),
                         nn.ReLU(), nn.Flatten(), nn.Linear(64, num_classes))
"""
ASKS = f"say so: --model {NAME}"
NUM_IMAGES = 10


def phyemu(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def phyemu_with_model(*arguments: str | Path) -> Result:
    """Run a command that must refuse the network unless it is named, and then must not."""
    refused = phyemu(*arguments)
    assert refused.exit_code == 1, refused.output
    assert ASKS in refused.stderr
    done = phyemu(*arguments, "--model", NAME)
    assert done.exit_code == 0, done.output
    return done


def predictions(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output
    *told, last = map(json.loads, result.stdout.splitlines())
    assert (last["summary"]["partner"], last["summary"]["images_lost"]) == ("ours", 0)
    return [image["prediction"] for image in told]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Go to a folder where the code of the network lies."""
    home = tmp_path_factory.mktemp("own")
    (home / "served_nets.py").write_text(SOURCE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        yield home
    sys.modules.pop("served_nets", None)


@pytest.fixture(scope="module")
def own(home: Path) -> Path:
    """Return the folder of a run of such a network."""
    config = preset("digits", "awgn:12")
    config = replace(
        config,
        data=replace(config.data, limit=160),
        backbone=replace(config.backbone, model=NAME, epochs=6, batch_size=16),
        phydnn=replace(config.phydnn, split="2", orders=(4,), epochs=(2,), batch_size=16),
    )
    train_run(config, home / "run")
    return home / "run"


@pytest.fixture(scope="module")
def sent(own: Path) -> Path:
    """Return a recording of what its head sends of some images."""
    path = own.with_name("sent.sigmf")
    images = ("--images", "digits", "--limit", str(NUM_IMAGES))
    phyemu_with_model("run", "head", own, *images, "-o", path)
    return path


@pytest.fixture(scope="module")
def expected(own: Path, sent: Path) -> list[int]:
    """Return the classes of these images by head and tail alone, without noise."""
    record = sent.with_suffix(".sent.jsonl").read_text("utf-8").splitlines()
    indices = [json.loads(line)["index"] for line in record]
    phydnn = load_exported(own, model=NAME)
    with evaluating(phydnn.head):
        symbols = phydnn.head(load_dataset("digits", seed=0).test.images[indices])
    posteriors = torch.nn.functional.one_hot(symbols, phydnn.order).float()
    classes: list[int] = phydnn.logits(posteriors.numpy()).argmax(-1).tolist()
    assert len(classes) == NUM_IMAGES
    assert len(set(classes)) > 1
    return classes


def test_head_and_tail_run_where_the_network_is_named(
    own: Path, sent: Path, expected: list[int]
) -> None:
    assert predictions(phyemu_with_model("serve", "tail", own, sent)) == expected


def test_it_is_exported_and_its_code_is_needed_no_more(
    own: Path, sent: Path, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, again = tmp_path / "device", tmp_path / "again.sigmf"
    exported = ("export", own, "--format", "torchscript", "--quiet", "-o", device)
    phyemu_with_model(*exported)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "served_nets")
    by_script = ("--format", "torchscript")
    images = ("--images", "digits", "--limit", str(NUM_IMAGES))
    said = phyemu("run", "head", device, *images, *by_script, "-o", again)
    assert said.exit_code == 0, said.output
    assert predictions(phyemu("serve", "tail", device, again, *by_script)) == expected
    assert "served_nets" not in sys.modules
    for words in (
        ("run", "head", device, *images, "-o", tmp_path / "no.sigmf"),
        ("serve", "tail", device, again),
    ):
        refused = phyemu(*words, *by_script, "--model", NAME)
        assert refused.exit_code == 1, refused.output
        assert f"holds its network, and {NAME} is not imported" in refused.stderr


@pytest.mark.parametrize(("system", "cut"), [("edge-only", ()), ("SC", ("--split", "2"))])
def test_it_is_made_a_baseline_of(
    system: str, cut: tuple[str, ...], own: Path, tmp_path: Path
) -> None:
    made = phyemu_with_model(
        *("train-baseline", system, "--backbone", own, "--limit", "160", *cut),
        *("--json", "--quiet", "-o", tmp_path / "made"),
    )
    trained = json.loads((own / "metrics.json").read_text("utf-8"))
    assert json.loads(made.stdout)["accuracy"] == trained["backbone_accuracy"]
    backbone, _ = load_backbone(own, model=NAME)
    read = load_system(tmp_path / "made", backbone=backbone)
    images = load_dataset("digits", seed=0, limit=160).test
    assert read.accuracy(images, None, 0) == trained["backbone_accuracy"]


def test_its_weights_are_loaded_only_into_the_network_that_was_named(
    own: Path, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=f"is of the network '{NAME}', but 'a:b' was named"):
        load_backbone(own, model="a:b")
    bare = tmp_path / "bare.safetensors"
    save_file(load_backbone(own, model=NAME)[0].state_dict(), bare)
    with pytest.raises(CheckpointError, match=f"does not say how {NAME} is built; name a run of"):
        load_backbone(bare, model=NAME)


def test_its_frames_are_scored(own: Path, tmp_path: Path) -> None:
    path = tmp_path / "images.sigmf"
    phyemu_with_model("waveform", "images", own, "-o", path, "--quiet")
    done = phyemu_with_model("receive", path, "--receiver", own, "--json")
    *_, last = map(json.loads, done.stdout.splitlines())
    assert (last["summary"]["images"], last["summary"]["symbol_errors"]) == (160, 0)
    alone = phyemu("receive", path, "--model", NAME)
    assert alone.exit_code == 2
    assert "--model: only with --receiver" in alone.stderr


def chain_of(home: Path) -> UntrainedChain:
    model = UserModel(name=NAME, num_classes=10, in_channels=1)
    return export_untrained_chain(
        home / "chain",
        splits=("0", "2"),
        backbone=model.build(seed=3),
        architecture=model.describe(),
    )


def test_three_devices_run_where_the_network_is_named(home: Path, tmp_path: Path) -> None:
    chain = chain_of(home)
    run, hop1, hop2 = chain.folder, tmp_path / "hop1.sigmf", tmp_path / "hop2.sigmf"
    images = ("--images", "digits", "--limit", str(NUM_IMAGES))
    assert phyemu("run", "head", run, *images, "-o", hop1, "--model", NAME).exit_code == 0
    phyemu_with_model("serve", "relay", run, hop1, "-o", hop2)
    told = predictions(phyemu("serve", "tail", run, hop2, "--model", NAME))
    record = hop1.with_suffix(".sent.jsonl").read_text("utf-8").splitlines()
    indices = [json.loads(line)["index"] for line in record]
    expected = chain.directly(load_dataset("digits", seed=0).test.images[indices]).argmax(-1)
    assert len(set(told)) > 1
    assert told == expected.tolist()
    device = tmp_path / "device"
    words = ("--format", "torchscript", "--quiet", "-o", device)
    phyemu_with_model("export", run, "--part", "relay1", *words)
    refused = phyemu(
        *("serve", "relay", device, hop1, "-o", tmp_path / "no.sigmf"),
        *("--format", "torchscript", "--model", NAME),
    )
    assert refused.exit_code == 1
    assert "leave --model (in Python model=) out" in refused.stderr
