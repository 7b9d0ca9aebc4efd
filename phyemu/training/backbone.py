"""Training of the network without a radio, or its adaptation from given weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.datasets import Augmentation, Batch, Dataset, ImageSet
from phyemu.dnn import (
    Normalise,
    ResNetConfig,
    UserModel,
    check_classifier,
    describe_architecture,
    load_pretrained,
    pretrained_resnet,
    resnet,
)
from phyemu.errors import CheckpointError
from phyemu.progress import ProgressCallback, no_progress
from phyemu.run_files import BACKBONE_NAME

from .arithmetic import compiled_in_place, forward_precision, set_memory_format
from .backbone_result import BackboneResult, backbone_file, stored_normalisation
from .config import BackboneConfig, Precision, TrainConfig
from .distributed import ALONE, Processes
from .fingerprint import training_fingerprint
from .normalisation import chosen_normalisation
from .schedule import warmup_cosine_ratio
from .seeds import SeedUse, derived_seed
from .trainer import TrainingData, run_training
from .validation import LinkScore, score_images

__all__ = ["initial_backbone", "initial_normalisation", "train_backbone"]


class _Classifier(nn.Module):
    """Images to logits."""

    def __init__(self, normalise: Normalise, backbone: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.backbone = backbone

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, num_classes) of uint8 images."""
        logits: Tensor = self.backbone(self.normalise(images))
        return logits.float()


