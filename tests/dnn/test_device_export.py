"""Heads and tails for devices: the same outputs, no phyemu, and nothing written that differs."""

import dataclasses
import importlib.util
import json
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.dnn import (
    ArtefactInfo,
    DeviceFormat,
    Lookup,
    Normalise,
    Part,
    PhyDnn,
    PhyDnnHead,
    PhyDnnTail,
    ResNetConfig,
    describe_architecture,
    device_export,
    evaluating,
    export_for_device,
    export_head,
    export_tail,
    load_for_device,
    load_head,
    load_tail,
    onnx_export,
    read_device_card,
    resnet,
)
from phyemu.dnn.onnx_export import onnx_missing
from phyemu.errors import CheckpointError, ConfigError


def exported(
    folder: Path, *, symbols_per_slice: int, lookup: Lookup, num_codebooks: int = 1
) -> tuple[PhyDnnHead, PhyDnnTail]:
    """Return head and tail of a small network whose tail narrows maps twice; QPSK."""
    generator = torch.Generator().manual_seed(3)
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.4,), (0.3,)),
        num_embeddings=4 ** (symbols_per_slice // num_codebooks),
        generator=generator,
        symbols_per_slice=symbols_per_slice,
        slice_size=(2, 1) if num_codebooks > 1 else (1, 1),
        num_codebooks=num_codebooks,
        lookup=lookup,
    )
    if model.embedding.demapper is not None:  # which begins as the soft lookup
        torch.nn.init.normal_(model.embedding.demapper.output.weight, generator=generator)
    info = ArtefactInfo(
        architecture=describe_architecture(backbone),
        split="layer1",
        image_shape=(1, 8, 8),
        class_names=list("abcde"),
        constellation={"name": "psk", "order": 4, "points": [[1, 0], [0, 1], [-1, 0], [0, -1]]},
        frame={},
        provenance={},
        lookup=lookup,
    )
    export_head(model, folder / "head.safetensors", info)
    export_tail(model, folder / "tail.safetensors", info)
    return load_head(folder / "head.safetensors"), load_tail(folder / "tail.safetensors")


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhyDnnHead, PhyDnnTail]:
    """Return head and tail as in the paper: a symbol for each slice, hard lookup."""
    return exported(tmp_path_factory.mktemp("sides"), symbols_per_slice=1, lookup=Lookup.HARD)


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhyDnnHead, PhyDnnTail]:
    """Return head and tail with two symbols for each slice and a learned demapper."""
    return exported(tmp_path_factory.mktemp("sides"), symbols_per_slice=2, lookup=Lookup.LEARNED)


@pytest.fixture(scope="module")
def codebooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[PhyDnnHead, PhyDnnTail]:
    """Return head and tail with slices of two positions, two codebooks, and two symbols of each."""
    folder = tmp_path_factory.mktemp("sides")
    return exported(folder, symbols_per_slice=4, lookup=Lookup.HARD, num_codebooks=2)


