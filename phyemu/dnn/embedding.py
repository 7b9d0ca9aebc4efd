"""The dictionary of embeddings that both sides of the link share (paper, Sec. III-B, Fig. 3).

Row m of the dictionary belongs to symbol m and to point m of the constellation; with several
symbols for each slice, to the m-th tuple of them (`symbol_tuples`).

A dictionary may hold several codebooks of M embeddings, one below the other: residual vector
quantisation (Juang and Gray, doi:10.1109/ICASSP.1982.1171604). The first says what a slice is
closest to, each further one what is left of it, and the tail is given the sum:

    slice s    book 0: a = nearest to s    book 1: b = nearest to s - a    arrives: a + b

What is chosen, sent and received then lies book after book: N_s entries of the first book, N_s of
the second; 2 books of 256 embeddings tell 65536 slices apart at the cost of 512 comparisons.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.nn import functional

from phyemu.errors import ConfigError, SignalError

from .categories import argmax_symbol, log_softmax, products_in_rows
from .demapper import Demapper
from .hard_lookup import decided_symbols, hard_lookup, lookup_tuples
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
    """M learnable embeddings of length D, of each codebook; the paper's delta.

    Args:
        vectors: Initial embeddings, (num_codebooks * M, D), floating point; copied to float32.
        score: Likeness of slice and embedding.
        score_scale: Factor on the scores, > 0: the inverse temperature of Eq. (2), 1 in the paper;
            one number, or one for each codebook.
        symbols_per_slice: u, channel symbols that stand for a slice, of all its codebooks together;
            1 in the paper.
        num_codebooks: 1 in the paper.
        demapper: What `Lookup.LEARNED` asks; None: there is none.

    Raises:
        ConfigError: Fewer than two embeddings, not finite, a scale that is not positive, u is no
            multiple of the codebooks, or M no power of what is left of u for each; or there are
            several codebooks without distances.
    """

    score_scale: Tensor

    def __init__(
        self,
        vectors: Tensor,
        *,
        score: Score = Score.DISTANCE,
        score_scale: float | Sequence[float] = 1.0,
        symbols_per_slice: int = 1,
        num_codebooks: int = 1,
        demapper: Demapper | None = None,
    ) -> None:
        super().__init__()
        if vectors.ndim != 2 or len(vectors) < 2 or vectors.shape[1] < 1:
            raise ConfigError(f"embeddings must be (M >= 2, D >= 1), got {tuple(vectors.shape)}")
        if not bool(torch.isfinite(vectors).all()):
            raise ConfigError("embeddings must be finite")
        if num_codebooks < 1 or len(vectors) % num_codebooks:
            raise ConfigError(f"{len(vectors)} embeddings are not {num_codebooks} equal codebooks")
        if num_codebooks > 1 and Score(score) is not Score.DISTANCE:
            raise ConfigError(
                "a further codebook holds what the nearest embedding leaves; with several give the "
                f"score {Score.DISTANCE}, not {score}"
            )
        scales = [score_scale] if isinstance(score_scale, int | float) else list(score_scale)
        if len(scales) not in (1, num_codebooks) or not all(scale > 0 for scale in scales):
            raise ConfigError(
                f"score_scale must be positive, one number or one a codebook, got {score_scale}"
            )
        channel_order(len(vectors) // num_codebooks, symbols_per_slice, num_codebooks)
        self.vectors = nn.Parameter(vectors.detach().clone().float())
        self.score = Score(score)
        self.symbols_per_slice = symbols_per_slice
        self.num_codebooks = num_codebooks
        self.demapper = demapper
        scale = torch.tensor(scales, device=vectors.device, dtype=torch.float32)
        self.register_buffer(
            "score_scale", scale[0] if num_codebooks == 1 else scale.expand(num_codebooks).clone()
        )

    @property
    def num_embeddings(self) -> int:
        """M, of each codebook."""
        return len(self.vectors) // self.num_codebooks

    @property
    def symbols_per_choice(self) -> int:
        """Channel symbols that an embedding of one codebook takes: u / num_codebooks."""
        return self.symbols_per_slice // self.num_codebooks

    @property
    def order(self) -> int:
        """M_c, the order of the modulation: M, where a slice is one symbol."""
        return channel_order(self.num_embeddings, self.symbols_per_slice, self.num_codebooks)

    def codebooks(self) -> tuple[Tensor, ...]:
        """Return the embeddings of each codebook, (M, D) each; gradients flow to them."""
        return self.vectors.chunk(self.num_codebooks)

    @property
    def dim(self) -> int:
        """D, the length of a slice."""
        return self.vectors.shape[1]

    def log_probabilities(self, slices: Tensor) -> Tensor:
        """Return log f(x): Eq. (2), log softmax over the embeddings of their scores.

        Args:
            slices: (..., D), any floating point type; with several codebooks (..., num_slices, D).

        Returns:
            (..., M); with several codebooks (..., num_codebooks * num_slices, M), those of a
            further codebook given the likeliest embeddings of the ones before. In the precision of
            the embeddings (float32), also under autocast. Gradients flow to slices and embeddings.

        Raises:
            SignalError: The slices have another length, or only one dimension.
        """
        found = [log_softmax(scores) for scores in self._scores(slices)]
        # Symbols lie in rows (`categories`), so books are joined along the rows.
        return found[0] if len(found) == 1 else torch.cat([row.mT for row in found], -1).mT

    def _scores(self, slices: Tensor) -> Iterator[Tensor]:
        """Yield the scores of each codebook, (..., num_slices, M) float32, but for a constant."""
        if slices.shape[-1] != self.dim or (self.num_codebooks > 1 and slices.ndim < 2):
            raise SignalError(f"slices must be (..., {self.dim}), got {tuple(slices.shape)}")
        with torch.autocast(device_type=slices.device.type, enabled=False):
            rest = slices.to(self.vectors.dtype)
            books, scales = self.codebooks(), self.score_scale.reshape(-1)
            for index, (book, scale) in enumerate(zip(books, scales, strict=True)):
                weights, offsets = scale * book, None
                if self.score is Score.DISTANCE:
                    # |s - e|^2 = |s|^2 - 2 s.e + |e|^2, of which the softmax cannot see |s|^2.
                    weights, offsets = 2 * weights, -(weights * book).sum(-1)
                rows = rest[None] if rest.ndim == 1 else rest
                scores = products_in_rows(weights, rows, offsets)
                scores = scores[0] if rest.ndim == 1 else scores
                yield scores
                if index + 1 < self.num_codebooks:  # the last one leaves nothing to anybody
                    rest = rest - functional.embedding(argmax_symbol(scores), book).detach()

    def probabilities(self, slices: Tensor) -> Tensor:
        """Return f(x) of Eq. (2), shaped as `log_probabilities`, rows sum to one."""
        return self.log_probabilities(slices).exp()

    def encode(self, slices: Tensor) -> Tensor:
        """Return the channel symbols of the most probable embeddings, (..., num_slices * u) int64.

        Args:
            slices: (..., num_slices, D).
        """
        return self.symbols_of(self.likeliest(slices))

    def symbols_of(self, choices: Tensor) -> Tensor:
        """Return the channel symbols of chosen embeddings, (..., num_slices * u) int64."""
        return split_indices(choices, self.order, self.symbols_per_choice)

    def likeliest(self, slices: Tensor) -> Tensor:
        """Return the most probable embedding of each slice (..., D), int64 in [0, M).

        (...,); with several codebooks (..., num_codebooks * num_slices), book after book.
        """
        with torch.no_grad():
            found = [argmax_symbol(scores) for scores in self._scores(slices)]
            return found[0] if len(found) == 1 else torch.cat(found, -1)

    def slices_of(self, choices: Tensor) -> Tensor:
        """Return what chosen embeddings, as `likeliest` returns them, stand for, (..., D)."""
        return self._sum([functional.embedding(*pair) for pair in self._by_book(choices, -1)])

    def on_air(self, choices: Tensor) -> Tensor:
        """Return what a link is given, (..., num_slices * u, M_c), of embeddings that were chosen.

        Args:
            choices: One-hot rows over the embeddings, (..., num_codebooks * num_slices, M);
                gradients flow to them.
        """
        return split_probabilities(choices, self.symbols_per_choice)

    def as_sent(self, symbols: Tensor) -> Tensor:
        """Return channel symbols, as `encode` returns them, as a link is given them: one-hot rows.

        Args:
            symbols: (..., num_slices * u) int64.
        """
        rows = symbols[..., None, :]
        zeros = rows.new_zeros(
            (*symbols.shape[:-1], self.order, symbols.shape[-1]), dtype=self.vectors.dtype
        )
        return zeros.scatter_(-2, rows, 1.0).mT

    def lookup(self, posteriors: Tensor, mode: Lookup) -> Tensor:
        """Return slices (..., D) for received posteriors.

        Hard lookup passes gradients straight through the decision on each symbol. A row whose
        entries are all equal says nothing (its frame was lost): it becomes the mean of the
        embeddings it may stand for in both modes. Slices of several codebooks are sums.

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
                return self._mix(self.demapper(weights))
            if mode is Lookup.HARD:
                if self.symbols_per_slice == 1:
                    return hard_lookup(weights, self.vectors)
                if not (weights.requires_grad and torch.is_grad_enabled()):
                    symbols = decided_symbols(weights)
                    return self._sum(
                        [
                            lookup_tuples(rows, book, self.symbols_per_choice, order)
                            for rows, book in self._by_book(symbols, -1)
                        ]
                    )
                # Rows sum to one, so the largest entry is 1 / M_c only where all are.
                erased = weights.amax(-1, keepdim=True) <= (1 + 1e-6) / order
                weights = torch.where(erased, weights, one_hot_argmax(weights))
            return self._mix(joint_posteriors(weights, self.symbols_per_choice))

    def _mix(self, weights: Tensor) -> Tensor:
        """Return the sum of each codebook's embeddings under weights, (..., num_slices, D)."""
        return self._sum([rows @ book for rows, book in self._by_book(weights, -2)])

    def _by_book(self, values: Tensor, dim: int) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(values.chunk(self.num_codebooks, dim), self.codebooks(), strict=True)

    @staticmethod
    def _sum(parts: list[Tensor]) -> Tensor:
        return parts[0] if len(parts) == 1 else torch.stack(parts).sum(0)
