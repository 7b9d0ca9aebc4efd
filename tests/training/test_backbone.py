import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from phyemu.datasets import Dataset
from phyemu.dnn import ResNetConfig, resnet
from phyemu.errors import CheckpointError, ConfigError
from phyemu.training import (
    DataConfig,
    TrainConfig,
    save_backbone,
    score_images,
    stored_normalisation,
    train_backbone,
    write_checkpoint,
)


def test_it_learns_and_returns_the_best_epoch(dataset: Dataset, config: TrainConfig) -> None:
    longer = replace(config, backbone=replace(config.backbone, epochs=8))
    result = train_backbone(dataset, longer)
    assert result.validation_accuracy > 80  # chance is 33 %
    best = max(result.history, key=lambda r: (r.validation_accuracy, -r.validation_loss))
    assert result.epoch == best.epoch
    score = score_images(
        lambda images: result.backbone(result.normalise(images)),
        result.backbone,
        dataset.validation,
    )
    assert score.accuracy == result.validation_accuracy
    assert score.loss == best.validation_loss  # of these images, and no others


def test_the_same_seed_gives_the_same_weights(dataset: Dataset, config: TrainConfig) -> None:
    first, second = train_backbone(dataset, config), train_backbone(dataset, config)
    other = train_backbone(dataset, replace(config, seed=6))
    assert first.history == second.history
    assert first.history != other.history


def pretrained(path: Path, num_classes: int) -> dict[str, torch.Tensor]:
    model = resnet(
        ResNetConfig(depth=8, num_classes=num_classes, in_channels=1, width=4),
        generator=torch.Generator().manual_seed(4),
    )
    save_file(model.state_dict(), path)
    return model.state_dict()


