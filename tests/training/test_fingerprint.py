import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from phyemu.channel import save_model, tgn
from phyemu.datasets import Dataset
from phyemu.training import TrainConfig
from phyemu.training.fingerprint import module_digest, training_fingerprint


def test_what_matters_changes_it_and_what_does_not_leaves_it(
    dataset: Dataset, config: TrainConfig
) -> None:
    first = training_fingerprint(config, dataset, "backbone")
    often = replace(config, checkpoint_interval_s=7.0)
    assert training_fingerprint(often, dataset, "backbone") == first
    other_link = replace(config, link=replace(config.link, channel="awgn:3"))
    assert training_fingerprint(other_link, dataset, "backbone") == first
    assert training_fingerprint(other_link, dataset, "phydnn") != training_fingerprint(
        config, dataset, "phydnn"
    )
    assert training_fingerprint(replace(config, seed=6), dataset, "backbone") != first
    said = replace(config, data=replace(config.data, mean=(0.3,), std=(0.2,)))
    assert training_fingerprint(said, dataset, "backbone") != first


def test_what_is_not_said_of_the_normalisation_leaves_no_mark(
    dataset: Dataset, config: TrainConfig
) -> None:
    """Runs that began before it could be said go on."""
    data = training_fingerprint(config, dataset, "backbone")["data"]
    assert set(tomllib.loads(data)) <= {"dataset", "validation_fraction", "limit", "augment"}


def test_the_digest_sees_a_single_weight() -> None:
    model = nn.Linear(3, 2)
    before = module_digest(model)
    with torch.no_grad():
        model.bias[0] += 1e-6
    assert module_digest(model) != before


def test_a_channel_of_a_name_leaves_no_mark(dataset: Dataset, config: TrainConfig) -> None:
    fingerprint = training_fingerprint(config, dataset, "phydnn")
    assert set(fingerprint) == {
        "data",
        "phydnn",
        "link",
        "frame",
        "dataset",
        "labels",
        "arithmetic",
        "shards",
        "seed",
    }


@pytest.mark.parametrize("spec", ["{}", "mixture:0.7*awgn:9,0.3*{}", "widen:1.5:{}"])
def test_another_channel_in_the_same_file_is_another_training(
    dataset: Dataset, config: TrainConfig, tmp_path: Path, spec: str
) -> None:
    path = tmp_path / "fit.h5"
    save_model(tgn("b", snr_db=12), path)
    through = replace(config, link=replace(config.link, channel=spec.format(path)))
    before = training_fingerprint(through, dataset, "phydnn")
    assert training_fingerprint(through, dataset, "phydnn") == before
    save_model(tgn("b", snr_db=15), path, force=True)
    assert training_fingerprint(through, dataset, "phydnn") != before
    assert "channel files" not in training_fingerprint(through, dataset, "backbone")
