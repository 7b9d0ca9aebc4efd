"""Several channel symbols for one slice: 16 embeddings as two symbols of QPSK.

Embedding m of M = M_c^u goes on the air as u symbols of a constellation of order M_c, the digits of
m to the base M_c, the leading one first. For M = 16, u = 2, M_c = 4:

    m = 6 = 1 * 4 + 2    symbols (1, 2)

The bits of a slice stay log2(M), the symbols are u times as many and farther apart.
"""

import math

import torch
from torch import Tensor

from phyemu.errors import ConfigError, SignalError

__all__ = [
    "channel_order",
    "codebook_size",
    "joint_posteriors",
    "messages_per_position",
    "split_indices",
    "split_probabilities",
    "tuple_points",
]


_MOST_BITS = 10  # the search for a placement grows with the third power of the embeddings
_MOST_BITS_OF_A_POSITION = 64


def channel_order(num_embeddings: int, symbols_per_slice: int, num_codebooks: int = 1) -> int:
    """Return M_c, the order of the modulation that sends M embeddings as u symbols each.

    Args:
        num_embeddings: M, >= 2.
        symbols_per_slice: u, >= 1.
        num_codebooks: Codebooks that share the u symbols; each has M embeddings.

    Raises:
        ConfigError: u is no multiple of the codebooks, or M no power of their share of it.

    >>> channel_order(16, 2)
    4
    >>> channel_order(256, 8, 2)
    4
    """
    if num_codebooks < 1:
        raise ConfigError(f"num_codebooks must be at least 1, got {num_codebooks}")
    share, left = divmod(symbols_per_slice, num_codebooks)
    if share < 1 or left:
        raise ConfigError(
            f"symbols_per_slice must be {num_codebooks} (one for each codebook) or a multiple, got "
            f"{symbols_per_slice}"
            if num_codebooks > 1
            else f"symbols_per_slice must be at least 1, got {symbols_per_slice}"
        )
    order = _whole_root(num_embeddings, share)
    if order < 2:
        raise ConfigError(
            f"{num_embeddings} embeddings cannot be sent as {share} symbols each: "
            f"there must be {share} equal factors of at least 2"
        )
    return order


def codebook_size(order: int, positions_per_slice: int, num_codebooks: int) -> int:
    """Return the embeddings of each codebook of slices that take as many bytes as M a position.

    Args:
        order: M, >= 2.
        positions_per_slice: p, >= 1: a slice has M^p messages.
        num_codebooks: C, >= 1, of M^(p/C) embeddings each.

    Raises:
        ConfigError: M^p is no C-th power, or one codebook would be too large to be placed.

    >>> codebook_size(16, 4, 2)
    256
    """
    bits = positions_per_slice * math.log2(order) / num_codebooks
    if positions_per_slice > 1 and bits > _MOST_BITS:
        raise ConfigError(
            f"M = {order} for each of {positions_per_slice} positions takes {num_codebooks} "
            f"codebooks of 2^{bits:g} embeddings; give more codebooks, or a smaller slice_size, so "
            f"that there are at most 2^{_MOST_BITS}"
        )
    size = _whole_power(order, positions_per_slice, num_codebooks)
    if size < 2:
        raise ConfigError(
            f"M = {order} for each of {positions_per_slice} positions is "
            f"{order}^{positions_per_slice} messages a slice, which are no {num_codebooks} "
            "codebooks of one size; give another number of codebooks"
        )
    return size


def messages_per_position(num_embeddings: int, positions_per_slice: int, num_codebooks: int) -> int:
    """Return M of `codebook_size`: what each position may say, at as many bytes.

    Raises:
        ConfigError: It is no integer, or above 2^64.

    >>> messages_per_position(256, 4, 2)
    16
    """
    bits = num_codebooks * math.log2(num_embeddings) / positions_per_slice
    order = (
        0
        if bits > _MOST_BITS_OF_A_POSITION
        else _whole_power(num_embeddings, num_codebooks, positions_per_slice)
    )
    if order < 1:
        raise ConfigError(
            f"{num_embeddings}^{num_codebooks} messages for a slice of {positions_per_slice} "
            f"positions are no whole number for each, of at most {_MOST_BITS_OF_A_POSITION} bits"
        )
    return order