def test_no_epochs_take_the_given_weights_as_they_are(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    weights = pretrained(path, 3)
    settings = replace(config.backbone, epochs=0, pretrained=str(path))
    result = train_backbone(dataset, replace(config, backbone=settings))
    assert result.history == ()
    assert all(torch.equal(v, weights[k]) for k, v in result.backbone.state_dict().items())


def test_weights_for_other_classes_are_refused(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    path = tmp_path / "w.safetensors"
    pretrained(path, 7)
    settings = replace(config.backbone, pretrained=str(path))
    with pytest.raises(CheckpointError, match="7 classes, but bars has 1 and 3"):
        train_backbone(dataset, replace(config, backbone=settings))


@pytest.fixture
def users_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the current folder one that holds a module of networks."""
    (tmp_path / "backbone_nets.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, in_channels, maps=4):\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, maps, 2, 2), nn.Flatten(),\n"
        "                         nn.Linear(maps * 16, num_classes))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "backbone_nets", raising=False)


def users(config: TrainConfig, **settings: object) -> TrainConfig:
    named = {"model": "backbone_nets:net", "epochs": 0, **settings}
    return replace(config, backbone=replace(config.backbone, **named))


@pytest.mark.usefixtures("users_nets")
def test_a_network_of_the_users_is_seeded_and_described(
    dataset: Dataset, config: TrainConfig
) -> None:
    first, again = (train_backbone(dataset, users(config, options={"maps": 2})) for _ in range(2))
    other = train_backbone(dataset, replace(users(config, options={"maps": 2}), seed=6))
    weights = [result.backbone.state_dict()["0.weight"] for result in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert first.architecture == {
        "name": "backbone_nets:net",
        "num_classes": 3,
        "in_channels": 1,
        "options": {"maps": 2},
    }


@pytest.mark.usefixtures("users_nets")
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_its_weights_come_from_a_file_but_for_the_fresh_layers(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, suffix: str
) -> None:
    given = {
        "0.weight": torch.full((4, 1, 2, 2), 0.5),
        "0.bias": torch.zeros(4),
        "2.weight": torch.ones(7, 64),
        "2.bias": torch.ones(7),
    }
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": given}, path)
    else:
        save_file(given, path)
    with pytest.raises(CheckpointError, match=r"2\.weight is \(7, 64\), but Sequential has \(3"):
        train_backbone(dataset, users(config, pretrained=str(path)))
    fresh = train_backbone(dataset, users(config))
    result = train_backbone(dataset, users(config, pretrained=str(path), fresh_layers=("2",)))
    weights = result.backbone.state_dict()
    assert torch.equal(weights["0.weight"], given["0.weight"])
    assert torch.equal(weights["2.weight"], fresh.backbone.state_dict()["2.weight"])
    with pytest.raises(ConfigError, match="no such submodule; near names: 0, 1, 2"):
        train_backbone(dataset, users(config, pretrained=str(path), fresh_layers=("fc",)))


@pytest.mark.usefixtures("users_nets")
def test_a_network_for_other_images_is_refused(dataset: Dataset, config: TrainConfig) -> None:
    wrong = users(config, model="backbone_nets:net", options={"in_channels": 3})
    with pytest.raises(ConfigError, match=r"takes no images of \(1, 8, 8\)"):
        train_backbone(dataset, wrong)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"options": {"maps": 2}}, "name it: model"),
        ({"fresh_layers": ("fc",), "pretrained": "w.pth"}, "name it: model"),
        ({"model": "a:b", "fresh_layers": ("fc",)}, "give pretrained"),
    ],
)
def test_settings_of_a_network_that_is_not_named_are_refused(
    config: TrainConfig, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(config.backbone, **settings)


def test_weights_of_an_earlier_run_keep_its_normalisation(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    earlier = train_backbone(dataset, replace(config, backbone=replace(config.backbone, epochs=8)))
    run = tmp_path / "run"
    save_backbone(run / "backbone.safetensors", earlier, dataset)
    brighter = replace(dataset, mean=(0.6,), std=(0.05,))  # of other training images
    for place in (run, run / "backbone.safetensors"):
        taken = replace(config.backbone, epochs=0, pretrained=str(place))
        later = train_backbone(brighter, replace(config, backbone=taken))
        assert torch.equal(later.normalise.mean, earlier.normalise.mean)
        assert torch.equal(later.normalise.std, earlier.normalise.std)
        assert later.validation_accuracy == earlier.validation_accuracy > 80
    # What is said comes before it, and goes on to the next run.
    said = replace(config.data, mean=(0.6,), std=(0.05,))
    other = train_backbone(brighter, replace(config, backbone=taken, data=said))
    assert other.validation_accuracy < earlier.validation_accuracy
    save_backbone(tmp_path / "other.safetensors", other, dataset)
    stored = stored_normalisation(tmp_path / "other.safetensors")
    assert stored is not None
    assert (stored.mean.item(), stored.std.item()) == pytest.approx((0.6, 0.05))


def test_what_is_said_of_the_normalisation_is_what_others_weights_are_adapted_with(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    pretrained(tmp_path / "w.safetensors", 3)
    settings = replace(config.backbone, epochs=0, pretrained=str(tmp_path / "w.safetensors"))
    silent = train_backbone(dataset, replace(config, backbone=settings))
    assert silent.normalise.mean.tolist() == pytest.approx(dataset.mean)
    said = replace(config, backbone=settings, data=DataConfig(mean=(0.5,), std=(0.25,)))
    assert train_backbone(dataset, said).normalise.mean.tolist() == [0.5]
    three = DataConfig(mean=(0.5, 0.4, 0.3), std=(0.25, 0.25, 0.25))
    with pytest.raises(ConfigError, match="3 values, but bars has 1 channels; give one a channel"):
        train_backbone(dataset, replace(said, data=three))


@pytest.mark.usefixtures("users_nets")
def test_a_normalisation_for_other_images_is_refused(
    dataset: Dataset, config: TrainConfig, tmp_path: Path
) -> None:
    weights = {
        "0.weight": torch.zeros(4, 3, 2, 2),
        "0.bias": torch.zeros(4),
        "2.weight": torch.zeros(3, 64),
        "2.bias": torch.zeros(3),
    }
    path = tmp_path / "rgb.safetensors"
    write_checkpoint(path, weights, {"dataset": {"mean": [0.5] * 3, "std": [0.2] * 3}})
    settings = users(config, pretrained=str(path), fresh_layers=("0",))
    with pytest.raises(CheckpointError, match=r"on 3 channels, but bars has 1; .* \[data\] mean"):
        train_backbone(dataset, settings)
    said = replace(settings, data=DataConfig(mean=(0.5,), std=(0.25,)))
    assert train_backbone(dataset, said).normalise.mean.tolist() == [0.5]
