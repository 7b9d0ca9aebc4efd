"""Other people's weights load whole or not at all."""

import collections
from pathlib import Path

import pytest
import safetensors.torch
import torch

from phyemu.dnn import ResNet, ResNetConfig, load_pretrained, pretrained_resnet, resnet
from phyemu.errors import CheckpointError

CONFIG = ResNetConfig(depth=8, num_classes=5, width=4)


@pytest.fixture
def model(generator: torch.Generator) -> ResNet:
    return resnet(CONFIG, generator=generator)


def _same(first: ResNet, second: ResNet) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("layout", ["bare", "akamaster", "safetensors"])
def test_every_layout_loads_and_tells_its_architecture(
    layout: str, model: ResNet, tmp_path: Path
) -> None:
    state = model.state_dict()
    path = tmp_path / "weights.pth"
    if layout == "bare":
        torch.save(state, path)
    elif layout == "akamaster":  # data parallel names, no batch counters, accuracy beside
        renamed = {f"module.{k}": v for k, v in state.items() if "num_batches" not in k}
        torch.save({"state_dict": renamed, "best_prec1": 91.0}, path)
    else:
        path = tmp_path / "weights.safetensors"
        safetensors.torch.save_file(state, path)
    loaded = pretrained_resnet(path)
    assert loaded.config == CONFIG
    assert _same(loaded, model)


def test_another_architecture_is_refused_by_its_first_tensor_and_changes_nothing(
    model: ResNet, tmp_path: Path, generator: torch.Generator
) -> None:
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    wider = resnet(ResNetConfig(depth=8, num_classes=5, width=8), generator=generator)
    before = {name: value.clone() for name, value in wider.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"conv1\.weight is \(4, 3, 3, 3\), but ResNet has \(8, 3, 3, 3\)"
    ):
        load_pretrained(wider, path)
    assert all(torch.equal(before[name], value) for name, value in wider.state_dict().items())
    deeper = resnet(ResNetConfig(depth=14, num_classes=5, width=4), generator=generator)
    with pytest.raises(CheckpointError, match=r"lacks layer1\.1\.conv1\.weight \(4, 4, 3, 3\)"):
        load_pretrained(deeper, path)
    torch.save(deeper.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"layer1\.1\.conv1\.weight .* is not in ResNet"):
        load_pretrained(model, path)


def test_a_checkpoint_that_holds_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (witness,)  # type: ignore[return-value]

    path = tmp_path / "weights.pth"
    torch.save({"state_dict": Hostile()}, path)
    with pytest.raises(CheckpointError, match="cannot be read as tensors alone") as caught:
        pretrained_resnet(path)
    assert not witness.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (collections.OrderedDict(a=torch.zeros(1)), "no CIFAR residual network"),
        ([1, 2], "holds no state dict"),
        ({"a": 1}, "holds no state dict"),
    ],
)
def test_other_contents_are_refused(content: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        pretrained_resnet(path)


def test_damaged_and_missing_files_are_refused(model: ResNet, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="damaged"):
        pretrained_resnet(path)
    with pytest.raises(CheckpointError, match="no such file"):
        pretrained_resnet(tmp_path / "absent.pth")
    other = tmp_path / "weights.safetensors"
    other.write_bytes(b"not safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        load_pretrained(model, other)


def test_weights_that_are_not_finite_are_refused(model: ResNet, tmp_path: Path) -> None:
    state = model.state_dict()
    state["linear.bias"] = torch.full((5,), torch.nan)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match=r"linear\.bias holds values that are not finite"):
        pretrained_resnet(tmp_path / "weights.pth")


@pytest.mark.parametrize(
    ("name", "depth", "num_classes"),
    [
        ("cifar10-resnet20", 20, 10),
        ("cifar10-resnet56", 56, 10),
        ("cifar100-resnet20", 20, 100),
        ("cifar100-resnet56", 56, 100),
    ],
)
def test_the_public_checkpoints_load(
    name: str, depth: int, num_classes: int, shared_data: Path
) -> None:
    model = pretrained_resnet(shared_data / "pretrained" / f"{name}.pth")
    assert (model.config.depth, model.config.num_classes) == (depth, num_classes)
