"""The two-stage training of BottleFit: mimic the trained network, then the task end to end."""

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phyemu.datasets import Batch, Dataset, ImageSet
from phyemu.dnn import Normalise, ResNet, evaluating
from phyemu.toml_config import to_toml
from phyemu.training import EpochRecord, LinkScore, score_images
from phyemu.training.arithmetic import forward_precision, set_memory_format
from phyemu.training.fingerprint import module_digest
from phyemu.training.seeds import SeedUse, derived_seed

from .bottlefit_network import BottleFitNet, stage_features
from .config import BottleFitConfig, SystemConfig
from .losses import distilled_task_loss, mimic_loss
from .task_run import Surroundings, run_task

__all__ = ["BottleFitResult", "train_bottlefit"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class BottleFitResult:
    """A network with a bottleneck.

    Attributes:
        network: The weights of the second stage's best epoch, in evaluation mode.
        validation_accuracy: Of these very weights, in percent.
        epoch: That epoch, from 1, counted in the second stage.
        history: Every epoch of both stages.
    """

    network: BottleFitNet
    validation_accuracy: float
    epoch: int
    history: tuple[EpochRecord, ...]


class _StageTask(ABC):
    """What both stages share; each has its name, its losses and its optimiser."""

    name: str
    order: int | None = None
    rate: float
    num_epochs: int

    def __init__(
        self,
        network: BottleFitNet,
        teacher: ResNet,
        validation: ImageSet,
        config: SystemConfig,
        generator: torch.Generator,
    ) -> None:
        self.model: nn.Module = network
        self.network = network
        self.teacher = teacher
        self.config = config
        self.settings_of_run = config.bottlefit
        self.generator = generator
        self.validation = validation
        self.optimizer: torch.optim.Optimizer = self._begin(network, config.bottlefit)

    @abstractmethod
    def _begin(self, network: BottleFitNet, settings: BottleFitConfig) -> torch.optim.Optimizer:
        """Set `num_epochs` and `rate`, and return what trains the parts of the stage."""

    @property
    def stage(self) -> str:
        """Return the task's name: it has one stage."""
        return self.name

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate: constant, and lower from the middle of the stage on."""
        late = 2 * epoch >= self.num_epochs > 1
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * (self.settings_of_run.decay_ratio if late else 1.0)

    def restore_stage(self, stage: str) -> None:
        """Refuse any stage but the only one."""
        if stage != self.stage:
            raise ValueError(f"stage {stage!r} is not {self.stage!r}")

    def settings(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": float(self.optimizer.param_groups[0]["lr"])}

    @abstractmethod
    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the loss of the stage as `total`."""

    def validate(self) -> LinkScore:
        """Return the score on the validation images."""
        return score_images(self.network, self.network, self.validation)


class _MimicTask(_StageTask):
    """The first stage: head and restorer learn what the trained network's stages give."""

    name = "mimic"

    def _begin(self, network: BottleFitNet, settings: BottleFitConfig) -> torch.optim.Optimizer:
        self.num_epochs = settings.mimic_epochs
        self.rate = settings.mimic_learning_rate
        for part in network.tail.inherited():
            part.requires_grad_(False)
        return torch.optim.Adam(network.mimicking_parameters(), lr=self.rate)

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the distance to the teacher's features; the rest stays as it is, norms too."""
        for part in self.network.tail.inherited():
            part.eval()
        with forward_precision(self.config.precision, batch.images.device):
            with evaluating(self.teacher):
                wanted = stage_features(self.teacher, self.network.head.normalise(batch.images))
            features = self.network.tail.features(self.network.head(batch.images))
        return {"total": mimic_loss(features, wanted)}


class _DistillationTask(_StageTask):
    """The second stage: all of it learns the labels and the trained network's outputs."""

    name = "distillation"

    def _begin(self, network: BottleFitNet, settings: BottleFitConfig) -> torch.optim.Optimizer:
        self.num_epochs = settings.epochs
        self.rate = settings.learning_rate
        network.requires_grad_(True)
        return torch.optim.SGD(
            network.parameters(),
            lr=self.rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the loss of labels and teacher."""
        settings = self.settings_of_run
        with forward_precision(self.config.precision, batch.images.device):
            with evaluating(self.teacher):
                teacher_logits = self.teacher(self.network.head.normalise(batch.images)).float()
            logits = self.network(batch.images)
        total = distilled_task_loss(
            logits,
            batch.labels,
            teacher_logits,
            hard_label_share=settings.hard_label_share,
            temperature=settings.temperature,
        )
        return {"total": total}


def train_bottlefit(
    backbone: nn.Module,
    normalise: Normalise,
    dataset: Dataset,
    config: SystemConfig,
    *,
    maps: int,
    surroundings: Surroundings,
) -> BottleFitResult:
    """Return a network with a bottleneck, trained in the two stages of BottleFit.

    First head and restorer learn to give the features of the trained network's three stages, while
    what is behind the restorer stays as it is; then all of it is trained with labels and the
    trained network's outputs, from the first stage's best epoch on. Of each stage the epoch that
    does best on the validation images is kept.

    Args:
        backbone: A trained `ResNet`, normalised images to logits; left untouched.
        normalise: What it was trained with.
        dataset: Its test images are not touched.
        config: `bottlefit`, `data.augment`, `precision`, `channels_last` and `seed` count.
        maps: Kernels of the bottleneck: 1 or 2 in the paper.
        surroundings: Where it runs.

    Raises:
        ConfigError: The backbone is no `ResNet`, or `maps` is out of range.
        CheckpointError: A checkpoint is of another run.
        KeyboardInterrupt: Ctrl-C; resuming continues at the very step.
    """
    generator = torch.Generator().manual_seed(derived_seed(config.seed, SeedUse.SYSTEM))
    network = BottleFitNet(backbone, normalise, maps=maps, generator=generator)
    device = surroundings.device
    network = network.to(device)
    set_memory_format(network, channels_last=config.channels_last)
    # Its type was checked by BottleFitNet.
    teacher: ResNet = copy.deepcopy(backbone).to(device).requires_grad_(False)  # type: ignore[assignment]
    set_memory_format(teacher, channels_last=config.channels_last)
    validation = dataset.validation.to(device)
    history: list[EpochRecord] = []
    best_of_stage = []
    for index, kind in enumerate((_MimicTask, _DistillationTask), start=1):
        task = kind(
            network,
            teacher,
            validation,
            config,
            torch.Generator(device).manual_seed(derived_seed(config.seed, SeedUse.SYSTEM, index)),
        )
        state = run_task(
            task,
            dataset,
            config,
            batch_size=config.bottlefit.batch_size,
            fingerprint={
                "bottlefit": to_toml(config.bottlefit),
                "backbone": module_digest(teacher),
                "start": module_digest(network),
            },
            seed_index=index,
            surroundings=surroundings,
        )
        best = state.best[task.stage]
        network.load_state_dict(best.tensors)
        history += state.history
        best_of_stage.append(best)
    return BottleFitResult(
        network=network.eval(),
        validation_accuracy=best_of_stage[-1].accuracy,
        epoch=best_of_stage[-1].epoch,
        history=tuple(history),
    )
