"""Algorithm 1 over several hops; with one it is the training of two devices, number by number."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from phyemu.channel import Awgn
from phyemu.datasets import Dataset
from phyemu.dnn import Lookup, evaluating
from phyemu.errors import ConfigError
from phyemu.link import SymbolLink
from phyemu.training import (
    BackboneResult,
    TrainConfig,
    train_backbone,
    train_multi_hop,
    train_phydnn,
)
from phyemu.training.multi_hop_validation import score_over_links
from phyemu.training.seeds import SeedUse, derived_seed


@pytest.fixture
def backbone(dataset: Dataset, config: TrainConfig) -> BackboneResult:
    return train_backbone(dataset, config)


def hops(config: TrainConfig, *splits: str, **settings: object) -> TrainConfig:
    return replace(config, phydnn=replace(config.phydnn, splits=splits, **settings))


def test_one_hop_trains_as_train_phydnn_does(
    dataset: Dataset, config: TrainConfig, backbone: BackboneResult
) -> None:
    config = replace(
        config, phydnn=replace(config.phydnn, commitment=0.01, distillation=0.5, num_samples=2)
    )
    network, channel = backbone.backbone, Awgn(12.0)
    two = train_phydnn(network, backbone.normalise, dataset, channel, config)
    one = train_multi_hop(network, backbone.normalise, dataset, [channel], config)
    assert one.history == two.history
    assert one.stages.keys() == two.stages.keys()
    images = dataset.test.images
    for order, stage in two.stages.items():
        with evaluating(stage.phydnn):
            assert torch.equal(one.stages[order].phydnn.encode(images), stage.phydnn.encode(images))


def test_two_hops_learn_shrink_and_resume(
    dataset: Dataset, config: TrainConfig, backbone: BackboneResult, tmp_path: Path
) -> None:
    config = hops(config, "layer2", "layer3")
    channels = [Awgn(12.0), Awgn(9.0)]

    def train(folder: Path | None, resume: bool = False):  # type: ignore[no-untyped-def]
        return train_multi_hop(
            backbone.backbone,
            backbone.normalise,
            dataset,
            channels,
            config,
            folder=folder,
            resume=resume,
            progress=interrupt if folder and not resume else lambda *_: None,
        )

    def interrupt(_task: str, done: int, _total: int, _note: str = "") -> None:
        if done == 9:  # in the first epoch of the second stage
            raise KeyboardInterrupt

    whole = train(None)
    assert list(whole.stages) == [8, 4]
    for order, stage in whole.stages.items():
        sizes = [stage.phydnn.embedding_of(hop).num_embeddings for hop in range(2)]
        assert sizes == [order, order]
    first, last = whole.history[0], whole.history[-1]
    assert set(first.losses) == {"total", "task", "entropy", "binding"}
    assert last.validation_ser is not None
    stage = whole.stages[4]  # of one epoch
    links = [SymbolLink(channel, stage.constellation, config.frame) for channel in channels]
    score = score_over_links(
        stage.phydnn,
        links,
        dataset.validation,
        seed=derived_seed(config.seed, SeedUse.VALIDATION),
        lookup=config.phydnn.lookup,
    )
    assert score.total.loss == last.validation_loss  # of these images, and no others
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path)
    assert train(tmp_path, resume=True).history == whole.history


def test_each_hop_needs_a_channel(
    dataset: Dataset, config: TrainConfig, backbone: BackboneResult
) -> None:
    with pytest.raises(ConfigError, match="2 hops need as many channels, got 1"):
        train_multi_hop(
            backbone.backbone,
            backbone.normalise,
            dataset,
            [Awgn(12.0)],
            hops(config, "layer2", "layer3"),
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"splits": ("layer1",)}, "one is split"),
        ({"splits": ("layer1", "layer2"), "feature_layers": ("linear",)}, "leave them out"),
        ({"splits": ("layer1", "layer2"), "lookup": Lookup.LEARNED}, "hard or soft with splits"),
    ],
)
def test_settings_that_contradict_are_refused(
    config: TrainConfig, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(config.phydnn, **settings)


def test_a_modulation_is_not_learned_over_several_hops(config: TrainConfig) -> None:
    learned = replace(config, link=replace(config.link, modulation="learned"))
    with pytest.raises(ConfigError, match="psk or qam with splits"):
        hops(learned, "layer2", "layer3")
