"""Softmax and argmax over the last dimension, the M symbols, wherever it lies in memory.

Over some ten contiguous values torch's reductions take up to ten times as long as over rows that
lie side by side, so the quantiser keeps (..., num_slices, M) as a view of (..., M, num_slices). For
M = 2 and slices a b c:

    contiguous: a0 a1 b0 b1 c0 c1        symbols in rows: a0 b0 c0 a1 b1 c1

Each function takes either and returns what it was given.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = [
    "argmax_symbol",
    "in_rows",
    "log_softmax",
    "one_hot_like",
    "products_in_rows",
    "softmax",
    "uniform_like",
]

_MANY = 64  # symbols, from which on two more passes over them cost more than they save
_FAR = 1e30  # times the smallest difference of two numbers near 1, still more than any index


def in_rows(values: Tensor) -> bool:
    """Return whether the last dimension is not contiguous and the one before it is."""
    return values.ndim >= 2 and values.stride(-1) != 1 and values.stride(-2) == 1


def products_in_rows(matrix: Tensor, vectors: Tensor, offsets: Tensor | None = None) -> Tensor:
    """Return the product of each row of a matrix and each vector, plus the offset of the row.

    Args:
        matrix: (M, D).
        vectors: (..., num_vectors, D).
        offsets: (M,); None: none.

    Returns:
        (..., num_vectors, M), symbols in rows. (`matmul` would multiply the other way round, and
        copy.)
    """
    if not torch.is_grad_enabled():  # nothing but plain operations, for exports
        return _products(matrix, vectors, offsets)
    products: Tensor = _RowProducts.apply(matrix, vectors, offsets)  # type: ignore[no-untyped-call]
    return products


def _products(matrix: Tensor, vectors: Tensor, offsets: Tensor | None) -> Tensor:
    batch = vectors.reshape(-1, *vectors.shape[-2:])
    factors = matrix.expand(batch.shape[0], -1, -1)
    if offsets is None:
        products = torch.bmm(factors, batch.mT)
    else:
        products = torch.baddbmm(offsets[:, None], factors, batch.mT)
    return products.mT.reshape(*vectors.shape[:-1], matrix.shape[0])


def softmax(logits: Tensor) -> Tensor:
    """Return the softmax over the last dimension."""
    if in_rows(logits):
        return logits.mT.softmax(-2).mT
    return logits.softmax(-1)


def log_softmax(logits: Tensor) -> Tensor:
    """Return the logarithm of the softmax over the last dimension."""
    if in_rows(logits):
        return logits.mT.log_softmax(-2).mT
    return logits.log_softmax(-1)


def argmax_symbol(values: Tensor) -> Tensor:
    """Return the index of the largest value in the last dimension, of equals the first, int64.

    Args:
        values: (..., M), no gradient flows.
    """
    if not in_rows(values):
        return values.argmax(-1)
    rows = values.detach().mT
    num_symbols = rows.shape[-2]
    if num_symbols >= _MANY:
        return rows.max(-2).indices
    # Minus the index where the largest stands, far less elsewhere; then the largest of those.
    minus_index = torch.arange(0, -num_symbols, -1, dtype=rows.dtype, device=rows.device)[:, None]
    below = rows - rows.amax(-2, keepdim=True)
    places = torch.add(minus_index, below, alpha=_FAR)
    return places.amax(-2).neg_().long().clamp_(0, num_symbols - 1)


def one_hot_like(values: Tensor, symbols: Tensor) -> Tensor:
    """Return rows of zeros with a one at each symbol, laid out as `values`.

    Args:
        values: (..., M).
        symbols: (...,) int64.
    """
    return torch.zeros_like(values).scatter_(-1, symbols[..., None], 1.0)


def uniform_like(values: Tensor, generator: torch.Generator) -> Tensor:
    """Return draws from [0, 1), laid out as `values`; `generator` is advanced."""
    return torch.empty_like(values).uniform_(generator=generator)


class _RowProducts(torch.autograd.Function):
    """Gradients of the vectors come back laid out as vectors: feature maps in `channels_last`."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, vectors: Tensor, offsets: Tensor | None) -> Tensor:
        """Return (..., num_vectors, M)."""
        ctx.save_for_backward(matrix, vectors)
        ctx.shifted = offsets is not None
        return _products(matrix, vectors, offsets)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return those of matrix, vectors and offsets."""
        matrix, vectors = ctx.saved_tensors
        gradient = gradients[0].reshape(-1, *gradients[0].shape[-2:])
        batch = vectors.reshape(-1, *vectors.shape[-2:])
        of_matrix = of_vectors = of_offsets = None
        if ctx.needs_input_grad[0]:
            of_matrix = torch.bmm(gradient.mT, batch).sum(0)
        if ctx.needs_input_grad[1]:
            of_vectors = torch.bmm(gradient, matrix.expand(len(batch), -1, -1))
            of_vectors = of_vectors.reshape(vectors.shape)
        if ctx.shifted and ctx.needs_input_grad[2]:
            of_offsets = gradient.sum((0, 1))
        return of_matrix, of_vectors, of_offsets
