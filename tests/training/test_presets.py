import pytest
import torch

from phyemu.datasets import load_dataset
from phyemu.dnn import Normalise, PhyDnn, ResNetConfig, resnet
from phyemu.training import Precision, preset


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
