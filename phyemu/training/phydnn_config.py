"""The settings of Algorithm 1, as a frozen dataclass."""

import itertools
from dataclasses import dataclass
from typing import Literal

from phyemu.config_checks import check_positive, require
from phyemu.dnn import Estimator, Lookup, LossWeights, Score, channel_order, codebook_size

__all__ = ["PhyDnnConfig"]


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
        freeze_epochs: Epochs at the start in which no weight of head and tail changes; the running
            statistics of their batch norms follow what the embeddings let through.
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
        require(
            len(self.orders) == len(self.epochs) > 0 and min(self.epochs) >= 1,
            f"orders and epochs need one entry a stage, got {self.orders} and {self.epochs}",
        )
        require(
            len(self.splits) != 1,
            f"splits need two or more split points, got {list(self.splits)}; one is split",
        )
        require(
            not (self.splits and self.feature_layers),
            "feature_layers are of a tail behind a single split; leave them out with splits",
        )
        require(
            not (self.splits and self.lookup is Lookup.LEARNED),
            "a learned lookup is of a single split; look up hard or soft with splits",
        )
        falling = all(a > b for a, b in zip(self.orders, self.orders[1:], strict=False))
        require(
            falling and self.orders[-1] >= 2,
            f"orders must fall and end at 2 or more, got {self.orders}",
        )
        require(
            len(self.symbols_per_slice) in (1, len(self.orders)),
            f"symbols_per_slice needs one number, or one a stage, got {self.symbols_per_slice}",
        )
        require(
            min(self.slice_size) >= 1, f"slice_size must be at least (1, 1), got {self.slice_size}"
        )
        require(self.codebooks >= 1, f"codebooks must be at least 1, got {self.codebooks}")
        require(
            self.codebooks == 1 or self.estimator is not Estimator.GUMBEL,
            "a further codebook stands for what the likeliest embedding leaves, so symbols cannot "
            'be sampled: with several codebooks give [phydnn] estimator = "copy" or '
            '"straight-through", or take --preset best',
        )
        require(
            self.codebooks == 1 or self.score is Score.DISTANCE,
            "a further codebook holds what the nearest embedding leaves: with several codebooks "
            'give [phydnn] score = "distance", or take --preset best',
        )
        require(
            self.estimator is not Estimator.COPY
            or (self.temperature == 1 and self.final_temperature is None),
            "a copied gradient has no temperature; leave temperature and final_temperature out",
        )
        for stage in range(len(self.orders)):
            self.channel_order(stage)
        require(self.num_samples >= 1, f"num_samples must be at least 1, got {self.num_samples}")
        require(self.batch_size >= 2, f"batch_size must be at least 2, got {self.batch_size}")
        check_positive(
            self, "embedding_learning_rate", "backbone_learning_rate", "temperature", "beta_growth"
        )
        if self.final_temperature is not None:
            check_positive(self, "final_temperature")
        require(
            0 <= self.final_learning_rate_ratio <= 1,
            f"final_learning_rate_ratio must lie in [0, 1], got {self.final_learning_rate_ratio}",
        )
        require(self.weight_decay >= 0, f"weight_decay must be >= 0, got {self.weight_decay}")
        require(
            0 < self.binding_share <= 1,
            f"binding_share must lie in (0, 1], got {self.binding_share}; "
            "binding = 0 turns the binding loss off",
        )
        require(
            self.slices_per_image >= 0,
            f"slices_per_image must be >= 0 (0: all), got {self.slices_per_image}",
        )
        require(self.freeze_epochs >= 0, f"freeze_epochs must be >= 0, got {self.freeze_epochs}")
        require(
            self.beta_growth >= 1 and self.beta * self.beta_growth <= 1,
            "beta_growth must be at least 1 and beta * beta_growth at most 1, got "
            f"{self.beta_growth} and {self.beta}",
        )
        require(
            self.feature_distillation > 0 or not self.feature_layers,
            "feature_layers do nothing without feature_distillation; give it a weight",
        )
        require(
            self.removal in ("least-used", "k-means"),
            f"removal must be least-used or k-means, got {self.removal!r}",
        )
        require(
            self.early_stopping is None or self.early_stopping >= 1,
            f"early_stopping must be at least 1, got {self.early_stopping}",
        )
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
