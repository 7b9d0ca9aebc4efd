"""The training of DT-JSCC: encoder, dictionary and decoder from random weights, through a link."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from phyemu.channel import ChannelModel
from phyemu.datasets import Batch, Dataset
from phyemu.dnn import (
    DtJsccShape,
    Embedding,
    Lookup,
    Normalise,
    PhyDnn,
    Score,
    describe_architecture,
    dt_jscc,
)
from phyemu.errors import ConfigError
from phyemu.link import build_link
from phyemu.toml_config import to_toml
from phyemu.training import EpochRecord, LinkScore, chosen_normalisation, score_over_link
from phyemu.training.arithmetic import forward_precision, set_memory_format
from phyemu.training.fingerprint import channel_fingerprint
from phyemu.training.seeds import SeedUse, derived_seed
from phyemu.waveform import Constellation, constellation

from .config import SystemConfig
from .losses import robust_bottleneck_loss
from .straight_through import DecidingLink
from .task_run import Surroundings, run_task

__all__ = ["SPLIT", "DtJsccResult", "train_dt_jscc", "untrained_dt_jscc"]

SPLIT = "encoder"


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class DtJsccResult:
    """A trained DT-JSCC.

    Attributes:
        architecture: Of encoder and decoder, as a card has it.
        phydnn: Encoder, dictionary and decoder with the best epoch's weights, in evaluation mode.
        constellation: Point m is sent for symbol m.
        validation_accuracy: Of these very weights through the link in training, in percent.
        epoch: From 1.
        history: Every epoch.
    """

    architecture: dict[str, Any]
    phydnn: PhyDnn
    constellation: Constellation
    validation_accuracy: float
    epoch: int
    history: tuple[EpochRecord, ...]


def untrained_dt_jscc(
    config: SystemConfig,
    normalise: Normalise,
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
) -> tuple[PhyDnn, dict[str, Any]]:
    """Return a DT-JSCC with random weights of the run's seed, and its architecture for a card.

    Args:
        config: `dt_jscc` and `seed` count.
        normalise: From pixels to what the encoder is given.
        image_shape: (channels, height, width), at least 8x8.
        num_classes: Outputs.

    Raises:
        ConfigError: A size is out of range, or the images are too small.
    """
    settings = config.dt_jscc
    if min(image_shape[1:]) < 8:
        raise ConfigError(f"DT-JSCC halves an image three times; {image_shape} is too small")
    generator = torch.Generator().manual_seed(derived_seed(config.seed, SeedUse.SYSTEM))
    shape = DtJsccShape(num_classes=num_classes, in_channels=image_shape[0], maps=settings.maps)
    network = dt_jscc(shape, generator=generator)
    model = PhyDnn.from_backbone(
        network,
        split=SPLIT,
        image_shape=image_shape,
        normalise=normalise,
        num_embeddings=settings.order,
        generator=generator,
    )
    # Inner products over sqrt(D), and a small dictionary to begin with, as its authors have it.
    vectors = torch.empty(settings.order, settings.maps)
    vectors.uniform_(-1 / settings.order, 1 / settings.order, generator=generator)
    embedding = Embedding(
        vectors, score=Score.INNER_PRODUCT, score_scale=1 / math.sqrt(settings.maps)
    )
    return model.with_embedding(embedding), describe_architecture(network)


class _DtJsccTask:
    """Robust information bottleneck by AdamW; meets `trainer.Task`."""

    name = "dt-jscc"
    stage = "dt-jscc"

    def __init__(
        self,
        model: PhyDnn,
        dataset: Dataset,
        channel: ChannelModel,
        config: SystemConfig,
        device: torch.device | str,
    ) -> None:
        self.model = model
        self._config = config
        self._settings = settings = config.dt_jscc
        self._validation = dataset.validation.to(device)
        self.num_epochs = settings.epochs
        self.order: int | None = settings.order
        seed = derived_seed(config.seed, SeedUse.LINK)
        self.generator = torch.Generator(device).manual_seed(seed)
        self._link = build_link(
            channel,
            constellation(config.link.modulation, settings.order).to(device),
            config.frame,
            fidelity=config.link.fidelity,
        )
        self._deciding = DecidingLink(self._link)
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.optimizer.register_step_pre_hook(self._cut_gradients)

    def _cut_gradients(self, *_: Any) -> None:
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.largest_gradient)

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing: every epoch is alike but for its learning rate."""

    def restore_stage(self, stage: str) -> None:
        """Refuse any stage but the only one."""
        if stage != self.stage:
            raise ValueError(f"stage {stage!r} is not {self.stage!r}")

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the robust information bottleneck's terms."""
        settings = self._settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * 0.5 ** (epoch // settings.halve_epochs)
        with forward_precision(self._config.precision, batch.images.device):
            output = self.model(
                batch.images,
                self._deciding,
                self.generator,
                temperature=settings.temperature,
                lookup=Lookup.HARD,
                binding_share=0.0,
            )
        return robust_bottleneck_loss(
            output.logits,
            output.log_probabilities,
            batch.labels,
            redundancy=settings.redundancy,
        )

    def settings(self) -> dict[str, float]:
        """Return the learning rate."""
        return {"learning_rate": float(self.optimizer.param_groups[0]["lr"])}

    def validate(self) -> LinkScore:
        """Return the score through the link: no sampling, the same channels each time."""
        return score_over_link(
            self.model,
            self._link,
            self._validation,
            seed=derived_seed(self._config.seed, SeedUse.VALIDATION),
        )


def train_dt_jscc(
    dataset: Dataset,
    channel: ChannelModel,
    config: SystemConfig,
    *,
    surroundings: Surroundings,
) -> DtJsccResult:
    """Return a DT-JSCC, trained from random weights through a channel.

    Args:
        dataset: Its test images are not touched.
        channel: What is trained through; `config.link.channel` only describes it.
        config: `dt_jscc`, `link`, `frame`, `data.augment`, `data.mean`, `data.std`, `precision`,
            `channels_last` and `seed` count.
        surroundings: Where it runs.

    Raises:
        ConfigError: The modulation lacks the order, or the images are too small.
        CheckpointError: The checkpoint is of another run.
        KeyboardInterrupt: Ctrl-C; resuming continues at the very step.
    """
    points = constellation(config.link.modulation, config.dt_jscc.order)
    model, architecture = untrained_dt_jscc(
        config,
        chosen_normalisation(dataset, config.data),
        image_shape=dataset.image_shape,
        num_classes=dataset.num_classes,
    )
    model = model.to(surroundings.device)
    set_memory_format(model, channels_last=config.channels_last)
    task = _DtJsccTask(model, dataset, channel, config, surroundings.device)
    state = run_task(
        task,
        dataset,
        config,
        batch_size=config.dt_jscc.batch_size,
        fingerprint={
            "dt_jscc": to_toml(config.dt_jscc),
            "link": to_toml(config.link),
            "frame": to_toml(config.frame),
            **channel_fingerprint([config.link.channel]),
        },
        seed_index=1,
        surroundings=surroundings,
    )
    best = state.best[task.stage]
    model.load_state_dict(best.tensors)
    return DtJsccResult(
        architecture=architecture,
        phydnn=model.eval(),
        constellation=points,
        validation_accuracy=best.accuracy,
        epoch=best.epoch,
        history=tuple(state.history),
    )
