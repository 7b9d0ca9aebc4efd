"""Which embedding goes to which constellation point, or tuple of points (paper, Sec. III-B).

A symbol error takes a point for a near one, so near points should hold near embeddings:

    minimise  sum over pairs of points a < b of  w_ab |e_a - e_b|^2

with w_ab = 1 for nearest neighbours and falling fast beyond. Where u symbols stand for an
embedding, a and b are tuples of u points, at their distance in C^u. On a PSK ring only the
neighbours count, and the minimum is the shortest round trip through the embeddings: solved exactly
up to 16 points (Held and Karp, doi:10.1137/0110015). Any other constellation is a quadratic
assignment problem: pairwise exchange from many random starts.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phyemu.errors import ConfigError

__all__ = ["assign_to_constellation", "assignment_cost"]

_EXACT_ORDER = 16  # 2^15 * 15 table entries; a tenth of a second
_NUM_STARTS = 64  # of 16 points; of more fewer, as each takes longer by the third power
_WEIGHT_DECAY = 4.0  # a QAM diagonal, twice the squared distance, counts exp(-4)
_WEIGHT_FLOOR = 0.01


def assignment_cost(vectors: Tensor, points: Tensor) -> float:
    """Return the weighted sum of |e_a - e_b|^2 with row m of `vectors` on point m.

    Args:
        vectors: (M, D), floating point.
        points: (M,), or (M, u) of tuples, complex, distinct.

    Raises:
        ConfigError: The numbers of embeddings and points differ, or two points coincide.
    """
    weights, distances = _matrices(vectors, points)
    return float((weights * distances).sum() / 2)


def assign_to_constellation(vectors: Tensor, points: Tensor, *, seed: int) -> Tensor:
    """Return the row of `vectors` for each point, (M,) int64, so that the cost is small.

    `vectors[order]` has close embeddings on adjacent points.

    Args:
        vectors: (M, D), floating point.
        points: (M,), or (M, u) of tuples, complex, distinct.
        seed: Of the random starts where the solution is a search.

    Raises:
        ConfigError: The numbers of embeddings and points differ, or two points coincide.
    """
    weights, distances = _matrices(vectors, points)
    ring = _ring(points)
    if ring is not None and 3 < len(ring) <= _EXACT_ORDER:
        order = np.empty(len(ring), dtype=np.int64)
        order[ring] = _shortest_round_trip(distances)
    else:
        order = _pairwise_exchange(weights, distances, np.random.default_rng(seed))
    return torch.from_numpy(order).to(vectors.device)


def _matrices(vectors: Tensor, points: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return w_ab of the points and |e_a - e_b|^2 of the embeddings, both (M, M)."""
    if vectors.ndim != 2 or points.ndim not in (1, 2) or len(points) != len(vectors):
        raise ConfigError(
            f"need one point an embedding, got {tuple(vectors.shape)} embeddings and "
            f"{tuple(points.shape)} points"
        )
    embeddings = vectors.detach().double().cpu()
    distances = torch.cdist(embeddings, embeddings).square().numpy()
    places = points.detach().to(torch.complex128).cpu().numpy()
    places = places.reshape(len(places), -1)
    spacing = (np.abs(places[:, None] - places[None, :]) ** 2).sum(-1)
    np.fill_diagonal(spacing, np.inf)
    nearest = spacing.min()
    if not nearest > 0:
        raise ConfigError("two constellation points coincide")
    weights = np.exp(-_WEIGHT_DECAY * (spacing / nearest - 1))
    weights[weights < _WEIGHT_FLOOR] = 0
    return weights, distances


def _ring(points: Tensor) -> NDArray[np.int64] | None:
    """Return the points in order of angle where they are equally spaced on a circle, else None."""
    if points.ndim == 2 and points.shape[1] > 1:
        return None
    places = points.detach().to(torch.complex128).cpu().numpy().ravel()
    order = np.argsort(np.angle(places))
    steps = np.roll(places[order], -1) / places[order]
    even = np.exp(2j * np.pi / len(places))
    return order if np.allclose(steps, even, atol=1e-4) else None


def _shortest_round_trip(distances: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the cities of the shortest round trip, (M,), by dynamic programming over subsets.

    best[mask, j]: length of the shortest path from the last city through all of `mask`, ending
    in city j of `mask`. All masks of one size are done at once.
    """
    num_free = len(distances) - 1
    between, from_last = distances[:num_free, :num_free], distances[num_free, :num_free]
    masks = np.arange(1 << num_free)
    best = np.full((1 << num_free, num_free), np.inf)
    previous = np.zeros((1 << num_free, num_free), dtype=np.int8)
    cities = np.arange(num_free)
    sizes = (masks[:, None] >> cities & 1).sum(1)
    best[1 << cities, cities] = from_last
    for size in range(1, num_free):
        current = masks[sizes == size]
        lengths = best[current][:, :, None] + between[None]  # (mask, from, to)
        origin = lengths.argmin(1)
        shortest = lengths.min(1)
        for following in range(num_free):
            free = (current >> following & 1) == 0
            grown = current[free] | 1 << following
            best[grown, following] = shortest[free, following]
            previous[grown, following] = origin[free, following]
    mask: int = (1 << num_free) - 1
    city: int = int((best[mask] + from_last).argmin())
    trip = [num_free]
    while mask:
        trip.append(city)
        before = int(previous[mask, city])
        mask, city = mask & ~(1 << city), before
    return np.array(trip, dtype=np.int64)


def _pairwise_exchange(
    weights: NDArray[np.float64], distances: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the best of many local minima under exchanges of two embeddings."""
    num_points = len(weights)
    best_order, best_cost = np.arange(num_points), np.inf
    for _ in range(max(1, _NUM_STARTS * _EXACT_ORDER**2 // num_points**2)):
        order = rng.permutation(num_points)
        while True:
            placed = distances[np.ix_(order, order)]
            # Change of the cost for each exchange r <-> s, all at once:
            # sum over k not r, s of (w_rk - w_sk) (d_sk - d_rk).
            product = weights @ placed
            own = np.diag(product)
            change = product + product.T - own[:, None] - own[None, :] + 2 * weights * placed
            r, s = np.unravel_index(change.argmin(), change.shape)
            if change[r, s] >= -1e-9 * (1 + abs(own).max()):
                break
            order[[r, s]] = order[[s, r]]
        cost = float((weights * distances[np.ix_(order, order)]).sum())
        if cost < best_cost:
            best_order, best_cost = order, cost
    return best_order
