"""Whether a system can be made of a network and settings, before anything is written."""

import copy

from torch import nn

from phyemu.channel import ChannelModel
from phyemu.colosseum import load_channel_or_link
from phyemu.datasets import Dataset
from phyemu.dnn import Normalise, check_classifier, split_model
from phyemu.training import chosen_normalisation
from phyemu.waveform import constellation

from .bottlefit_network import BottleFitNet
from .config import SystemConfig
from .dt_jscc import untrained_dt_jscc
from .system import SystemName

__all__ = ["MAPS", "check_system"]

MAPS = {SystemName.BOTTLEFIT_1: 1, SystemName.BOTTLEFIT_2: 2}
"""Kernels of the bottleneck."""


def check_system(
    name: SystemName,
    backbone: nn.Module | None,
    dataset: Dataset,
    config: SystemConfig,
    *,
    normalise: Normalise | None = None,
    channel: ChannelModel | None,
) -> None:
    """Raise what `train_system` would find out later.

    Args:
        name: Any but PhyDNN.
        backbone: The trained network; None with DT-JSCC alone.
        dataset: Its images' shape and classes count.
        config: Of the run.
        normalise: As in `train_system`.
        channel: As in `train_system`; None: that of `config` has to be there.

    Raises:
        ConfigError: The network is for other images or classes, is none that the system is made
            from, or cannot be cut there; channel or order of the modulation are not there; or the
            images are too small, or of another number of channels than mean and deviation.
        CheckpointError: `normalise` is for another number of channels.
    """
    normalise = chosen_normalisation(dataset, config.data, normalise)
    if backbone is None or name is SystemName.DT_JSCC:
        if channel is None:
            load_channel_or_link(config.link.channel)
        constellation(config.link.modulation, config.dt_jscc.order)
        untrained_dt_jscc(
            config,
            normalise,
            image_shape=dataset.image_shape,
            num_classes=dataset.num_classes,
        )
        return
    own = copy.deepcopy(backbone).cpu()
    check_classifier(
        own,
        name=type(own).__name__,
        image_shape=dataset.image_shape,
        num_classes=dataset.num_classes,
        remedy=f"give a network that was trained on {dataset.name}",
    )
    if name is SystemName.SPLIT_COMPUTING:
        split_model(own, config.split)
    elif name in MAPS:
        BottleFitNet(own, normalise, maps=MAPS[name], generator=None)
