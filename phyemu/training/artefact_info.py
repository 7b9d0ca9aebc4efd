"""What the exports of a run say of themselves."""

from collections.abc import Mapping
from typing import Any

from phyemu.datasets import Dataset
from phyemu.dnn import ArtefactInfo
from phyemu.waveform import Constellation

from .config import TrainConfig

__all__ = ["artefact_info"]


def artefact_info(
    split: str,
    constellation: Constellation,
    *,
    config: TrainConfig,
    dataset: Dataset,
    architecture: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> ArtefactInfo:
    """Return what the cards of one link say that the model does not know.

    Args:
        split: The cut that the link stands at.
        constellation: Point m is sent for symbol m.
        config: Its frames are written to the cards.
        dataset: Its image shape and class names are.
        architecture: Of `describe_architecture` or `UserModel.describe`.
        provenance: Where the weights come from, JSON values.
    """
    return ArtefactInfo(
        architecture=architecture,
        split=split,
        image_shape=dataset.image_shape,
        class_names=dataset.train.class_names,
        constellation=constellation.to_dict(whole=True),
        frame=config.frame.to_dict(),
        lookup=config.phydnn.lookup,
        provenance=provenance,
    )
