"""A DT-JSCC as the files of a PhyDNN, so that every radio and receiver takes it for one."""

from pathlib import Path

import phyemu
from phyemu.channel import ChannelModel
from phyemu.datasets import Dataset
from phyemu.dnn import ArtefactInfo, export_head, export_tail

from .config import SystemConfig
from .dt_jscc import SPLIT, DtJsccResult

__all__ = ["export_dt_jscc"]


def export_dt_jscc(
    folder: Path,
    result: DtJsccResult,
    dataset: Dataset,
    channel: ChannelModel,
    config: SystemConfig,
) -> tuple[Path, Path]:
    """Write encoder and decoder to `head/mM.safetensors` and `tail/mM.safetensors`.

    Args:
        folder: Run folder.
        result: The model.
        dataset: Its image shape and class names are written to the cards.
        channel: What it was trained through.
        config: Its frames are written to the cards.

    Returns:
        Paths of head and tail.
    """
    info = ArtefactInfo(
        architecture=result.architecture,
        split=SPLIT,
        image_shape=dataset.image_shape,
        class_names=dataset.train.class_names,
        constellation=result.constellation.to_dict(whole=True),
        frame=config.frame.to_dict(),
        provenance={
            "phyemu": phyemu.__version__,
            "system": "DT-JSCC",
            "channel": channel.name,
            "seed": config.seed,
            "epoch": result.epoch,
            "validation_accuracy": result.validation_accuracy,
        },
    )
    head, tail = (
        folder / side / f"m{result.constellation.order}.safetensors" for side in ("head", "tail")
    )
    export_head(result.phydnn, head, info)
    export_tail(result.phydnn, tail, info)
    return head, tail
