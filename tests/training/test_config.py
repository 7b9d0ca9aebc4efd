import tomllib
from dataclasses import replace

import pytest

from phyemu.dnn import Estimator, Score
from phyemu.errors import ConfigError
from phyemu.training import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    PhyDnnConfig,
    TrainConfig,
    from_table,
    to_toml,
)


def test_defaults_of_algorithm_1_are_the_papers() -> None:
    config = PhyDnnConfig()
    assert (config.embedding_learning_rate, config.backbone_learning_rate) == (1e-3, 1e-4)
    assert (config.beta, config.beta_growth, config.binding) == (1e-4, 10.0, 1.0)
    assert (config.distillation, config.commitment) == (0.0, 0.0)
    assert config.slices_per_image == 0  # k-means over the whole training set


def test_every_default_that_is_none_comes_back_from_toml() -> None:
    """TOML has no None: a field that may be None must have it as its default."""
    config = replace(
        TrainConfig(link=LinkConfig(channel="awgn:12")),
        phydnn=PhyDnnConfig(slices_per_image=0, final_temperature=None),
    )
    assert from_table(TrainConfig, tomllib.loads(to_toml(config)), where="t") == config


def test_epochs_belong_to_their_stages() -> None:
    config = PhyDnnConfig(orders=(16, 8, 4), epochs=(3, 2, 1))
    assert [config.stage_of(epoch) for epoch in range(6)] == [0, 0, 0, 1, 1, 2]
    assert config.total_epochs == 6


TWO_BOOKS = {"codebooks": 2, "estimator": Estimator.COPY, "score": Score.DISTANCE}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"orders": (4, 8), "epochs": (1, 1)}, "must fall"),
        ({"orders": (8, 4), "epochs": (1,)}, "one entry a stage"),
        ({"orders": (1,), "epochs": (1,)}, "2 or more"),
        ({"beta": 0.5}, "beta_growth at most 1|beta \\* beta_growth"),
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"final_temperature": -1.0}, "final_temperature must be positive"),
        ({"orders": (16, 8), "epochs": (1, 1), "symbols_per_slice": (2,)}, "8 embeddings cannot"),
        ({"symbols_per_slice": (2, 1)}, "one number, or one a stage"),
        ({"feature_distillation": -1.0}, "feature_distillation must be >= 0"),
        ({"feature_layers": ("layer2",)}, "do nothing without feature_distillation"),
        ({"binding": -1.0}, "binding"),
        ({"binding_share": 0.0}, "binding = 0 turns"),
        ({"num_samples": 0}, "num_samples"),
        ({"slice_size": (0, 1)}, "slice_size must be at least"),
        ({"codebooks": 0}, "codebooks must be at least 1"),
        ({"codebooks": 2, "slice_size": (2, 1)}, "take --preset best"),
        ({"codebooks": 2, "estimator": Estimator.COPY}, 'score = "distance"'),
        ({"estimator": Estimator.COPY, "temperature": 2.0}, "has no temperature"),
        ({"slice_size": (2, 2)}, r"codebooks of 2\^16 embeddings; give more codebooks"),
        ({"slice_size": (16, 16)}, "give more codebooks, or a smaller slice_size"),
        (
            {"orders": (8,), "slice_size": (3, 1)} | TWO_BOOKS,
            r"8\^3 messages a slice, which are no 2",
        ),
        ({"removal": "none"}, "least-used or k-means"),
        ({"final_learning_rate_ratio": 2.0}, "final_learning_rate_ratio"),
    ],
)
def test_contradictions_of_the_schedule_are_refused(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        PhyDnnConfig(**settings)  # type: ignore[arg-type]


def test_no_epochs_need_weights() -> None:
    with pytest.raises(ConfigError, match="--pretrained FILE"):
        BackboneConfig(epochs=0)


def test_mean_and_deviation_come_back_from_toml() -> None:
    config = TrainConfig(
        data=DataConfig(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 1.0)),
        link=LinkConfig(channel="awgn:12"),
    )
    assert from_table(TrainConfig, tomllib.loads(to_toml(config)), where="t") == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (0.5,)}, "give both, or neither"),
        ({"std": (0.5,)}, "give both, or neither"),
        ({"mean": (0.5, 0.5), "std": (0.2,)}, "one value for each channel, got 2 and 1"),
        ({"mean": (), "std": ()}, "one value for each channel, got 0 and 0"),
        ({"mean": (123.7,), "std": (58.4,)}, "divide values for pixels of 0 to 255 by 255"),
        ({"mean": (0.5,), "std": (0.0,)}, r"std in \(0, 1\], got \[0.5\] and \[0.0\]"),
        ({"mean": (float("nan"),), "std": (0.5,)}, r"mean must lie in \[0, 1\]"),
    ],
)
def test_a_normalisation_that_cannot_be_is_refused(
    settings: dict[str, tuple[float, ...]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        DataConfig(**settings)  # type: ignore[arg-type]


def test_unknown_modulation_is_refused() -> None:
    with pytest.raises(ConfigError, match="psk, qam or learned"):
        LinkConfig(channel="awgn:12", modulation="fsk")  # type: ignore[arg-type]


def test_the_channel_has_no_default() -> None:
    with pytest.raises(TypeError, match="link"):
        TrainConfig()  # type: ignore[call-arg]


def test_layers_inside_a_compiled_tail_are_refused() -> None:
    phydnn = PhyDnnConfig(feature_distillation=1.0, feature_layers=("layer2",))
    with pytest.raises(ConfigError, match="compile = false"):
        TrainConfig(compile=True, phydnn=phydnn, link=LinkConfig(channel="awgn:12"))
