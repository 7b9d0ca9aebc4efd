import pytest
import torch

from phyemu.datasets import load_dataset
from phyemu.dnn import (
    Estimator,
    Lookup,
    Normalise,
    PhyDnn,
    ResNetConfig,
    Score,
    resnet,
    split_model,
)
from phyemu.training import Precision, Preset, named_preset, preset
from phyemu.training.presets import stages_behind


@pytest.mark.parametrize(("name", "channels", "num_symbols"), [("digits", 1, 256), ("x", 3, 1024)])
def test_the_cut_of_a_preset_gives_the_symbols_it_promises(
    name: str, channels: int, num_symbols: int
) -> None:
    config = preset(name, "awgn:12", seed=7)
    generator = torch.Generator().manual_seed(0)
    backbone = resnet(
        ResNetConfig(
            depth=config.backbone.depth,
            num_classes=10,
            in_channels=channels,
            width=config.backbone.width,
        ),
        generator=generator,
    )
    phydnn = PhyDnn.from_backbone(
        backbone,
        split=config.phydnn.split,
        image_shape=(channels, 32, 32),
        normalise=Normalise((0.5,) * channels, (0.2,) * channels),
        num_embeddings=config.phydnn.orders[0],
        generator=generator,
    )
    assert phydnn.layout.num_slices == num_symbols
    assert config.seed == 7


def test_digits_are_trained_in_float32_which_every_processor_has() -> None:
    assert preset("digits", "awgn:12").precision is Precision.FLOAT32
    assert load_dataset("digits", seed=0).name == "digits"


@pytest.mark.parametrize("dataset", ["digits", "cifar10:somewhere"])
def test_the_paper_s_preset_is_the_paper_s(dataset: str) -> None:
    config = named_preset(Preset.PAPER, dataset, "awgn:12", seed=3)
    assert config.link.modulation == "psk"
    assert config.seed == 3
    method = config.phydnn
    assert (method.score, method.lookup) == (Score.INNER_PRODUCT, Lookup.HARD)
    assert (method.estimator, method.symbols_per_slice) == (Estimator.GUMBEL, (1,))
    assert method.orders == (16, 8, 4)
    assert method.slices_per_image == 0  # k-means over the whole training set
    rates = (method.embedding_learning_rate, method.backbone_learning_rate)
    assert rates == (1e-3, 1e-4)
    assert method.final_learning_rate_ratio == 1.0
    assert (method.beta, method.beta_growth, method.binding) == (1e-4, 10.0, 1.0)
    others = (method.distillation, method.feature_distillation, method.commitment)
    assert others == (0.0, 0.0, 0.0)
    assert method.split == preset(dataset, "awgn:12").phydnn.split


@pytest.mark.parametrize(
    ("dataset", "layers"), [("digits", ("layer3",)), ("cifar10:somewhere", ("layer2", "layer3"))]
)
def test_the_best_preset_is_what_was_measured(dataset: str, layers: tuple[str, ...]) -> None:
    best = named_preset(Preset.BEST, dataset, "awgn:12").phydnn
    assert best.estimator is Estimator.COPY
    assert (best.score, best.lookup) == (Score.DISTANCE, Lookup.HARD)
    assert (best.orders, best.epochs) == ((16, 8, 4), (15, 8, 8))
    assert (best.slice_size, best.codebooks, best.removal) == ((2, 2), 2, "k-means")
    assert [best.codebook_size(stage) for stage in range(3)] == [256, 64, 16]
    assert [best.channel_order(stage) for stage in range(3)] == [4, 4, 4]
    assert (best.embedding_learning_rate, best.backbone_learning_rate) == (3e-3, 3e-4)
    assert (best.final_learning_rate_ratio, best.freeze_epochs) == (0.02, 0)
    assert best.beta == 0.0
    assert (best.binding, best.binding_share) == (1.0, 0.125)
    assert (best.distillation, best.distillation_temperature) == (1.0, 2.0)
    assert (best.feature_distillation, best.feature_layers) == (20.0, layers)
    assert (best.commitment, best.slices_per_image) == (0.3, 64)


@pytest.mark.parametrize(
    ("split", "layers"),
    [
        ("conv1", ("layer1", "layer2", "layer3")),
        ("layer1", ("layer2", "layer3")),
        ("layer2.0", ("layer3",)),
        ("layer3", ()),
        ("linear", ()),
    ],
)
def test_only_whole_stages_behind_a_cut_can_be_compared(
    split: str, layers: tuple[str, ...]
) -> None:
    assert stages_behind(split) == layers
    if split != "linear":
        backbone = resnet(
            ResNetConfig(depth=8, num_classes=10, width=4),
            generator=torch.Generator().manual_seed(0),
        )
        _, tail = split_model(backbone, split)
        for layer in layers:
            tail.get_submodule(layer)
