from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from phyemu.datasets import Dataset
from phyemu.dnn import ResNetConfig, resnet
from phyemu.errors import CheckpointError
from phyemu.training import TrainConfig, score_images, train_backbone


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
