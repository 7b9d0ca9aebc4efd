"""The dictionary of embeddings that both sides of the link share (paper, Sec. III-B, Fig. 3).

Row m of the dictionary belongs to symbol m and to point m of the constellation.
"""

from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.errors import ConfigError, SignalError

from .categories import argmax_symbol, in_rows, log_softmax, products_in_rows

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
    """How posteriors become slices: the likeliest symbol's embedding, or the posterior mean."""

    HARD = "hard"
    SOFT = "soft"


class Embedding(nn.Module):
    """M learnable embeddings of length D; the paper's delta.

    Args:
        vectors: Initial embeddings, (M, D), floating point; copied to float32.
        score: Likeness of slice and embedding.
        score_scale: Factor on the scores, > 0: the inverse temperature of Eq. (2), 1 in the paper.

    Raises:
        ConfigError: Fewer than two embeddings, not finite, or a scale that is not positive.
    """

    score_scale: Tensor

    def __init__(
        self, vectors: Tensor, *, score: Score = Score.DISTANCE, score_scale: float = 1.0
    ) -> None:
        super().__init__()
        if vectors.ndim != 2 or len(vectors) < 2 or vectors.shape[1] < 1:
            raise ConfigError(f"embeddings must be (M >= 2, D >= 1), got {tuple(vectors.shape)}")
        if not bool(torch.isfinite(vectors).all()):
            raise ConfigError("embeddings must be finite")
        if not score_scale > 0:
            raise ConfigError(f"score_scale must be positive, got {score_scale}")
        self.vectors = nn.Parameter(vectors.detach().clone().float())
        self.score = Score(score)
        self.register_buffer(
            "score_scale", torch.tensor(score_scale, device=vectors.device, dtype=torch.float32)
        )

    @property
    def num_embeddings(self) -> int:
        """M, the order of the modulation."""
        return len(self.vectors)

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
        """Return the most probable symbol of each slice, (...,) int64."""
        return self.log_probabilities(slices).argmax(-1)

    def lookup_symbols(self, symbols: Tensor) -> Tensor:
        """Return the embeddings (..., D) of symbols (...,) int64 in [0, M)."""
        return self.vectors[symbols]

    def lookup(self, posteriors: Tensor, mode: Lookup) -> Tensor:
        """Return slices (..., D) for received posteriors.

        Hard lookup passes gradients straight through the decision. A row whose entries are all
        equal says nothing (its frame was lost): it becomes the mean embedding in both modes.

        Args:
            posteriors: (..., M), rows sum to one.
            mode: Hard (the paper's) or soft.

        Raises:
            SignalError: `posteriors` are for another number of embeddings.
        """
        if posteriors.shape[-1] != self.num_embeddings:
            raise SignalError(
                f"posteriors must be (..., {self.num_embeddings}), got {tuple(posteriors.shape)}"
            )
        with torch.autocast(device_type=posteriors.device.type, enabled=False):
            weights = posteriors.to(self.vectors.dtype)
            if mode is Lookup.SOFT:
                return weights @ self.vectors
            if torch.is_grad_enabled():
                chosen: Tensor = _HardLookup.apply(weights, self.vectors)  # type: ignore[no-untyped-call]
                return chosen
            return _likeliest(weights, self.vectors)[0]


def _likeliest(posteriors: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the embedding of the largest posterior, the mean where all are equal, and its row."""
    num_embeddings = len(vectors)
    # Rows sum to one, so the largest entry is 1 / M only where all are.
    erased = posteriors.amax(-1) <= (1 + 1e-6) / num_embeddings
    symbols = torch.where(erased, num_embeddings, argmax_symbol(posteriors))
    table = torch.cat([vectors, vectors.mean(0, keepdim=True)])
    return functional.embedding(symbols, table), symbols


class _HardLookup(torch.autograd.Function):
    """`_likeliest`, taken backward for the product of posteriors and embeddings, but that an
    embedding learns only from the slices that it was chosen for."""

    @staticmethod
    def forward(ctx: Any, posteriors: Tensor, vectors: Tensor) -> Tensor:
        """Return (..., D)."""
        chosen, symbols = _likeliest(posteriors, vectors)
        ctx.save_for_backward(symbols, vectors)
        ctx.rows = in_rows(posteriors)
        return chosen

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return those of posteriors and embeddings."""
        symbols, vectors = ctx.saved_tensors
        gradient = gradients[0]
        of_posteriors = of_vectors = None
        if ctx.needs_input_grad[0]:
            of_posteriors = (
                products_in_rows(vectors, gradient) if ctx.rows else gradient @ vectors.T
            )
        if ctx.needs_input_grad[1]:
            flat = gradient.reshape(-1, gradient.shape[-1])
            num = len(vectors)
            weights = flat.new_zeros((num + 1, len(flat)))
            sums = weights.scatter_(0, symbols.reshape(1, -1), 1.0) @ flat
            of_vectors = sums[:num] + sums[num] / num
        return of_posteriors, of_vectors
