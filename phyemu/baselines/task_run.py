"""What the trainings of all baselines share: their data, fingerprints, checkpoints."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from phyemu.datasets import Augmentation, Dataset
from phyemu.progress import ProgressCallback, no_progress
from phyemu.toml_config import to_toml
from phyemu.training.fingerprint import dataset_fingerprint
from phyemu.training.seeds import SeedUse, derived_seed
from phyemu.training.trainer import Task, TrainingData, TrainingState, run_training

from .config import SystemConfig

__all__ = ["Surroundings", "run_task"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """Where a training runs.

    Attributes:
        device: Where to compute.
        folder: Run folder, for checkpoints and curves; None keeps none.
        resume: Continue from the checkpoints in `folder` where there are some.
        progress: Told of each step.
    """

    device: torch.device | str = "cpu"
    folder: Path | None = None
    resume: bool = False
    progress: ProgressCallback = no_progress


def run_task(
    task: Task,
    dataset: Dataset,
    config: SystemConfig,
    *,
    batch_size: int,
    fingerprint: Mapping[str, Any],
    seed_index: int,
    surroundings: Surroundings,
) -> TrainingState:
    """Return how a training went.

    Args:
        task: Changed in place.
        dataset: Its test images are not touched.
        config: `seed`, `data.augment`, `precision`, `channels_last` and `checkpoint_interval_s`
            count.
        batch_size: Images of a step.
        fingerprint: What else must be equal for a checkpoint to be continued: the settings of the
            task, and what it starts from.
        seed_index: Which training of the run it is, so that no two share their draws.
        surroundings: Where it runs.

    Raises:
        CheckpointError: The checkpoint is of another run.
        KeyboardInterrupt: Ctrl-C; resuming continues at the very step.
    """
    folder = surroundings.folder
    augmented = config.data.augment
    return run_training(
        task,
        TrainingData(
            images=dataset.train.to(surroundings.device),
            batch_size=batch_size,
            augmentation=Augmentation.for_dataset(dataset.name) if augmented else None,
        ),
        data_generator=torch.Generator().manual_seed(
            derived_seed(config.seed, SeedUse.SYSTEM, seed_index)
        ),
        fingerprint={
            "data": to_toml(config.data),
            "arithmetic": f"{config.precision}, channels_last {config.channels_last}",
            "seed": str(config.seed),
            **dataset_fingerprint(dataset),
            **fingerprint,
        },
        checkpoint=folder / "checkpoints" / f"{task.name}.safetensors" if folder else None,
        resume=surroundings.resume,
        checkpoint_interval_s=config.checkpoint_interval_s,
        tensorboard=folder / "tensorboard" if folder else None,
        progress=surroundings.progress,
    )
