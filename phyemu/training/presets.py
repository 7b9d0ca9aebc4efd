"""Settings that were found to work, by dataset."""

from dataclasses import replace

from phyemu.dnn import Score

from .config import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    PhyDnnConfig,
    Precision,
    TrainConfig,
)

__all__ = ["preset"]


def preset(dataset: str, channel: str, *, seed: int = 0) -> TrainConfig:
    """Return the settings to begin with for a dataset.

    The digits get a small ResNet-8 cut where its map is 16x16 (256 symbols an image); everything
    else the paper's cut behind the first stage of a ResNet-20 (1024 symbols for 32x32 pixels), a
    backbone fine-tuned from given weights or trained for 60 epochs, and a PhyDNN of 15 epochs.
    Against the paper: distances in place of inner products, learning rates that fall, and for
    all but the digits distillation from the backbone; the reasons are in docs/training.md.

    Args:
        dataset: As `phyemu.datasets.load_dataset` reads it.
        channel: As `phyemu.colosseum.load_channel_or_link` reads it.
        seed: Of the run.
    """
    general = TrainConfig(
        seed=seed,
        data=DataConfig(dataset=dataset),
        link=LinkConfig(channel=channel),
        precision=Precision.BFLOAT16,
        channels_last=True,
        backbone=BackboneConfig(epochs=60),
        phydnn=PhyDnnConfig(
            split="layer1",
            epochs=(15,),
            backbone_learning_rate=3e-4,
            embedding_learning_rate=3e-3,
            final_learning_rate_ratio=0.05,
            distillation=1.0,
            score=Score.DISTANCE,
        ),
    )
    if dataset != "digits":
        return general
    return replace(
        general,
        precision=Precision.FLOAT32,
        channels_last=False,
        backbone=BackboneConfig(depth=8, width=8, epochs=12, batch_size=64),
        phydnn=replace(
            general.phydnn,
            split="layer2",
            epochs=(10,),
            batch_size=32,
            backbone_learning_rate=1e-3,
            embedding_learning_rate=1e-2,
            distillation=0.0,
        ),
    )
