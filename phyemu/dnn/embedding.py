"""The dictionary of embeddings that both sides of the link share (paper, Sec. III-B, Fig. 3).

Row m of the dictionary belongs to symbol m and to point m of the constellation; with several
symbols for each slice, to the m-th tuple of them (`symbol_tuples`).
"""

from enum import StrEnum

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError, SignalError

from .categories import log_softmax, products_in_rows
from .demapper import Demapper
from .hard_lookup import hard_lookup
from .sampling import one_hot_argmax
from .symbol_tuples import channel_order, joint_posteriors, split_indices, split_probabilities

__all__ = ["Embedding", "Lookup", "Score"]


class Score(StrEnum):
    """How alike a slice and an embedding are.

    INNER_PRODUCT is Eq. (2) of the paper: the longest embedding wins most slices. DISTANCE,
    -|s - e|^2, makes the most probable symbol the nearest embedding, so that what the tail is given
    is as close to the slice as may be; measured in docs/phydnn.md, and the default.
    """

    INNER_PRODUCT = "inner-product"
    DISTANCE = "distance"


class Lookup(StrEnum):
    """How posteriors become slices: by the likeliest symbol, the posterior mean, or a network."""

    HARD = "hard"
    SOFT = "soft"
    LEARNED = "learned"
    """The mean under the weights of a `Demapper`, which is trained with the rest."""


class Embedding(nn.Module):
    """M learnable embeddings of length D; the paper's delta.

    Args:
        vectors: Initial embeddings, (M, D), floating point; copied to float32.
        score: Likeness of slice and embedding.
        score_scale: Factor on the scores, > 0: the inverse temperature of Eq. (2), 1 in the paper.
        symbols_per_slice: u, channel symbols that stand for a slice; 1 in the paper.
        demapper: What `Lookup.LEARNED` asks; None: there is none.

    Raises:
        ConfigError: Fewer than two embeddings, not finite, a scale that is not positive, or M is no
            u-th power.
    """

    score_scale: Tensor

    def __init__(
        self,
        vectors: Tensor,
        *,
        score: Score = Score.DISTANCE,
        score_scale: float = 1.0,
        symbols_per_slice: int = 1,
        demapper: Demapper | None = None,
    ) -> None:
        super().__init__()
        if vectors.ndim != 2 or len(vectors) < 2 or vectors.shape[1] < 1:
            raise ConfigError(f"embeddings must be (M >= 2, D >= 1), got {tuple(vectors.shape)}")
        if not bool(torch.isfinite(vectors).all()):
            raise ConfigError("embeddings must be finite")
        if not score_scale > 0:
            raise ConfigError(f"score_scale must be positive, got {score_scale}")
        channel_order(len(vectors), symbols_per_slice)
        self.vectors = nn.Parameter(vectors.detach().clone().float())
        self.score = Score(score)
        self.symbols_per_slice = symbols_per_slice
        self.demapper = demapper
        self.register_buffer(
            "score_scale", torch.tensor(score_scale, device=vectors.device, dtype=torch.float32)
        )

    @property
    def num_embeddings(self) -> int:
        """M."""
        return len(self.vectors)

    @property
    def order(self) -> int:
        """M_c, the order of the modulation: M, where a slice is one symbol."""
        return channel_order(self.num_embeddings, self.symbols_per_slice)

    @property
    def dim(self) -> int:
        """D, the length of a slice."""
        return self.vectors.shape[1]

    def log_probabilities(self, slices: Tensor) -> Tensor:
        """Return log f(x): Eq. (2), log softmax over the embeddings of their scores.

        Args:
            slices: (..., D), any floating point type.

        Returns:
            (..., M) in the precision of the embeddings (float32), also under autocast. Gradients
            flow to slices and embeddings.

        Raises:
            SignalError: The slices have another length.
        """
        if slices.shape[-1] != self.dim:
            raise SignalError(f"slices must be (..., {self.dim}), got {tuple(slices.shape)}")
        with torch.autocast(device_type=slices.device.type, enabled=False):
            rows = slices.to(self.vectors.dtype)
            weights, offsets = self.score_scale * self.vectors, None
            if self.score is Score.DISTANCE:
                # |s - e|^2 = |s|^2 - 2 s.e + |e|^2, of which the softmax cannot see |s|^2.
                weights, offsets = 2 * weights, -(weights * self.vectors).sum(-1)
            scores = products_in_rows(weights, rows[None] if rows.ndim == 1 else rows, offsets)
            return log_softmax(scores[0] if rows.ndim == 1 else scores)

    def probabilities(self, slices: Tensor) -> Tensor:
        """Return f(x) of Eq. (2), (..., M) float32, rows sum to one."""
        return self.log_probabilities(slices).exp()

    def encode(self, slices: Tensor) -> Tensor:
        """Return the channel symbols of the most probable embeddings, (..., num_slices * u) int64.

        Args:
            slices: (..., num_slices, D).
        """
        return split_indices(self.likeliest(slices), self.order, self.symbols_per_slice)

    def likeliest(self, slices: Tensor) -> Tensor:
        """Return the most probable embedding of each slice (..., D), (...,) int64 in [0, M)."""
        return self.log_probabilities(slices).argmax(-1)

    def on_air(self, choices: Tensor) -> Tensor:
        """Return what a link is given, (..., num_slices * u, M_c), of embeddings that were chosen.

        Args:
            choices: One-hot rows over the embeddings, (..., num_slices, M); gradients flow to them.
        """
        return split_probabilities(choices, self.symbols_per_slice)

    def lookup(self, posteriors: Tensor, mode: Lookup) -> Tensor:
        """Return slices (..., D) for received posteriors.

        Hard lookup passes gradients straight through the decision on each symbol. A row whose
        entries are all equal says nothing (its frame was lost): it becomes the mean of the
        embeddings it may stand for in both modes.

        Args:
            posteriors: Of channel symbols, (..., num_slices * u, M_c), rows sum to one.
            mode: Hard (the paper's), soft or learned.

        Raises:
            ConfigError: The lookup is learned, but there is no demapper.
            SignalError: `posteriors` are for another modulation.
        """
        order = self.order
        if posteriors.shape[-1] != order:
            raise SignalError(f"posteriors must be (..., {order}), got {tuple(posteriors.shape)}")
        with torch.autocast(device_type=posteriors.device.type, enabled=False):
            weights = posteriors.to(self.vectors.dtype)
            if mode is Lookup.LEARNED:
                if self.demapper is None:
                    raise ConfigError(
                        'there is no learned demapper here; train with lookup = "learned", or '
                        "look up hard or soft"
                    )
                learned: Tensor = self.demapper(weights) @ self.vectors
                return learned
            if mode is Lookup.HARD:
                if self.symbols_per_slice == 1:
                    return hard_lookup(weights, self.vectors)
                # Rows sum to one, so the largest entry is 1 / M_c only where all are.
                erased = weights.amax(-1, keepdim=True) <= (1 + 1e-6) / order
                weights = torch.where(erased, weights, one_hot_argmax(weights))
            return joint_posteriors(weights, self.symbols_per_slice) @ self.vectors
