"""Algorithm 1 of the paper: a trained backbone becomes a PhyDNN."""

import copy
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn

from phyemu.channel import ChannelModel
from phyemu.datasets import Batch, Dataset
from phyemu.dnn import (
    LearnedConstellation,
    Link,
    LossWeights,
    Normalise,
    PhyDnn,
    captured_output,
    carry_optimizer,
    evaluating,
    least_used,
    remove_embeddings,
    start_embeddings,
    total_loss,
    usage_counts,
)
from phyemu.link import SymbolLink, WaveformLink, build_link
from phyemu.progress import ProgressCallback, no_progress
from phyemu.waveform import Constellation

from .algorithm_run import check_modulation, run_algorithm_1, start_points
from .arithmetic import compiled_in_place, forward_precision, set_memory_format
from .config import TrainConfig
from .distributed import ALONE, Processes
from .ordered_images import OrderedImages
from .phydnn_result import PhyDnnResult, TrainedPhyDnn
from .schedule import beta_at, cosine_ratio, temperature_at
from .seeds import SeedUse, derived_seed
from .validation import LinkScore, score_over_link

__all__ = ["PhyDnnTask", "train_phydnn"]

_DICTIONARIES = ("embedding", "constellation")  # of PhyDnn and MultiHopPhyDnn
_LEARNED = "learned"


