"""Fewer embeddings, shorter waveforms: removal of the least used (Algorithm 1, line 17)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from phyemu.errors import ConfigError
from phyemu.waveform import custom_constellation

from .assignment import assign_to_constellation
from .demapper import Demapper
from .embedding import Embedding
from .learned_constellation import LearnedConstellation
from .modes import evaluating
from .phydnn import PhyDnn
from .symbol_tuples import channel_order, tuple_points

__all__ = ["Removal", "carry_optimizer", "least_used", "remove_embeddings", "usage_counts"]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Removal:
    """A PhyDNN with fewer embeddings.

    Attributes:
        model: Shares head and tail with the one before; has a new embedding parameter (and a new
            demapper and new points, where these are learned), which an optimiser must be told of
            (`carry_optimizer`, or make a new one).
        kept: Old embedding of each new one, (num_codebooks * M_new,) int64.
        before: The PhyDNN before.
    """

    model: PhyDnn
    kept: Tensor
    before: PhyDnn

    @property
    def old_vectors(self) -> nn.Parameter:
        """The embeddings that were replaced, (num_codebooks * M_old, D)."""
        return self.before.embedding.vectors


def usage_counts(model: PhyDnn, images: Iterable[Tensor]) -> Tensor:
    """Return how often each embedding is sent for the images, (num_codebooks, M) int64 on the CPU.

    Args:
        model: Evaluated without sampling; its mode is restored.
        images: Batches (batch, channels, height, width), on the device of the model.
    """
    embedding = model.embedding
    size = embedding.num_embeddings
    counts = torch.zeros((embedding.num_codebooks, size), dtype=torch.int64)
    with evaluating(model):
        for batch in images:
            chosen = embedding.likeliest(model.slices(batch)).chunk(embedding.num_codebooks, -1)
            counts += torch.stack(
                [torch.bincount(rows.flatten(), minlength=size).cpu() for rows in chosen]
            )
    return counts


def least_used(counts: Tensor, num_remove: int) -> Tensor:
    """Return the `num_remove` embeddings of each codebook with the lowest counts; ties: the lower.

    Args:
        counts: (num_codebooks, M), of `usage_counts`.
        num_remove: Of each codebook.

    Returns:
        (num_codebooks, num_remove) int64, ascending.

    Raises:
        ConfigError: Fewer than two embeddings would be left.
    """
    size = counts.shape[-1]
    if not 0 <= num_remove <= size - 2:
        raise ConfigError(f"cannot remove {num_remove} of {size} embeddings; at least 2 must stay")
    return torch.argsort(counts, dim=-1, stable=True)[..., :num_remove].sort(-1).values


def remove_embeddings(
    model: PhyDnn, removed: Tensor, *, points: Tensor, seed: int, symbols_per_slice: int = 1
) -> Removal:
    """Return a PhyDNN without the `removed` embeddings, the rest placed anew on `points`.

    A learned constellation begins anew at `points`, a learned demapper at the soft lookup: those
    before were of another order.

    Args:
        model: Left as it is, but head and tail are shared with the result.
        removed: Embeddings to drop, (num_codebooks, num_removed) int64, distinct in each; of one
            codebook (num_removed,) as well.
        points: Constellation of the symbols that the remaining M_new are sent as.
        seed: Of the search for the placement, and of a new demapper.
        symbols_per_slice: u from now on; points then has M_new^(num_codebooks/u) entries.

    Raises:
        ConfigError: `removed` is out of range, or `points` has another number of points, or
            M_new is no u-th power.
    """
    before = model.embedding
    size, old = before.num_embeddings, before.vectors
    stays = torch.ones((before.num_codebooks, size), dtype=torch.bool)
    rows = removed.cpu().reshape(before.num_codebooks, -1)
    if not all(set(row) <= set(range(size)) and len(set(row)) == len(row) for row in rows.tolist()):
        raise ConfigError(
            f"removed must be distinct embeddings in 0..{size - 1} of each codebook, got "
            f"{removed.tolist()}"
        )
    stays.scatter_(1, rows, False)
    num_left = size - rows.shape[1]
    if len(points) != channel_order(num_left, symbols_per_slice, before.num_codebooks):
        raise ConfigError(
            f"{num_left} embeddings are left, {symbols_per_slice} symbols each, but there are "
            f"{len(points)} points"
        )
    share = symbols_per_slice // before.num_codebooks
    places = tuple_points(points, share)
    books = []
    for left in stays.flatten().nonzero().flatten().chunk(before.num_codebooks):
        order = assign_to_constellation(old.detach()[left.to(old.device)], places, seed=seed)
        books.append(left[order.cpu()])
    kept = torch.cat(books)
    demapper, constellation = None, None
    if before.demapper is not None:
        generator = torch.Generator().manual_seed(seed)
        demapper = Demapper(len(points), share, generator=generator).to(old.device)
    if model.constellation is not None:
        constellation = LearnedConstellation(custom_constellation(points)).to(old.device)
    embedding = Embedding(
        old.detach()[kept.to(old.device)],
        score=before.score,
        score_scale=before.score_scale.reshape(-1).tolist(),
        symbols_per_slice=symbols_per_slice,
        num_codebooks=before.num_codebooks,
        demapper=demapper,
    )
    embedding.vectors.requires_grad_(old.requires_grad)
    after = model.with_embedding(embedding, constellation)
    return Removal(model=after, kept=kept, before=model)


def carry_optimizer(optimizer: torch.optim.Optimizer, removal: Removal) -> None:
    """Let the optimiser train the new embeddings, with the moments of the rows that were kept.

    A new demapper and new points take the places of those before, without moments.

    Args:
        optimizer: Changed in place.
        removal: What `remove_embeddings` returned.

    Raises:
        ConfigError: The optimiser did not hold the old embeddings.
    """
    before = list(removal.before.dictionary_parameters())
    after = list(removal.model.dictionary_parameters())
    for old, new in zip(before, after, strict=True):
        _replace(optimizer, old, new)
        state = optimizer.state.pop(old, None)
        if old is removal.old_vectors and state is not None:
            optimizer.state[new] = {
                # Moments have a row an embedding; step counters are scalars.
                key: value[removal.kept.to(value.device)].clone()
                if isinstance(value, Tensor) and value.shape == old.shape
                else value
                for key, value in state.items()
            }


def _replace(optimizer: torch.optim.Optimizer, old: nn.Parameter, new: nn.Parameter) -> None:
    for group in optimizer.param_groups:
        for index, parameter in enumerate(group["params"]):
            if parameter is old:
                group["params"][index] = new
                return
    raise ConfigError("the optimiser does not train the embeddings that were replaced")
