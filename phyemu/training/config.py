"""The settings of a training run, as frozen dataclasses; the file format is `toml_config`."""

import itertools
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from phyemu.dnn import Estimator, Lookup, LossWeights, Score, channel_order, codebook_size
from phyemu.errors import ConfigError
from phyemu.link import Fidelity
from phyemu.waveform import FrameFormat

__all__ = [
    "BackboneConfig",
    "DataConfig",
    "LinkConfig",
    "PhyDnnConfig",
    "Precision",
    "TrainConfig",
]


class Precision(StrEnum):
    """Arithmetic of the forward pass; weights and losses are float32 in both."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _check_positive(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        _require(math.isfinite(value) and value > 0, f"{name} must be positive, got {value}")


def _check_patience(epochs: int | None) -> None:
    _require(epochs is None or epochs >= 1, f"early_stopping must be at least 1, got {epochs}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Which images.

    Attributes:
        dataset: `digits`, `cifar10:PATH`, `cifar100:PATH` or `image-folder:PATH`.
        validation_fraction: Share of the training images that choices are made on, in (0, 1).
        limit: At most so many images a split; None keeps all.
        augment: Shift (and mirror, but not digits) the training images.
    """

    dataset: str = "digits"
    validation_fraction: float = 0.1
    limit: int | None = None
    augment: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class BackboneConfig:
    """The network without a radio, trained first or fine-tuned from given weights.

    SGD with Nesterov momentum; the learning rate climbs over the first epoch's share
    `warmup_fraction` of all steps and then falls to 0 along a half cosine.

    Attributes:
        model: Network that is not phyemu's: `timm:MODEL` or `package.module:factory`; None: a
            CIFAR residual network.
        options: Of that network: further keyword arguments; None: none.
        depth: Of the CIFAR residual network: 8, 14, 20, 32, 44, 56, 110.
        width: Of the CIFAR residual network: feature maps of the first stage.
        pretrained: File with weights to start from; None: random weights, or what the factory of
            `model` gives. For a CIFAR residual network the file decides depth and width.
        fresh_layers: Submodules of `model` that do not take their weights from `pretrained`, as the
            classifier of other classes.
        epochs: >= 0; 0 takes the given weights as they are.
        batch_size: >= 2.
        learning_rate: Largest learning rate, > 0.
        momentum: In [0, 1).
        weight_decay: >= 0.
        label_smoothing: In [0, 1).
        warmup_fraction: In [0, 1).
        early_stopping: Epochs without a better score on the validation images after which the
            training ends, >= 1; None: it runs to its end.
    """

    model: str | None = None
    options: dict[str, object] | None = None
    depth: int = 20
    width: int = 16
    pretrained: str | None = None
    fresh_layers: tuple[str, ...] = ()
    epochs: int = 20
    batch_size: int = 128
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    warmup_fraction: float = 0.1
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        _require(self.epochs >= 0, f"backbone epochs must be >= 0, got {self.epochs}")
        _require(
            self.epochs > 0 or self.pretrained is not None or self.model is not None,
            "backbone epochs = 0 needs pretrained weights",
        )
        _require(
            self.model is not None or not (self.options or self.fresh_layers),
            "backbone options and fresh_layers are of a model; name it: model = ...",
        )
        _require(
            self.pretrained is not None or not self.fresh_layers,
            "fresh_layers are those that pretrained weights are not taken for; give pretrained",
        )
        _require(self.batch_size >= 2, f"batch_size must be at least 2, got {self.batch_size}")
        _check_positive(self, "learning_rate")
        for name in ("momentum", "label_smoothing", "warmup_fraction"):
            value = getattr(self, name)
            _require(0 <= value < 1, f"{name} must lie in [0, 1), got {value}")
        _require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")
        _check_patience(self.early_stopping)


