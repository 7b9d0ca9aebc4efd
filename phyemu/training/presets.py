"""Settings that were found to work, by dataset."""

from dataclasses import replace
from enum import StrEnum

from phyemu.dnn import Estimator, Score

from .config import (
    BackboneConfig,
    DataConfig,
    LinkConfig,
    Precision,
    TrainConfig,
)
from .phydnn_config import PhyDnnConfig

__all__ = ["Preset", "named_preset", "preset", "stages_behind"]

_STAGES = ("layer1", "layer2", "layer3")


class Preset(StrEnum):
    """Settings with a name; without one, those to begin with (`preset`)."""

    PAPER = "paper"
    """As the paper has it: PSK, hard decisions, inner products, constant rates, no distillation."""

    BEST = "best"
    """What measured best on CIFAR-10, and little else: docs/training.md has the measurements."""


def named_preset(name: Preset, dataset: str, channel: str, *, seed: int = 0) -> TrainConfig:
    """Return the settings of a name: M = 16, then 8, then 4.

    Networks, cut and backbone are those of `preset`. `best` sends as many bytes in QPSK symbols:
    slices of 2x2 positions, quantised by two codebooks of 256, 64 and 16 embeddings.

    Args:
        name: Which.
        dataset: As `phyemu.datasets.load_dataset` reads it.
        channel: As `phyemu.colosseum.load_channel_or_link` reads it.
        seed: Of the run.
    """
    start = preset(dataset, channel, seed=seed)
    # Weights given, and number of epochs of a stage, are ours: the paper has neither.
    paper = PhyDnnConfig(
        split=start.phydnn.split,
        orders=(16, 8, 4),
        epochs=(15, 8, 8),
        batch_size=start.phydnn.batch_size,
    )
    if name is Preset.PAPER:
        return replace(start, phydnn=paper)
    best = replace(
        start.phydnn,
        orders=paper.orders,
        epochs=paper.epochs,
        slice_size=(2, 2),
        codebooks=2,
        symbols_per_slice=(8, 6, 4),
        removal="k-means",
        estimator=Estimator.COPY,
        backbone_learning_rate=3e-4,
        embedding_learning_rate=3e-3,
        final_learning_rate_ratio=0.02,
        freeze_epochs=0,
        beta=0.0,
        binding_share=0.125,
        distillation=1.0,
        feature_distillation=20.0,
        feature_layers=stages_behind(start.phydnn.split),
        commitment=0.3,
    )
    return replace(start, phydnn=best)


def stages_behind(split: str) -> tuple[str, ...]:
    """Return the stages of a ResNet that lie whole behind a cut."""
    stage = split.partition(".")[0]
    if stage == "linear":
        return ()
    return tuple(name for name in _STAGES if stage not in _STAGES or name > stage)


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
            slices_per_image=64,
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