class PhyDnnTask:
    """Algorithm 1; meets `trainer.Task`."""

    name = "phydnn"

    def __init__(
        self,
        backbone: nn.Module,
        normalise: Normalise,
        dataset: Dataset,
        channel: ChannelModel,
        config: TrainConfig,
        device: torch.device | str,
    ) -> None:
        self._config = config
        self._settings = config.phydnn
        self._channel = channel
        self._train = dataset.train.to(device)
        self._validation = dataset.validation.to(device)
        self._image_shape = dataset.image_shape
        self._normalise = normalise.to(device)
        self._teacher = copy.deepcopy(backbone).to(device).requires_grad_(False)
        self._device = torch.device(device)
        self._started = False
        self._beta = self._settings.beta
        self._temperature = self._settings.temperature
        self.num_epochs = self._settings.total_epochs
        seed = derived_seed(config.seed, SeedUse.LINK)
        self.generator = torch.Generator(device).manual_seed(seed)
        self.model = self._new_model(self._settings.orders[0])
        for name in self._settings.feature_layers:  # before hours are spent, not after
            with captured_output(self.model.tail, name):
                pass
        self._link = self._new_link()
        self.optimizer: torch.optim.Optimizer = self._new_optimizer()

    @property
    def stage(self) -> str:
        """Return the order as text."""
        return str(self.order)

    @property
    def order(self) -> int:
        """Return M."""
        return self.model.messages_per_position

    def points(self, order: int) -> Constellation:
        """Return the constellation that the stage with M = `order` begins with."""
        channel_order = self._settings.channel_order(self._settings.orders.index(order))
        return start_points(self._config.link.modulation, channel_order)

    def sent_points(self, model: PhyDnn, order: int) -> Constellation:
        """Return the constellation of a model: as learned, where it is."""
        if model.constellation is None:
            return self.points(order)
        with torch.no_grad():
            learned: Constellation = model.constellation()
        return learned

    def _codebook_size(self, order: int) -> int:
        return self._settings.codebook_size(self._settings.orders.index(order))

    def _slice_symbols(self, order: int) -> int:
        return self._settings.slice_symbols(self._settings.orders.index(order))

    def untrained(self, order: int) -> PhyDnn:
        """Return a PhyDNN around a copy of the backbone, with random embeddings."""
        generator = torch.Generator().manual_seed(
            derived_seed(self._config.seed, SeedUse.EMBEDDING)
        )
        model = PhyDnn.from_backbone(
            self._teacher,
            split=self._settings.split,
            image_shape=self._image_shape,
            normalise=self._normalise,
            num_embeddings=self._codebook_size(order),
            generator=generator,
            score=self._settings.score,
            symbols_per_slice=self._slice_symbols(order),
            slice_size=self._settings.slice_size,
            num_codebooks=self._settings.codebooks,
            lookup=self._settings.lookup,
            constellation=LearnedConstellation(self.points(order)) if self._is_learned else None,
        ).requires_grad_(True)
        set_memory_format(model, channels_last=self._config.channels_last)
        return model

    def _new_model(self, order: int) -> PhyDnn:
        model = self.untrained(order)
        if self._config.compile:
            compiled_in_place(model.head, model.tail)
        return model

    @property
    def _is_learned(self) -> bool:
        return self._config.link.modulation == _LEARNED

    def _air(self) -> Link:
        """Return the link, at the points as they are now."""
        if self.model.constellation is not None:
            self._link.constellation = self.model.constellation()
        return self._link

    def _new_link(self) -> SymbolLink | WaveformLink:
        return build_link(
            self._channel,
            self.points(self.order).to(self._device),
            self._config.frame,
            fidelity=self._config.link.fidelity,
        )

    def _new_optimizer(self) -> torch.optim.Optimizer:
        settings = self._settings
        return torch.optim.AdamW(
            [
                {
                    "params": self._dictionaries(),
                    "lr": settings.embedding_learning_rate,
                    "weight_decay": 0.0,
                },
                {
                    "params": list(self.model.backbone_parameters()),
                    "lr": settings.backbone_learning_rate,
                    "weight_decay": settings.weight_decay,
                },
            ]
        )

    def _dictionaries(self) -> list[nn.Parameter]:
        return list(self.model.dictionary_parameters())

    def restore_stage(self, stage: str) -> None:
        """Give the model the order it has in `stage`."""
        order = int(stage)
        if order not in self._settings.orders:
            raise ValueError(f"stage {stage!r} is not one of {self._settings.orders}")
        self.model = self._new_model(order)
        self._link = self._new_link()
        self.optimizer = self._new_optimizer()
        self._started = True

    def begin_epoch(self, epoch: int) -> None:
        """Start the embeddings, freeze or thaw, and remove embeddings where a stage begins."""
        settings = self._settings
        if not self._started:
            self._start_embeddings()
            self._started = True
        self._shrink_to(settings.orders[settings.stage_of(epoch)])
        thawed = epoch >= settings.freeze_epochs
        for parameter in self.model.backbone_parameters():
            parameter.requires_grad_(thawed)

    def _start_embeddings(self) -> None:
        start_embeddings(
            self.model,
            OrderedImages(self._train),
            points=self.points(self.order).points,
            seed=derived_seed(self._config.seed, SeedUse.EMBEDDING, self.order),
            slices_per_image=self._settings.slices_per_image or None,
        )

    def _shrink_to(self, order: int) -> None:
        """Remove the least used embeddings (Algorithm 1, line 20), or begin anew; see `removal`."""
        if self.order == order:
            return
        if self._settings.removal == "k-means":
            self._begin_anew(order)
            return
        counts = usage_counts(self.model, OrderedImages(self._train))
        removal = remove_embeddings(
            self.model,
            least_used(counts, self._num_removed(order)),
            points=self.points(order).points,
            seed=derived_seed(self._config.seed, SeedUse.EMBEDDING, order),
            symbols_per_slice=self._slice_symbols(order),
        )
        carry_optimizer(self.optimizer, removal)
        self.model = removal.model
        self._link = self._new_link()

    def _num_removed(self, order: int) -> int:
        """Return how many embeddings each codebook loses on the way to M = `order`."""
        return self._codebook_size(self.order) - self._codebook_size(order)

    def _begin_anew(self, order: int) -> None:
        """Give the model embeddings of another order, by k-means over what its head makes now."""
        trained = self.model.state_dict()
        self.model = self._new_model(order)
        self.model.load_state_dict(
            {
                name: value if name.startswith(_DICTIONARIES) else trained[name]
                for name, value in self.model.state_dict().items()
            }
        )
        self.optimizer = self._new_optimizer()
        self._link = self._new_link()
        self._start_embeddings()

    def losses(self, batch: Batch, *, epoch: int, step: int, num_steps: int) -> dict[str, Tensor]:
        """Return the terms of Eq. (8) for a mini-batch (Algorithm 1, lines 2 to 17)."""
        settings = self._settings
        self._set_schedule(epoch, step, num_steps)
        weights = settings.loss_weights(self._beta)
        with forward_precision(self._config.precision, batch.images.device):
            teacher_logits, teacher_features = self._teach(batch.images, weights)
            output = self.model(
                batch.images,
                self._air(),
                self.generator,
                num_samples=settings.num_samples,
                estimator=settings.estimator,
                temperature=self._temperature,
                lookup=settings.lookup,
                binding_share=settings.binding_share if weights.binding else 0.0,
                probabilities=bool(weights.beta),
                layers=settings.feature_layers,
            )
        terms = total_loss(
            output,
            batch.labels,
            weights,
            embedding=self.model.embedding,
            teacher_logits=teacher_logits,
            teacher_features=teacher_features,
        )
        return terms.computed()

    def _teach(
        self, images: Tensor, weights: LossWeights
    ) -> tuple[Tensor | None, tuple[Tensor, ...]]:
        """Return what the frozen backbone makes of the images, where a loss asks for it."""
        if not weights.distillation and not weights.feature_distillation:
            return None, ()
        layers: tuple[str, ...] = ()
        if weights.feature_distillation:
            layers = self._teacher_layers()
        with evaluating(self._teacher), ExitStack() as hooks:
            outputs = [hooks.enter_context(captured_output(self._teacher, name)) for name in layers]
            logits: Tensor = self._teacher(self._normalise(images))
        return logits.float(), tuple(output for (output,) in outputs)

    def _teacher_layers(self) -> tuple[str, ...]:
        return (self._settings.split, *self._settings.feature_layers)

    def _set_schedule(self, epoch: int, step: int, num_steps: int) -> None:
        settings = self._settings
        done = epoch + step / num_steps
        progress = done / self.num_epochs
        self._beta = beta_at(settings.beta, settings.beta_growth, progress)
        self._temperature = temperature_at(
            settings.temperature, settings.final_temperature, progress
        )
        stage = settings.stage_of(epoch)
        in_stage = (done - sum(settings.epochs[:stage])) / settings.epochs[stage]
        ratio = cosine_ratio(settings.final_learning_rate_ratio, in_stage)
        embedding, backbone = self.optimizer.param_groups
        embedding["lr"] = settings.embedding_learning_rate * ratio
        backbone["lr"] = settings.backbone_learning_rate * ratio

    def settings(self) -> dict[str, float]:
        """Return learning rates, beta and temperature."""
        embedding, backbone = self.optimizer.param_groups
        return {
            "embedding_learning_rate": float(embedding["lr"]),
            "backbone_learning_rate": float(backbone["lr"]),
            "beta": self._beta,
            "temperature": self._temperature,
        }

    def validate(self) -> LinkScore:
        """Return the score on the validation images: no sampling, the same channels each time."""
        return score_over_link(
            self.model,
            self._air(),
            self._validation,
            seed=derived_seed(self._config.seed, SeedUse.VALIDATION),
            lookup=self._settings.lookup,
        )


