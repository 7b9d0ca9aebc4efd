"""Hard decisions looked up in the dictionary, with straight-through gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from phyemu.errors import SignalError

from .categories import argmax_symbol, in_rows, products_in_rows

__all__ = ["decided_symbols", "hard_lookup", "lookup_tuples"]


def hard_lookup(posteriors: Tensor, vectors: Tensor) -> Tensor:
    """Return the embedding of the largest posterior; the mean where all posteriors are equal.

    Backward it is taken for the product of posteriors and embeddings, but that an embedding learns
    only from the slices that it was chosen for: the decision is one-hot, and its gradient passes
    straight through.

    Args:
        posteriors: (..., M), floating, rows sum to one.
        vectors: The embeddings, (M, D).

    Returns:
        (..., D).
    """
    if not torch.is_grad_enabled():  # nothing but plain operations, for exports
        return _likeliest(posteriors, vectors)[0]
    chosen: Tensor = _HardLookup.apply(posteriors, vectors)  # type: ignore[no-untyped-call]
    return chosen


def decided_symbols(posteriors: Tensor) -> Tensor:
    """Return the likeliest symbols, (...,) int64; M_c where all posteriors (..., M_c) are equal."""
    order = posteriors.shape[-1]
    # Rows sum to one, so the largest entry is 1 / M_c only where all are.
    erased = posteriors.amax(-1) <= (1 + 1e-6) / order
    return torch.where(erased, order, argmax_symbol(posteriors))


def lookup_tuples(symbols: Tensor, vectors: Tensor, symbols_per_choice: int, order: int) -> Tensor:
    """Return the embeddings that tuples of decided symbols stand for; of lost ones, the mean.

    Gradients flow to the embeddings.

    Args:
        symbols: Of `decided_symbols`, (..., num * u).
        vectors: The embeddings, (M_c^u, D).
        symbols_per_choice: u.
        order: M_c.

    Raises:
        SignalError: They are no whole number of tuples.

    Returns:
        (..., num, D): the mean of the embeddings that the symbols of a tuple leave possible.
    """
    if symbols.shape[-1] % symbols_per_choice:
        raise SignalError(
            f"symbols must be a multiple of {symbols_per_choice}, got {symbols.shape[-1]}"
        )
    table = vectors.reshape(*[order] * symbols_per_choice, -1)
    for digit in range(symbols_per_choice):  # each gets a row for "lost"
        table = torch.cat([table, table.mean(digit, keepdim=True)], digit)
    digits = symbols.reshape(*symbols.shape[:-1], -1, symbols_per_choice)
    place = digits[..., 0]
    for digit in range(1, symbols_per_choice):
        place = place * (order + 1) + digits[..., digit]
    return functional.embedding(place, table.flatten(0, -2))


def _likeliest(posteriors: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return the chosen embeddings, and which row of the dictionary each is; M is the mean."""
    symbols = decided_symbols(posteriors)
    table = torch.cat([vectors, vectors.mean(0, keepdim=True)])
    return functional.embedding(symbols, table), symbols


class _HardLookup(torch.autograd.Function):
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