def _whole_power(base: int, numerator: int, denominator: int) -> int:
    """Return base^(numerator/denominator) where it is whole, else 0; base^numerator is not made."""
    common = math.gcd(numerator, denominator)
    return int(_whole_root(base, denominator // common) ** (numerator // common))


def _whole_root(value: int, degree: int) -> int:
    """Return the integer >= 2 whose power of that degree is `value`, else 0; exact at any size."""
    if degree >= value.bit_length():  # 2^degree is above
        return 0
    low, high = 2, 1 << -(-value.bit_length() // degree)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if middle**degree >= value else (middle + 1, high)
    return low if low**degree == value else 0


def split_indices(indices: Tensor, order: int, symbols_per_slice: int) -> Tensor:
    """Return the channel symbols of embeddings, (..., num_slices * u) int64.

    Args:
        indices: Of embeddings, (..., num_slices), int64 in [0, M_c^u).
        order: M_c.
        symbols_per_slice: u.
    """
    if symbols_per_slice == 1:
        return indices
    digits = [indices // order**power % order for power in range(symbols_per_slice - 1, -1, -1)]
    return torch.stack(digits, -1).flatten(-2)


def split_probabilities(probabilities: Tensor, symbols_per_slice: int) -> Tensor:
    """Return the probabilities of each channel symbol, (..., num_slices * u, M_c).

    The marginals of the digits: of one-hot rows, one-hot rows. Gradients flow through.

    Args:
        probabilities: Of embeddings, (..., num_slices, M_c^u).
        symbols_per_slice: u.
    """
    if symbols_per_slice == 1:
        return probabilities
    digits = _digits(probabilities, symbols_per_slice)
    every = range(-symbols_per_slice, 0)
    marginals = [digits.sum([axis for axis in every if axis != kept]) for kept in every]
    return torch.stack(marginals, -2).flatten(-3, -2)


def joint_posteriors(posteriors: Tensor, symbols_per_slice: int) -> Tensor:
    """Return the probabilities of embeddings, (..., num_slices, M_c^u).

    The product of those of its u symbols, which the channel disturbs independently. Gradients flow
    through.

    Args:
        posteriors: Of channel symbols, (..., num_slices * u, M_c), rows sum to one.
        symbols_per_slice: u.

    Raises:
        SignalError: The number of symbols is no multiple of u.
    """
    if symbols_per_slice == 1:
        return posteriors
    if posteriors.ndim < 2 or posteriors.shape[-2] % symbols_per_slice:
        raise SignalError(
            f"posteriors must be (..., a multiple of {symbols_per_slice}, M), got "
            f"{tuple(posteriors.shape)}"
        )
    shape = posteriors.shape
    rows = posteriors.reshape(*shape[:-2], -1, symbols_per_slice, shape[-1])
    joint: Tensor = rows[..., 0, :]
    for digit in range(1, symbols_per_slice):
        joint = (joint[..., :, None] * rows[..., digit, None, :]).flatten(-2)
    return joint


def tuple_points(points: Tensor, symbols_per_slice: int) -> Tensor:
    """Return where each embedding lies in the space of u symbols, (M_c^u, u) complex.

    Args:
        points: Of the constellation, (M_c,), complex.
        symbols_per_slice: u.
    """
    grid = torch.cartesian_prod(*[points] * symbols_per_slice)
    return grid.reshape(-1, symbols_per_slice)


def _digits(probabilities: Tensor, symbols_per_slice: int) -> Tensor:
    """Return the last dimension as u dimensions of M_c."""
    order = channel_order(probabilities.shape[-1], symbols_per_slice)
    return probabilities.reshape(*probabilities.shape[:-1], *[order] * symbols_per_slice)