def batches(size: int, num_symbols: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images, and posteriors of which every fifth row was lost."""
    generator = torch.Generator().manual_seed(size)
    images = torch.randint(256, (size, 1, 8, 8), generator=generator, dtype=torch.uint8)
    posteriors = (3 * torch.randn((size, num_symbols, 4), generator=generator)).softmax(-1)
    posteriors[:, ::5] = 0.25
    return images, posteriors


def check_both(
    sides: tuple[PhyDnnHead, PhyDnnTail], device_format: DeviceFormat, folder: Path
) -> None:
    for number, side in enumerate(sides):
        path = folder / f"m4{device_format.suffix}"
        card = export_for_device(side, path, device_format)
        assert card == read_device_card(path)
        assert card.artefact == side.card
        assert card.input["shape"][0] == "batch"
        loaded = load_for_device(path, side.card.part)
        for size in (1, 2, 33):
            batch = batches(size, side.card.symbols_per_image)[number]
            with evaluating(side):
                ours = side(batch).numpy()
            theirs = loaded(batch.numpy())
            assert theirs.shape == ours.shape
            assert str(theirs.dtype) == card.output["dtype"]
            if side.card.part is Part.HEAD:
                # A slice between two embeddings may fall to either; none of 2112 does here.
                assert np.array_equal(ours, theirs)
            else:
                np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["sides", "learned", "codebooks"])
def test_torchscript_computes_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    check_both(request.getfixturevalue(kind), DeviceFormat.TORCHSCRIPT, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sides", "learned", "codebooks"])
def test_onnx_runtime_computes_the_same(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    sides = request.getfixturevalue(kind)
    if onnx_missing():
        pytest.skip(onnx_missing())
    check_both(sides, DeviceFormat.ONNX, tmp_path)
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in told] == []
    import onnx

    model = onnx.load(tmp_path / "m4.onnx")
    onnx.checker.check_model(model)
    assert [value.name for value in model.graph.input] == ["posteriors"]
    assert [value.name for value in model.graph.output] == ["logits"]


def test_torchscript_runs_where_there_is_no_phyemu(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path
) -> None:
    images, posteriors = batches(3)
    for name, side in zip(("head", "tail"), sides, strict=True):
        export_for_device(side, tmp_path / f"{name}.pt", DeviceFormat.TORCHSCRIPT)
    torch.save({"images": images, "posteriors": posteriors}, tmp_path / "batches.pt")
    script = (
        "import sys, torch, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "sys.modules['phyemu'] = None\n"  # importing it fails
        "given = torch.load('batches.pt', weights_only=True)\n"
        "found = {'symbols': torch.jit.load('head.pt')(given['images']),\n"
        "         'logits': torch.jit.load('tail.pt')(given['posteriors'])}\n"
        "torch.save({name: value.detach() for name, value in found.items()}, 'found.pt')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    found = torch.load(tmp_path / "found.pt", weights_only=True)
    with evaluating(sides[0]), evaluating(sides[1]):
        assert torch.equal(found["symbols"], sides[0](images))
        torch.testing.assert_close(found["logits"], sides[1](posteriors))


def test_a_gpu_with_its_coarser_sums_has_no_say_in_the_comparison(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for number, side in enumerate(sides):
        card = export_for_device(side, tmp_path / f"{number}.pt", DeviceFormat.TORCHSCRIPT)
        assert card.checked_with.endswith(" on cpu")
        assert card.largest_difference < 1e-5


def test_what_computes_something_else_is_not_written(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = sides[1]

    class Wrong(torch.nn.Module):
        def forward(self, posteriors: torch.Tensor) -> torch.Tensor:
            return posteriors.sum((1, 2))[:, None].expand(-1, 5) + 1.0

    real = device_export.torchscript_bytes
    monkeypatch.setattr(
        device_export, "torchscript_bytes", lambda _, example: real(Wrong(), example)
    )
    with pytest.raises(CheckpointError, match="computes something else than torch"):
        export_for_device(tail, tmp_path / "m4.pt", DeviceFormat.TORCHSCRIPT)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_or_foreign_file_is_refused(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path
) -> None:
    path, card = tmp_path / "m4.pt", tmp_path / "m4.pt.json"
    with pytest.raises(CheckpointError, match=r"card of m4\.pt cannot be read"):
        load_for_device(path, Part.HEAD)
    export_for_device(sides[0], path, DeviceFormat.TORCHSCRIPT)
    with pytest.raises(CheckpointError, match="is a head, not a tail"):
        load_for_device(path, Part.TAIL)
    content, described = path.read_bytes(), card.read_text()
    path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="is damaged, or not the file"):
        load_for_device(path, Part.HEAD)
    path.write_bytes(content)
    for damaged, message in (
        ("{", "is no JSON"),
        ("[]", "must hold a JSON object"),
        ("{}", "lacks artefact, checked_with"),
        (json.dumps({**json.loads(described), "more": 1}), "has unknown more"),
        (json.dumps({**json.loads(described), "format": "tar"}), "is no valid card"),
        (json.dumps({**json.loads(described), "artefact": {}}), "lacks architecture"),
        (json.dumps({**json.loads(described), "input": 3}), "input must have name"),
    ):
        card.write_text(damaged)
        with pytest.raises(CheckpointError, match=message):
            load_for_device(path, Part.HEAD)


def test_a_file_that_is_no_torchscript_is_refused(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path
) -> None:
    path = tmp_path / "m4.pt"
    card = export_for_device(sides[0], path, DeviceFormat.TORCHSCRIPT)
    path.write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    changed = dataclasses.replace(card, file_sha256=digest)
    (tmp_path / "m4.pt.json").write_text(changed.to_json())
    with pytest.raises(CheckpointError, match="is no TorchScript"):
        load_for_device(path, Part.HEAD)


def test_what_onnx_leaves_alone_is_told_of_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "phyemu.dnn.onnx_export")
    optimiser = logging.getLogger("onnxscript.optimizer._constant_folding")
    with onnx_export._quiet():
        optimiser.warning("Skipping constant folding for op %s.", "SequenceConstruct")
        optimiser.warning("something else")
    optimiser.warning("Skipping constant folding afterwards")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", f"{optimiser.name}: Skipping constant folding for op SequenceConstruct."),
        ("WARNING", "something else"),
        ("WARNING", "Skipping constant folding afterwards"),
    ]


def test_another_suffix_is_refused(sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must be named \.onnx"):
        export_for_device(sides[0], tmp_path / "m4.pt", DeviceFormat.ONNX)


def test_without_the_extra_onnx_names_the_remedy(
    sides: tuple[PhyDnnHead, PhyDnnTail], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(torch, "__version__", "2.13.0")
    with pytest.raises(ConfigError, match=r"needs onnx, onnxscript, onnxruntime: .*export"):
        export_for_device(sides[0], tmp_path / "m4.onnx", DeviceFormat.ONNX)
    monkeypatch.setattr(torch, "__version__", "2.4.1")
    assert onnx_export.onnx_missing().startswith("ONNX is exported by torch 2.6 or newer")
    assert list(tmp_path.iterdir()) == []