@dataclass(frozen=True, kw_only=True, slots=True)
class PhyDnnConfig:
    """Algorithm 1 of the paper.

    Attributes:
        split: Last submodule of the head.
        splits: In its place, for more than two devices: the last submodule of each part but the
            tail, from the device to the server; two or more.
        orders: M of each stage, falling: (16, 8, 4) removes half of the embeddings twice. M is what
            each position at the cut may say, log2(M) bits; in the paper, its embeddings.
        slice_size: Positions that a slice covers, (height, width); (1, 1) in the paper.
        codebooks: C, dictionaries of M^(h w / C) embeddings, each for what those before leave of a
            slice (residual quantisation); 1 in the paper. Slices of (2, 2) and two codebooks have
            256, 64 and 16 embeddings for M = 16, 8 and 4.
        symbols_per_slice: u, channel symbols for each slice, of all its codebooks together: of each
            stage, or one number for all of them; the modulation is of order M^(h w / u).
            (2, 1, 1) sends 16 embeddings as two symbols of QPSK, then 8 as one of 8-PSK; 1 in the
            paper.
        epochs: Of each stage, one number a stage, >= 1 each.
        num_samples: N_mc, >= 1.
        batch_size: >= 2.
        embedding_learning_rate: Of the embeddings; 1e-3 in the paper.
        backbone_learning_rate: Of head and tail; 1e-4 in the paper.
        final_learning_rate_ratio: Each stage's rates fall along a half cosine to this share, in
            [0, 1]; 1 keeps them constant, as in the paper.
        weight_decay: Of head and tail (decoupled), >= 0.
        freeze_epochs: Epochs at the start in which head and tail stay as they are.
        beta: Weight of the entropy at the start, in [0, 1]; 1e-4 in the paper.
        beta_growth: Beta at the end over beta at the start, >= 1; it grows linearly; 10 in the
            paper.
        binding: Weight of the binding loss, >= 0; 1 in the paper.
        binding_share: Share of the images of a batch that it is estimated on, in (0, 1]; 1 in the
            paper. Without bias, and a pass through the tail cheaper by as much.
        distillation: Weight of the divergence from the frozen backbone, >= 0; not in the paper.
        distillation_temperature: Its softness, > 0.
        feature_distillation: Weight of the error of the features that the tail is given, against
            those of the frozen backbone, >= 0; not in the paper.
        feature_layers: Submodules of the tail whose outputs count in it as well.
        commitment: Weight of the distance from slices to their embeddings, >= 0; not in the paper.
        score: Likeness of slice and embedding: `inner-product` is the paper's.
        estimator: How symbols are chosen in training: `gumbel` (the paper's) samples them,
            `straight-through` sends the likeliest, as what is deployed does; so does `copy`, which
            hands the gradient of what arrives to the slice that was sent.
        temperature: Of the gradient through that choice, at the start, > 0; 1 with `copy`.
        final_temperature: At the end, > 0; it changes by the same factor each step; None: constant.
        lookup: `hard` (the paper's), `soft`, or `learned`: by a small network, trained with the
            rest at the rate of the embeddings and exported with the tail.
        slices_per_image: Slices of each training image that k-means sees, >= 0; 0: all, as in the
            paper.
        removal: How a stage begins with fewer embeddings: `least-used` (Algorithm 1) removes those
            that are sent least and trains the others on, `k-means` starts all embeddings, and the
            optimiser, anew on what the head has become.
        early_stopping: Epochs without a better score on the validation images after which a stage
            ends and the next begins, >= 1; None: each stage has all of its epochs.
    """

    split: str = "layer1"
    splits: tuple[str, ...] = ()
    orders: tuple[int, ...] = (16,)
    slice_size: tuple[int, int] = (1, 1)
    codebooks: int = 1
    symbols_per_slice: tuple[int, ...] = (1,)
    epochs: tuple[int, ...] = (10,)
    num_samples: int = 1
    batch_size: int = 64
    embedding_learning_rate: float = 1e-3
    backbone_learning_rate: float = 1e-4
    final_learning_rate_ratio: float = 1.0
    weight_decay: float = 0.0
    freeze_epochs: int = 1
    beta: float = 1e-4
    beta_growth: float = 10.0
    binding: float = 1.0
    binding_share: float = 1.0
    distillation: float = 0.0
    distillation_temperature: float = 2.0
    feature_distillation: float = 0.0
    feature_layers: tuple[str, ...] = ()
    commitment: float = 0.0
    score: Score = Score.INNER_PRODUCT
    estimator: Estimator = Estimator.GUMBEL
    temperature: float = 1.0
    final_temperature: float | None = None
    lookup: Lookup = Lookup.HARD
    slices_per_image: int = 0
    removal: Literal["least-used", "k-means"] = "least-used"
    early_stopping: int | None = None

    def __post_init__(self) -> None:
        _require(
            len(self.orders) == len(self.epochs) > 0 and min(self.epochs) >= 1,
            f"orders and epochs need one entry a stage, got {self.orders} and {self.epochs}",
        )
        _require(
            len(self.splits) != 1,
            f"splits need two or more split points, got {list(self.splits)}; one is split",
        )
        _require(
            not (self.splits and self.feature_layers),
            "feature_layers are of a tail behind a single split; leave them out with splits",
        )
        _require(
            not (self.splits and self.lookup is Lookup.LEARNED),
            "a learned lookup is of a single split; look up hard or soft with splits",
        )
        falling = all(a > b for a, b in zip(self.orders, self.orders[1:], strict=False))
        _require(
            falling and self.orders[-1] >= 2,
            f"orders must fall and end at 2 or more, got {self.orders}",
        )
        _require(
            len(self.symbols_per_slice) in (1, len(self.orders)),
            f"symbols_per_slice needs one number, or one a stage, got {self.symbols_per_slice}",
        )
        _require(
            min(self.slice_size) >= 1, f"slice_size must be at least (1, 1), got {self.slice_size}"
        )
        _require(self.codebooks >= 1, f"codebooks must be at least 1, got {self.codebooks}")
        _require(
            self.codebooks == 1 or self.estimator is not Estimator.GUMBEL,
            "a further codebook stands for what the likeliest embedding leaves, so symbols cannot "
            'be sampled: with several codebooks give [phydnn] estimator = "copy" or '
            '"straight-through", or take --preset best',
        )
        _require(
            self.codebooks == 1 or self.score is Score.DISTANCE,
            "a further codebook holds what the nearest embedding leaves: with several codebooks "
            'give [phydnn] score = "distance", or take --preset best',
        )
        _require(
            self.estimator is not Estimator.COPY
            or (self.temperature == 1 and self.final_temperature is None),
            "a copied gradient has no temperature; leave temperature and final_temperature out",
        )
        for stage in range(len(self.orders)):
            self.channel_order(stage)
        _require(self.num_samples >= 1, f"num_samples must be at least 1, got {self.num_samples}")
        _require(self.batch_size >= 2, f"batch_size must be at least 2, got {self.batch_size}")
        _check_positive(
            self, "embedding_learning_rate", "backbone_learning_rate", "temperature", "beta_growth"
        )
        if self.final_temperature is not None:
            _check_positive(self, "final_temperature")
        _require(
            0 <= self.final_learning_rate_ratio <= 1,
            f"final_learning_rate_ratio must lie in [0, 1], got {self.final_learning_rate_ratio}",
        )
        _require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")
        _require(
            0 < self.binding_share <= 1,
            f"binding_share must lie in (0, 1], got {self.binding_share}; "
            "binding = 0 turns the binding loss off",
        )
        _require(
            self.slices_per_image >= 0,
            f"slices_per_image must be >= 0 (0: all), got {self.slices_per_image}",
        )
        _require(self.freeze_epochs >= 0, f"freeze_epochs must be >= 0, got {self.freeze_epochs}")
        _require(
            self.beta_growth >= 1 and self.beta * self.beta_growth <= 1,
            "beta_growth must be at least 1 and beta * beta_growth at most 1, got "
            f"{self.beta_growth} and {self.beta}",
        )
        _require(
            self.feature_distillation > 0 or not self.feature_layers,
            "feature_layers do nothing without feature_distillation; give it a weight",
        )
        _require(
            self.removal in ("least-used", "k-means"),
            f"removal must be least-used or k-means, got {self.removal!r}",
        )
        _check_patience(self.early_stopping)
        self.loss_weights(self.beta)

    @property
    def total_epochs(self) -> int:
        """Epochs of all stages."""
        return sum(self.epochs)

    @property
    def stage_ends(self) -> tuple[int, ...]:
        """The epoch behind each stage, from 0."""
        return tuple(itertools.accumulate(self.epochs))

    def stage_of(self, epoch: int) -> int:
        """Return the index of the stage that `epoch` (from 0) belongs to."""
        boundary = 0
        for stage, epochs in enumerate(self.epochs):
            boundary += epochs
            if epoch < boundary:
                return stage
        return len(self.epochs) - 1

    def slice_symbols(self, stage: int) -> int:
        """Return u of a stage."""
        return self.symbols_per_slice[stage if len(self.symbols_per_slice) > 1 else 0]

    def channel_order(self, stage: int) -> int:
        """Return the order of the modulation in a stage."""
        size = self.codebook_size(stage)
        return channel_order(size, self.slice_symbols(stage), self.codebooks)

    def codebook_size(self, stage: int) -> int:
        """Return the embeddings of each codebook in a stage: M, where a position is a slice."""
        height, width = self.slice_size
        return codebook_size(self.orders[stage], height * width, self.codebooks)

    def loss_weights(self, beta: float) -> LossWeights:
        """Return the weights of the loss at a value of beta."""
        return LossWeights(
            beta=beta,
            binding=self.binding,
            distillation=self.distillation,
            distillation_temperature=self.distillation_temperature,
            feature_distillation=self.feature_distillation,
            commitment=self.commitment,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkConfig:
    """The air interface in training.

    Attributes:
        channel: Spec or file, as `phyemu.colosseum.load_channel_or_link` reads it; of several hops
            (`phydnn.splits`) one for all of them, or `A//B`, one for each.
        fidelity: `symbol` or `waveform`.
        modulation: `psk` (the paper's), `qam`, or `learned`: points that begin as one of these and
            are trained with the rest, at the rate of the embeddings and under the same peak power.
    """

    channel: str
    fidelity: Fidelity = Fidelity.SYMBOL
    modulation: Literal["psk", "qam", "learned"] = "psk"

    def __post_init__(self) -> None:
        _require(
            self.modulation in ("psk", "qam", "learned"),
            f"modulation must be psk, qam or learned, got {self.modulation!r}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """A whole run.

    Attributes:
        seed: Every draw comes from it.
        precision: Arithmetic of the forward pass.
        shards: Parts of each batch that are computed apart, >= 1, by one process or side by side by
            several (torchrun): each with draws and batch statistics of its own.
        compile: Compile head and tail (`torch.compile`, needs a C++ compiler): minutes at the
            start for faster steps.
        channels_last: Memory layout of images and features; often faster on GPUs with bfloat16.
        checkpoint_interval_s: Longest time between two checkpoints [s], >= 0.
        data: Images.
        backbone: Network without radio.
        phydnn: Algorithm 1.
        link: Air interface.
        frame: Frames on the air.
    """

    seed: int = 0
    precision: Precision = Precision.FLOAT32
    channels_last: bool = False
    shards: int = 1
    compile: bool = False
    checkpoint_interval_s: float = 60.0
    data: DataConfig = field(default_factory=DataConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    phydnn: PhyDnnConfig = field(default_factory=PhyDnnConfig)
    link: LinkConfig
    frame: FrameFormat = field(default_factory=FrameFormat)

    def __post_init__(self) -> None:
        _require(
            not (self.phydnn.splits and self.link.modulation == "learned"),
            "a learned modulation is of a single split; take psk or qam with splits",
        )
        _require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")
        _require(self.shards >= 1, f"shards must be at least 1, got {self.shards}")
        for name, size in (
            ("backbone", self.backbone.batch_size),
            ("phydnn", self.phydnn.batch_size),
        ):
            _require(
                size >= 2 * self.shards,
                f"{name}.batch_size {size} leaves less than two images for each of "
                f"{self.shards} shards",
            )
        _require(
            not (self.compile and self.phydnn.feature_layers),
            "a compiled tail shows no outputs of its layers; give compile = false, or no "
            "feature_layers",
        )
        _require(
            self.checkpoint_interval_s >= 0,
            f"checkpoint_interval_s must be >= 0, got {self.checkpoint_interval_s}",
        )