class _BackboneTask:
    """Cross-entropy by SGD; meets `trainer.Task`."""

    name = "backbone"
    stage = "backbone"
    order: int | None = None

    def __init__(
        self,
        model: _Classifier,
        validation: ImageSet,
        config: BackboneConfig,
        precision: Precision,
        generator: torch.Generator,
    ) -> None:
        self.model: nn.Module = model
        self.generator = generator
        self.num_epochs = config.epochs
        self._validation = validation
        self._config = config
        self._precision = precision
        # Biases and batch norms are left out of the decay, as is customary.
        weights = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
            [
                {"params": weights, "weight_decay": config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.momentum > 0,
        )

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing: every epoch is alike."""

    def restore_stage(self, stage: str) -> None:
        """Refuse any stage but the only one."""
        if stage != self.stage:
            raise ValueError(f"stage {stage!r} is not of a backbone")

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the cross-entropy."""
        progress = (epoch + (step + 1) / num_steps) / self.num_epochs
        ratio = warmup_cosine_ratio(self._config.warmup_fraction, progress)
        for group in self.optimizer.param_groups:
            group["lr"] = self._config.learning_rate * ratio
        with forward_precision(self._precision, batch.images.device):
            logits = self.model(batch.images)
        loss = functional.cross_entropy(
            logits, batch.labels, label_smoothing=self._config.label_smoothing
        )
        return {"total": loss}

    def settings(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": float(self.optimizer.param_groups[0]["lr"])}

    def validate(self) -> LinkScore:
        """Return the score on the validation images."""
        return score_images(self.model, self.model, self._validation)


def train_backbone(
    dataset: Dataset,
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    resume: bool = False,
    progress: ProgressCallback = no_progress,
    processes: Processes = ALONE,
) -> BackboneResult:
    """Return a backbone with the weights that did best on the validation images.

    Args:
        dataset: Its test images are not touched.
        config: `backbone`, `data.augment`, `data.mean`, `data.std`, `precision`, `channels_last`,
            `shards`, `compile` and `seed` count.
        device: Where to compute.
        folder: Run folder, for checkpoints and curves; None keeps none.
        resume: Continue from the checkpoint in `folder` where there is one.
        progress: Told of each step.
        processes: Who trains, each calling this with the same arguments.

    Raises:
        ConfigError: The user's network cannot be built, or is no classifier of these images.
        CheckpointError: The pre-trained weights do not fit the images, or the checkpoint is of
            another run.
        KeyboardInterrupt: Ctrl-C; `resume` continues at the very step.
    """
    settings = config.backbone
    backbone, architecture = initial_backbone(dataset, settings, config.seed)
    normalise = initial_normalisation(dataset, config)
    model = _Classifier(normalise, backbone).to(device)
    set_memory_format(model, channels_last=config.channels_last)
    validation = dataset.validation.to(device)
    if settings.epochs == 0:
        score = score_images(model, model, validation)
        return BackboneResult(
            backbone=backbone.eval(),
            architecture=architecture,
            normalise=normalise,
            validation_accuracy=score.accuracy,
            epoch=0,
            history=(),
        )
    if config.compile:
        compiled_in_place(model)
    seed = derived_seed(config.seed, SeedUse.BACKBONE)
    task = _BackboneTask(
        model,
        validation,
        settings,
        config.precision,
        torch.Generator(device).manual_seed(seed),
    )
    state = run_training(
        task,
        TrainingData(
            images=dataset.train.to(device),
            batch_size=settings.batch_size,
            augmentation=Augmentation.for_dataset(dataset.name) if config.data.augment else None,
        ),
        data_generator=torch.Generator().manual_seed(seed),
        fingerprint=training_fingerprint(config, dataset, "backbone"),
        checkpoint=folder / "checkpoints" / BACKBONE_NAME if folder else None,
        resume=resume,
        checkpoint_interval_s=config.checkpoint_interval_s,
        tensorboard=folder / "tensorboard" if folder else None,
        progress=progress,
        num_shards=config.shards,
        processes=processes,
        early_stopping=settings.early_stopping,
    )
    best = state.best[task.stage]
    model.load_state_dict(best.tensors)
    return BackboneResult(
        backbone=backbone.eval(),
        architecture=architecture,
        normalise=normalise,
        validation_accuracy=best.accuracy,
        epoch=best.epoch,
        history=tuple(state.history),
    )


def initial_backbone(
    dataset: Dataset, config: BackboneConfig, seed: int
) -> tuple[nn.Module, Mapping[str, Any]]:
    """Return the network before any training here, and what a card says of it.

    Args:
        dataset: Its images' shape and classes count.
        config: Which network, and what weights it starts from.
        seed: Of the run.

    Raises:
        ConfigError: The user's network cannot be built, or is no classifier of these images.
        CheckpointError: The pre-trained weights are missing, or do not fit.
    """
    if config.model is not None:
        return _users_backbone(config.model, dataset, config, seed)
    backbone = _residual_network(dataset, config, seed)
    return backbone, describe_architecture(backbone)


def initial_normalisation(dataset: Dataset, config: TrainConfig) -> Normalise:
    """Return what images are normalised with: as the settings say, or as the weights were trained.

    Args:
        dataset: Its mean and deviation count where neither says anything.
        config: `data.mean` and `data.std` come before what `backbone.pretrained` holds.

    Raises:
        ConfigError: The settings are for another number of channels.
        CheckpointError: The record of the weights is damaged, or for another number of channels.
    """
    pretrained, said = config.backbone.pretrained, config.data.mean is not None
    stored = None if pretrained is None or said else stored_normalisation(_given(pretrained))
    return chosen_normalisation(dataset, config.data, stored)


def _given(pretrained: str) -> Path:
    return backbone_file(Path(pretrained).expanduser())


def _users_backbone(
    name: str, dataset: Dataset, config: BackboneConfig, seed: int
) -> tuple[nn.Module, Mapping[str, Any]]:
    model = UserModel(
        name=name,
        num_classes=dataset.num_classes,
        in_channels=dataset.image_shape[0],
        options=config.options or {},
    )
    backbone = model.build(seed=derived_seed(seed, SeedUse.BACKBONE))
    if config.pretrained is not None:
        load_pretrained(backbone, _given(config.pretrained), fresh_layers=config.fresh_layers)
    check_classifier(
        backbone, name=name, image_shape=dataset.image_shape, num_classes=dataset.num_classes
    )
    return backbone, model.describe()


def _residual_network(dataset: Dataset, config: BackboneConfig, seed: int) -> nn.Module:
    channels = dataset.image_shape[0]
    if config.pretrained is None:
        shape = ResNetConfig(
            depth=config.depth,
            num_classes=dataset.num_classes,
            in_channels=channels,
            width=config.width,
        )
        generator = torch.Generator().manual_seed(derived_seed(seed, SeedUse.BACKBONE))
        return resnet(shape, generator=generator)
    backbone = pretrained_resnet(_given(config.pretrained))
    found = (backbone.config.in_channels, backbone.config.num_classes)
    if found != (channels, dataset.num_classes):
        raise CheckpointError(
            f"{config.pretrained}: is for {found[0]} channels and {found[1]} classes, but "
            f"{dataset.name} has {channels} and {dataset.num_classes}"
        )
    return backbone
