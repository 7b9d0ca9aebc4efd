from dataclasses import replace

import torch
from torch import nn

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


def test_the_digest_sees_a_single_weight() -> None:
    model = nn.Linear(3, 2)
    before = module_digest(model)
    with torch.no_grad():
        model.bias[0] += 1e-6
    assert module_digest(model) != before
