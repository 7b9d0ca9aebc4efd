"""Head and tail travel apart and meet again."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import (
    ArtefactInfo,
    Lookup,
    Normalise,
    PhyDnn,
    ResNetConfig,
    Score,
    describe_architecture,
    evaluating,
    export_head,
    export_tail,
    load_head,
    load_tail,
    noiseless_link,
    resnet,
)
from phyemu.errors import CheckpointError, ConfigError

M = 4
POINTS = [[math.cos(math.pi * m / 2), math.sin(math.pi * m / 2)] for m in range(M)]


@pytest.fixture
def backbone(generator: torch.Generator) -> nn.Module:
    return resnet(ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator)


@pytest.fixture
def info(backbone: nn.Module) -> ArtefactInfo:
    return ArtefactInfo(
        architecture=describe_architecture(backbone),
        split="layer1",
        image_shape=(1, 8, 8),
        class_names=tuple("abcde"),
        constellation={"name": "psk", "order": M, "points": POINTS},
        frame={"samples_per_symbol": 2},
        provenance={"seed": 1},
    )


@pytest.fixture
def model(backbone: nn.Module, generator: torch.Generator) -> PhyDnn:
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M,
        generator=generator,
        score=Score.DISTANCE,
    )
    model.embedding.score_scale.fill_(0.8)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8, generator=generator)


@pytest.fixture
def exported(model: PhyDnn, info: ArtefactInfo, tmp_path: Path) -> Path:
    export_head(model, tmp_path / "head.safetensors", info)
    export_tail(model, tmp_path / "tail.safetensors", info)
    return tmp_path


@pytest.mark.parametrize("lookup", [Lookup.HARD, Lookup.SOFT])
def test_exported_sides_infer_as_the_model_does(
    lookup: Lookup, model: PhyDnn, exported: Path, images: Tensor, generator: torch.Generator
) -> None:
    head, tail = load_head(exported / "head.safetensors"), load_tail(exported / "tail.safetensors")
    tail.check_partner(head.card)
    assert not head.training
    assert not tail.training
    with evaluating(model), torch.no_grad():
        symbols = head(images)
        assert torch.equal(symbols, model.encode(images))
        posteriors = torch.nn.functional.one_hot(symbols, M).float() * 0.7 + 0.075
        torch.testing.assert_close(tail(posteriors, lookup), model.decode(posteriors, lookup))
        expected = model.infer(images, noiseless_link, generator)
        torch.testing.assert_close(tail(torch.nn.functional.one_hot(symbols, M).float()), expected)


def test_a_learned_demapper_travels_with_the_tail_alone(
    backbone: nn.Module,
    info: ArtefactInfo,
    images: Tensor,
    tmp_path: Path,
    generator: torch.Generator,
) -> None:
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M**2,
        generator=generator,
        symbols_per_slice=2,
        lookup=Lookup.LEARNED,
    )
    demapper = model.embedding.demapper
    assert demapper is not None
    nn.init.normal_(demapper.output.weight, generator=generator)
    info = dataclasses.replace(info, lookup=Lookup.LEARNED)
    export_head(model, tmp_path / "head.safetensors", info)
    export_tail(model, tmp_path / "tail.safetensors", info)
    head, tail = load_head(tmp_path / "head.safetensors"), load_tail(tmp_path / "tail.safetensors")
    tail.check_partner(head.card)
    assert not any("demapper" in name for name in head.state_dict())
    with evaluating(model), torch.no_grad():
        symbols = head(images)
        assert symbols.shape == (3, 128)
        posteriors = torch.nn.functional.one_hot(symbols, M).float() * 0.7 + 0.075
        for lookup in Lookup:
            torch.testing.assert_close(tail(posteriors, lookup), model.decode(posteriors, lookup))
        assert torch.equal(tail(posteriors), tail(posteriors, Lookup.LEARNED))
        assert not torch.allclose(tail(posteriors), tail(posteriors, Lookup.SOFT))
    _edit(tmp_path / "tail.json", lookup="soft")
    with pytest.raises(CheckpointError, match=r"demapper\.\S+ \S.* is not in Embedding"):
        load_tail(tmp_path / "tail.safetensors")


def test_cards_of_earlier_versions_load_as_they_did(
    exported: Path, model: PhyDnn, images: Tensor
) -> None:
    for side in ("head", "tail"):
        _edit(exported / f"{side}.json", symbols_per_slice=None, lookup=None)
    head, tail = load_head(exported / "head.safetensors"), load_tail(exported / "tail.safetensors")
    assert tail.card.symbols_per_slice == 1
    with evaluating(model), torch.no_grad():
        assert torch.equal(head(images), model.encode(images))
        posteriors = torch.nn.functional.one_hot(head(images), M).float() * 0.7 + 0.075
        assert torch.equal(tail(posteriors), tail(posteriors, Lookup.HARD))


def test_the_card_says_all_that_the_other_side_needs(exported: Path) -> None:
    card = json.loads((exported / "head.json").read_text())
    assert card["part"] == "head"
    assert card["architecture"]["name"] == "cifar-resnet"
    assert (card["split"], card["num_embeddings"], card["slice_dim"]) == ("layer1", 4, 4)
    assert card["feature_shape"] == [4, 8, 8]
    assert card["score"] == "distance"
    assert card["mean"] == pytest.approx([0.4])
    assert card["constellation"]["points"][1] == pytest.approx([0.0, 1.0])
    assert card["frame"] == {"samples_per_symbol": 2}
    tail = json.loads((exported / "tail.json").read_text())
    assert tail["embedding_sha256"] == card["embedding_sha256"]
    assert tail["class_names"] == list("abcde")


def test_a_head_holds_no_weights_of_the_tail_and_the_other_way_round(exported: Path) -> None:
    head, tail = load_head(exported / "head.safetensors"), load_tail(exported / "tail.safetensors")
    assert not any("layer2" in name or "linear" in name for name in head.state_dict())
    assert not any("conv1" in n and "layer" not in n for n in tail.state_dict())


def test_loading_a_head_needs_no_training_code(exported: Path) -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from phyemu.dnn import load_head\n"
        f"load_head(Path({str(exported / 'head.safetensors')!r}))\n"
        "bad = [n for n in sys.modules if n.split('.')[:2] in\n"
        "       [['phyemu', 'training'], ['phyemu', 'channel'], ['phyemu', 'datasets']]\n"
        "       or n.split('.')[0] in ('sklearn', 'tensorboard')]\n"
        "sys.exit(', '.join(bad) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class _Mine(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.front = nn.Conv2d(1, width, 1)
        self.back = nn.Linear(width * 64, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.back(self.front(images).flatten(1))


def test_a_network_of_the_user_is_exported_by_name_and_loaded_into_its_like(
    info: ArtefactInfo, images: Tensor, tmp_path: Path, generator: torch.Generator
) -> None:
    mine = _Mine()
    model = PhyDnn.from_backbone(
        mine,
        split="front",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=M,
        generator=generator,
    )
    info = dataclasses.replace(
        info, architecture=describe_architecture(mine, name="mine"), split="front"
    )
    path = tmp_path / "head.safetensors"
    export_head(model, path, info)
    with torch.no_grad():
        assert torch.equal(load_head(path, backbone=_Mine())(images), model.encode(images))
    with pytest.raises(CheckpointError, match="pass the network as backbone="):
        load_head(path)
    with pytest.raises(CheckpointError, match=r"front\.weight is \(3, 1, 1, 1\)"):
        load_head(path, backbone=_Mine(width=4))


def _edit(path: Path, **changes: object) -> None:
    card = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del card[name]
        else:
            card[name] = value
    path.write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": {"name": "cifar-resnet", "depth": 14, "num_classes": 5,
                           "in_channels": 1, "width": 4}}, "lacks layer1.1.conv1.weight"),
        ({"architecture": {"name": "cifar-resnet", "depth": 8, "num_classes": 5,
                           "in_channels": 1, "width": 8}}, r"conv1\.weight is \(4, 1, 3, 3\)"),
        ({"split": "layer2"}, "lacks layer2.0.conv1.weight"),
        ({"split": "layer7"}, "no such submodule"),
        ({"num_embeddings": 8}, "one point for each of the 8"),
        ({"num_embeddings": 16, "symbols_per_slice": 2}, "but the card says"),
        ({"symbols_per_slice": 2}, "one point for each of the 2"),
        ({"num_embeddings": 6, "symbols_per_slice": 2}, "cannot be sent as 2 symbols"),
        ({"slice_dim": 5}, "slice_dim must be 4"),
        ({"slice_dim": 5, "feature_shape": [5, 8, 8]}, "but the card says"),
        ({"split": 3}, "split is of the wrong type"),
        ({"feature_shape": ["4", 8, 8]}, "feature_shape is of the wrong type"),
        ({"architecture": {"name": "cifar-resnet", "depth": 8, "num_classes": 5,
                           "in_channels": 1, "width": 10**9}}, "at most 1024"),
        ({"score": "cosine"}, "cosine"),
        ({"lookup": "guess"}, "guess"),
        ({"part": "middle"}, "middle"),
        ({"format_version": 2}, "format_version must be 1, got 2"),
        ({"split": None}, "lacks split"),
        ({"colour": "red"}, "has unknown colour"),
        ({"std": [0.0]}, "positive std"),
        ({"weights_sha256": "0"}, "is damaged, or not the file"),
        ({"constellation": {"points": [[1, 0], [0, 1], [-1, 0], [0]]}}, "is \\[real, imaginary"),
        ({"constellation": {"points": [[1, 0], [0, 1], [-1, 0], [0, 10**400]]}}, "no valid card"),
        ({"num_embeddings": 10**400}, "one point for each of the 10000"),
        ({"mean": [10**400]}, "no valid card"),
        ({"class_names": ["a"]}, "tells 5 classes apart, but the card names 1"),
        ({"feature_shape": [4, 10**9, 10**9]}, r"are \(4, 8, 8\), but the card says \(4, 10000"),
        ({"image_shape": [1, 10**9, 10**9]}, "image_shape must be .* at most 67108864 values"),
        ({"image_shape": [8, 8]}, "image_shape must be"),
        ({"image_shape": [3, 8, 8]}, r"does not take images of \(3, 8, 8\)"),
    ],
)  # fmt: skip
def test_a_card_of_another_architecture_or_a_wrong_one_is_refused(
    changes: dict[str, object], message: str, exported: Path
) -> None:
    _edit(exported / "head.json", **changes)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_head(exported / "head.safetensors")
    assert "\n" not in str(caught.value)


def test_a_tail_of_more_classes_than_its_card_names_is_refused(exported: Path) -> None:
    _edit(exported / "tail.json", class_names=["a"])
    with pytest.raises(CheckpointError, match="tells 5 classes apart, but the card names 1"):
        load_tail(exported / "tail.safetensors")


def test_damaged_and_missing_files_are_refused(exported: Path) -> None:
    head = exported / "head.safetensors"
    with pytest.raises(CheckpointError, match="is a head, not a tail"):
        load_tail(head)
    content = bytearray(head.read_bytes())
    content[-3] ^= 1
    head.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_head(head)
    (exported / "tail.json").write_text("{")
    with pytest.raises(CheckpointError, match="is no JSON"):
        load_tail(exported / "tail.safetensors")
    (exported / "tail.json").unlink()
    with pytest.raises(CheckpointError, match=r"card of tail\.safetensors cannot be read"):
        load_tail(exported / "tail.safetensors")


def test_sides_of_different_exports_are_told_apart(
    model: PhyDnn, info: ArtefactInfo, exported: Path
) -> None:
    head = load_head(exported / "head.safetensors")
    with torch.no_grad():
        model.embedding.vectors.add_(1.0)
    export_tail(model, exported / "tail.safetensors", info)
    with pytest.raises(CheckpointError, match="different dictionaries"):
        load_tail(exported / "tail.safetensors").check_partner(head.card)


def test_exports_that_do_not_fit_the_model_are_refused(
    model: PhyDnn, info: ArtefactInfo, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"must be named \.safetensors"):
        export_head(model, tmp_path / "head.pt", info)
    wrong = dataclasses.replace(info, constellation={"points": POINTS[:2]})
    with pytest.raises(ConfigError, match="one point for each of the 4"):
        export_head(model, tmp_path / "head.safetensors", wrong)
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_cannot_be_written_says_so(model: PhyDnn, info: ArtefactInfo) -> None:
    for export in (export_head, export_tail):
        with pytest.raises(CheckpointError, match=r"phyemu/m4\.safetensors: cannot be"):
            export(model, Path("/proc/phyemu/m4.safetensors"), info)


def test_slices_of_several_positions_and_codebooks_travel_with_the_card(
    backbone: nn.Module, info: ArtefactInfo, images: Tensor, tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(4)
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=16,
        generator=generator,
        symbols_per_slice=4,
        slice_size=(2, 4),
        num_codebooks=2,
    )
    model.embedding.score_scale.copy_(torch.tensor([0.5, 3.0]))
    cards = [
        export_head(model, tmp_path / "head.safetensors", info),
        export_tail(model, tmp_path / "tail.safetensors", info),
    ]
    for card in cards:
        assert (card.slice_size, card.num_codebooks, card.slice_dim) == ((2, 4), 2, 32)
        assert (card.order, card.symbols_per_image) == (4, 32)
    head, tail = load_head(tmp_path / "head.safetensors"), load_tail(tmp_path / "tail.safetensors")
    assert torch.equal(head.embedding.score_scale, model.embedding.score_scale)
    with evaluating(model):
        symbols = model.encode(images)
        assert torch.equal(head(images), symbols)
        posteriors = model.embedding.as_sent(symbols)
        torch.testing.assert_close(tail(posteriors), model.decode(posteriors))
    path = tmp_path / "head.json"
    card = json.loads(path.read_text())
    for field, value, message in (
        ("slice_size", [2, 3], "slice_size must divide"),
        ("slice_size", [2], "slice_size must be"),
        ("num_codebooks", 3, "a multiple, got 4"),
        ("num_codebooks", 0, "num_codebooks must be at least 1, got 0"),
        ("num_codebooks", 4, "one point for each of the 16 symbols"),
    ):
        path.write_text(json.dumps(card | {field: value}))
        with pytest.raises(CheckpointError, match=message):
            load_head(tmp_path / "head.safetensors")
