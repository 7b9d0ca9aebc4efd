"""Algorithm 1 for more than two devices: a backbone with several cuts, a link behind each."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from phyemu.channel import ChannelModel
from phyemu.datasets import Batch, Dataset
from phyemu.dnn import (
    MultiHopPhyDnn,
    Normalise,
    carry_optimizer,
    least_used,
    multi_hop_loss,
    remove_embeddings,
    start_embeddings,
    usage_counts,
)
from phyemu.errors import ConfigError
from phyemu.link import SymbolLink, WaveformLink, build_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.waveform import Constellation

from .algorithm_run import check_modulation, run_algorithm_1
from .arithmetic import forward_precision, set_memory_format
from .config import TrainConfig
from .distributed import ALONE, Processes
from .history import EpochRecord
from .multi_hop_validation import score_over_links
from .ordered_images import OrderedImages
from .phydnn import PhyDnnTask
from .phydnn_config import PhyDnnConfig
from .seeds import SeedUse, derived_seed
from .validation import LinkScore

__all__ = ["MultiHopResult", "TrainedMultiHop", "train_multi_hop"]

_HOP_SEEDS = 1 << 16  # orders are smaller; the first hop's seeds are those of a single link


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class TrainedMultiHop:
    """The best epoch of one stage.

    Attributes:
        phydnn: With the weights of that epoch, in evaluation mode.
        constellation: Of every hop.
        validation_accuracy: Of these very weights through the links in training, in percent.
        epoch: From 1, counted over all stages.
    """

    phydnn: MultiHopPhyDnn
    constellation: Constellation
    validation_accuracy: float
    epoch: int


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class MultiHopResult:
    """A PhyDNN of each order.

    Attributes:
        stages: By order M, in the order of training.
        history: Every epoch.
    """

    stages: dict[int, TrainedMultiHop]
    history: tuple[EpochRecord, ...]


class _MultiHopTask(PhyDnnTask):
    """Algorithm 1 with a dictionary and a link for each hop; meets `trainer.Task`."""

    model: Any  # a MultiHopPhyDnn

    def __init__(
        self,
        backbone: nn.Module,
        normalise: Normalise,
        dataset: Dataset,
        channels: Sequence[ChannelModel],
        config: TrainConfig,
        device: torch.device | str,
    ) -> None:
        self._channels = tuple(channels)
        self._links: tuple[SymbolLink | WaveformLink, ...] = ()
        super().__init__(backbone, normalise, dataset, self._channels[0], config, device)

    @property
    def order(self) -> int:
        """Return M, which is that of every hop."""
        order: int = self.model.messages_per_position
        return order

    def untrained(self, order: int) -> Any:
        """Return a PhyDNN around a copy of the backbone, with random embeddings."""
        model = MultiHopPhyDnn.from_backbone(
            self._teacher,
            splits=_splits(self._settings),
            image_shape=self._image_shape,
            normalise=self._normalise,
            num_embeddings=self._codebook_size(order),
            generator=torch.Generator().manual_seed(
                derived_seed(self._config.seed, SeedUse.EMBEDDING)
            ),
            score=self._settings.score,
            symbols_per_slice=self._slice_symbols(order),
            slice_size=self._settings.slice_size,
            num_codebooks=self._settings.codebooks,
        ).requires_grad_(True)
        set_memory_format(model, channels_last=self._config.channels_last)
        return model

    def _new_link(self) -> SymbolLink | WaveformLink:
        """Build the links of all hops and return the first."""
        self._links = tuple(
            build_link(
                channel,
                self.points(self.order).to(self._device),
                self._config.frame,
                fidelity=self._config.link.fidelity,
            )
            for channel in self._channels
        )
        return self._links[0]

    def _dictionaries(self) -> list[nn.Parameter]:
        return [embedding.vectors for embedding in self.model.embeddings]

    def _seed(self, hop: int, order: int) -> int:
        return derived_seed(self._config.seed, SeedUse.EMBEDDING, hop * _HOP_SEEDS + order)

    def _start_embeddings(self) -> None:
        # From the first hop to the last: what reaches a hop is made of the dictionaries before.
        for hop in range(self.model.num_hops):
            start_embeddings(
                self.model.hop(hop),
                OrderedImages(self._train),
                points=self.points(self.order).points,
                seed=self._seed(hop, self.order),
                slices_per_image=self._settings.slices_per_image or None,
            )

    def _shrink_to(self, order: int) -> None:
        """Remove the least used embeddings of every hop, or begin anew; see `removal`."""
        if self.order == order:
            return
        if self._settings.removal == "k-means":
            self._begin_anew(order)
            return
        num_remove = self._num_removed(order)
        for hop in range(self.model.num_hops):
            view = self.model.hop(hop)
            removal = remove_embeddings(
                view,
                least_used(usage_counts(view, OrderedImages(self._train)), num_remove),
                points=self.points(order).points,
                seed=self._seed(hop, order),
                symbols_per_slice=self._slice_symbols(order),
            )
            carry_optimizer(self.optimizer, removal)
            self.model = self.model.with_embedding(hop, removal.model.embedding)
        self._link = self._new_link()

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the terms of Eq. (8) for a mini-batch."""
        settings = self._settings
        self._set_schedule(epoch, step, num_steps)
        weights = settings.loss_weights(self._beta)
        with forward_precision(self._config.precision, batch.images.device):
            teacher_logits, teacher_features = self._teach(batch.images, weights)
            output = self.model(
                batch.images,
                self._links,
                self.generator,
                num_samples=settings.num_samples,
                estimator=settings.estimator,
                temperature=self._temperature,
                lookup=settings.lookup,
                binding_share=settings.binding_share if weights.binding else 0.0,
            )
        terms = multi_hop_loss(
            output,
            batch.labels,
            weights,
            model=self.model,
            teacher_logits=teacher_logits,
            teacher_features=teacher_features,
        )
        return terms.computed()

    def _teacher_layers(self) -> tuple[str, ...]:
        return _splits(self._settings)

    def validate(self) -> LinkScore:
        """Return the score on the validation images: no sampling, the same channels each time."""
        return score_over_links(
            self.model,
            self._links,
            self._validation,
            seed=derived_seed(self._config.seed, SeedUse.VALIDATION),
            lookup=self._settings.lookup,
        ).total


