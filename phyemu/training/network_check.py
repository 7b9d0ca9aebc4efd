"""Whether a network can become the PhyDNN of some settings, before hours are spent on it."""

from collections.abc import Sequence

import torch

from phyemu.channel import ChannelModel
from phyemu.datasets import Dataset
from phyemu.dnn import MultiHopPhyDnn

from .algorithm_run import check_modulation
from .backbone import initial_backbone, initial_normalisation
from .config import TrainConfig
from .phydnn import PhyDnnTask

__all__ = ["check_network"]


def check_network(config: TrainConfig, dataset: Dataset, channels: Sequence[ChannelModel]) -> None:
    """Make network and first PhyDNN of a run with random weights, and forget them.

    Args:
        config: Of the run.
        dataset: Its images' shape and classes count.
        channels: One for each hop.

    Raises:
        ConfigError: The network cannot be built, is no classifier of these images, or cannot be cut
            where the settings say; a layer is not there; the modulation lacks an order; or mean and
            deviation are for other images.
        CheckpointError: Weights to start from are missing, or do not fit.
    """
    check_modulation(config)
    backbone, _ = initial_backbone(dataset, config.backbone, config.seed)
    normalise = initial_normalisation(dataset, config)
    if not config.phydnn.splits:
        PhyDnnTask(backbone, normalise, dataset, channels[0], config, "cpu")
        return
    MultiHopPhyDnn.from_backbone(
        backbone,
        splits=config.phydnn.splits,
        image_shape=dataset.image_shape,
        normalise=normalise,
        num_embeddings=config.phydnn.codebook_size(0),
        generator=torch.Generator().manual_seed(config.seed),
        symbols_per_slice=config.phydnn.slice_symbols(0),
        slice_size=config.phydnn.slice_size,
        num_codebooks=config.phydnn.codebooks,
    )