def train_phydnn(
    backbone: nn.Module,
    normalise: Normalise,
    dataset: Dataset,
    channel: ChannelModel,
    config: TrainConfig,
    *,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    resume: bool = False,
    progress: ProgressCallback = no_progress,
    processes: Processes = ALONE,
) -> PhyDnnResult:
    """Return PhyDNNs of every order in the schedule, trained through a channel (Algorithm 1).

    k-means start over the training set with near embeddings on near points; N_mc samples and
    channels for each image; head and tail frozen at first, then at a rate of their own; beta
    growing linearly; at each stage's end the least used embeddings removed and the rest placed
    anew. Of each stage the epoch that does best on the validation images, through the link in
    training, is kept.

    Args:
        backbone: Normalised images to logits, trained; left untouched.
        normalise: What it was trained with.
        dataset: Its test images are not touched.
        channel: What is trained through; `config.link.channel` only describes it.
        config: `phydnn`, `link`, `frame`, `data.augment`, `precision`, `channels_last`, `shards`,
            `compile` and `seed` count.
        device: Where to compute.
        folder: Run folder, for checkpoints and curves; None keeps none.
        resume: Continue from the checkpoint in `folder` where there is one.
        progress: Told of each step.
        processes: Who trains, each calling this with the same arguments.

    Raises:
        ConfigError: The backbone cannot be split there, or the modulation lacks an order.
        CheckpointError: The checkpoint is of another run.
        KeyboardInterrupt: Ctrl-C; `resume` continues at the very step.
    """
    check_modulation(config)
    task = PhyDnnTask(backbone, normalise, dataset, channel, config, device)
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
        model = task.untrained(order)
        model.load_state_dict(best.tensors)
        stages[order] = TrainedPhyDnn(
            phydnn=model.eval(),
            constellation=task.sent_points(model, order),
            validation_accuracy=best.accuracy,
            epoch=best.epoch,
        )
    return PhyDnnResult(stages=stages, history=tuple(state.history))