def _splits(settings: PhyDnnConfig) -> tuple[str, ...]:
    return settings.splits or (settings.split,)


def train_multi_hop(
    backbone: nn.Module,
    normalise: Normalise,
    dataset: Dataset,
    channels: Sequence[ChannelModel],
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    resume: bool = False,
    progress: ProgressCallback = no_progress,
    processes: Processes = ALONE,
) -> MultiHopResult:
    """Return PhyDNNs of every order in the schedule, trained through a channel for each hop.

    As `train_phydnn`, with which it agrees where there is one split point. Each hop has a
    dictionary of its own, started on what reaches it when every earlier symbol arrives rightly;
    where a stage ends, each loses its least used embeddings.

    Args:
        backbone: Normalised images to logits, trained; left untouched.
        normalise: What it was trained with.
        dataset: Its test images are not touched.
        channels: What is trained through, one a hop, from the device to the server.
        config: As for `train_phydnn`; `phydnn.splits` names the cuts.
        device: Where to compute.
        folder: Run folder, for checkpoints and curves; None keeps none.
        resume: Continue from the checkpoint in `folder` where there is one.
        progress: Told of each step.
        processes: Who trains, each calling this with the same arguments.

    Raises:
        ConfigError: The backbone cannot be split there, the modulation lacks an order, or there is
            not one channel a hop.
        CheckpointError: The checkpoint is of another run.
        KeyboardInterrupt: Ctrl-C; `resume` continues at the very step.
    """
    check_modulation(config)
    splits = _splits(config.phydnn)
    if len(channels) != len(splits):
        raise ConfigError(f"{len(splits)} hops need as many channels, got {len(channels)}")
    task = _MultiHopTask(backbone, normalise, dataset, channels, config, device)
    state = run_algorithm_1(
        task,
        backbone,
        dataset,
        config,
        device=device,
        folder=folder,
        resume=resume,
        progress=progress,
        processes=processes,
    )
    stages = {}
    for order in config.phydnn.orders:
        best = state.best[str(order)]
        model: MultiHopPhyDnn = task.untrained(order)
        model.load_state_dict(best.tensors)
        stages[order] = TrainedMultiHop(
            phydnn=model.eval(),
            constellation=task.points(order),
            validation_accuracy=best.accuracy,
            epoch=best.epoch,
        )
    return MultiHopResult(stages=stages, history=tuple(state.history))
