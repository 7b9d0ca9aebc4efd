"""The part of a run behind the backbone, where there are several split points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from phyemu.channel import ChannelModel
from phyemu.datasets import Dataset
from phyemu.dnn import MultiHopPhyDnn, export_head, export_relay, export_tail
from phyemu.link import build_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.waveform import Constellation

from .artefact_info import artefact_info
from .backbone_result import BackboneResult
from .config import TrainConfig
from .distributed import ALONE, Processes
from .history import EpochRecord
from .multi_hop import TrainedMultiHop, train_multi_hop
from .multi_hop_validation import MultiHopScore, score_over_links
from .seeds import SeedUse, derived_seed

__all__ = ["MultiHopRun", "export_multi_hop", "run_multi_hop"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MultiHopRun:
    """What was trained and exported.

    Attributes:
        stages: By order M, each with its score on the test images.
        history: Every epoch.
    """

    stages: dict[int, tuple[TrainedMultiHop, MultiHopScore]]
    history: tuple[EpochRecord, ...]


def run_multi_hop(
    folder: Path,
    backbone: BackboneResult,
    dataset: Dataset,
    channels: Sequence[ChannelModel],
    config: TrainConfig,
    *,
    provenance: Mapping[str, Any],
    device: torch.device | str = "cpu",
    resume: bool = False,
    progress: ProgressCallback = no_progress,
    processes: Processes = ALONE,
) -> MultiHopRun:
    """Train through one channel a hop, export every part, and score it on the test images.

    Args:
        folder: Run folder.
        backbone: Of `train_backbone`.
        dataset: Images.
        channels: From the device to the server.
        config: The settings, with `phydnn.splits`.
        provenance: Of the run, JSON values; epoch, accuracy and order are added.
        device: Where to compute.
        resume: Continue from the checkpoint in `folder` where there is one.
        progress: Told of each step.
        processes: Who trains; the first one alone exports and scores.
    """
    result = train_multi_hop(
        backbone.backbone,
        backbone.normalise,
        dataset,
        channels,
        config,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
        processes=processes,
    )
    if not processes.first:
        return MultiHopRun(stages={}, history=result.history)
    test = dataset.test.to(device)
    stages = {}
    for order, stage in result.stages.items():
        points = stage.constellation.to(device)
        links = [
            build_link(channel, points, config.frame, fidelity=config.link.fidelity)
            for channel in channels
        ]
        score = score_over_links(
            stage.phydnn,
            links,
            test,
            seed=derived_seed(config.seed, SeedUse.VALIDATION, 1),
            lookup=config.phydnn.lookup,
        )
        stages[order] = (stage, score)
        export_multi_hop(
            folder,
            stage.phydnn,
            stage.constellation,
            config=config,
            dataset=dataset,
            architecture=backbone.architecture,
            provenance={
                **provenance,
                "epoch": stage.epoch,
                "validation_accuracy": stage.validation_accuracy,
                "order": order,
            },
        )
    return MultiHopRun(stages=stages, history=result.history)


def export_multi_hop(
    folder: Path,
    phydnn: MultiHopPhyDnn,
    constellation: Constellation,
    *,
    config: TrainConfig,
    dataset: Dataset,
    architecture: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> list[Path]:
    """Write every part to PART/mM.safetensors: head, relay1, relay2, ..., tail.

    Args:
        folder: Run folder.
        phydnn: The model.
        constellation: Of every hop.
        config: Its splits and frames are written to the cards.
        dataset: Its image shape and class names are.
        architecture: Of the backbone.
        provenance: Where the weights come from, JSON values.

    Returns:
        Paths of the parts, from the device to the server.
    """
    infos = [
        artefact_info(
            split,
            constellation,
            config=config,
            dataset=dataset,
            architecture=architecture,
            provenance={**provenance, "hop": hop},
        )
        for hop, split in enumerate(config.phydnn.splits, start=1)
    ]
    name = f"m{phydnn.messages_per_position}.safetensors"
    parts = ["head", *(f"relay{index}" for index in range(1, phydnn.num_hops)), "tail"]
    paths = [folder / part / name for part in parts]
    export_head(phydnn.hop(0), paths[0], infos[0])
    for hop in range(phydnn.num_hops - 1):
        export_relay(phydnn, hop, paths[hop + 1], infos[hop], infos[hop + 1])
    export_tail(phydnn.hop(phydnn.num_hops - 1), paths[-1], infos[-1])
    return paths
