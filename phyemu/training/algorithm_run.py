"""What every training by Algorithm 1 begins with and runs through, whatever the number of hops."""

from pathlib import Path

import torch
from torch import nn

from phyemu.datasets import Augmentation, Dataset
from phyemu.dnn import start_constellation
from phyemu.progress import ProgressCallback
from phyemu.waveform import Constellation, constellation

from .config import TrainConfig
from .distributed import Processes
from .fingerprint import module_digest, training_fingerprint
from .seeds import SeedUse, derived_seed
from .trainer import Task, TrainingData, TrainingState, run_training

__all__ = ["check_modulation", "run_algorithm_1", "start_points"]


def start_points(modulation: str, order: int) -> Constellation:
    """Return the constellation that a modulation of that order begins with."""
    if modulation == "learned":
        return start_constellation(order)
    return constellation(modulation, order)


def check_modulation(config: TrainConfig) -> None:
    """Raise ConfigError, before hours are spent, where the modulation lacks an order."""
    for stage in range(len(config.phydnn.orders)):
        start_points(config.link.modulation, config.phydnn.channel_order(stage))


def run_algorithm_1(
    task: Task,
    backbone: nn.Module,
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: torch.device | str,
    folder: Path | None,
    resume: bool,
    progress: ProgressCallback,
    processes: Processes,
) -> TrainingState:
    """Train `task` to the end of its schedule; see `train_phydnn`."""
    fingerprint = training_fingerprint(config, dataset, "phydnn")
    fingerprint["backbone"] = module_digest(backbone)
    return run_training(
        task,
        TrainingData(
            images=dataset.train.to(device),
            batch_size=config.phydnn.batch_size,
            augmentation=Augmentation.for_dataset(dataset.name) if config.data.augment else None,
        ),
        data_generator=torch.Generator().manual_seed(derived_seed(config.seed, SeedUse.PHYDNN)),
        fingerprint=fingerprint,
        checkpoint=folder / "checkpoints" / "phydnn.safetensors" if folder else None,
        resume=resume,
        checkpoint_interval_s=config.checkpoint_interval_s,
        tensorboard=folder / "tensorboard" if folder else None,
        progress=progress,
        num_shards=config.shards,
        processes=processes,
        early_stopping=config.phydnn.early_stopping,
        stage_ends=config.phydnn.stage_ends,
    )
