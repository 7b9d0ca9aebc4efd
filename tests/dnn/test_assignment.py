"""Close embeddings come to lie on adjacent points."""

import itertools
import math

import pytest
import torch

from phyemu.dnn import assign_to_constellation, assignment_cost
from phyemu.errors import ConfigError


def _psk(order: int) -> torch.Tensor:
    return torch.polar(torch.ones(order), 2 * math.pi * torch.arange(order) / order)


def _qam(side: int) -> torch.Tensor:
    axis = torch.arange(side) - (side - 1) / 2
    return torch.complex(axis.repeat_interleave(side), axis.repeat(side))


@pytest.mark.parametrize("order", [3, 4, 5, 7])
def test_the_ring_is_as_good_as_the_best_of_all_permutations(
    order: int, generator: torch.Generator
) -> None:
    vectors, points = torch.randn(order, 5, generator=generator), _psk(order)
    best = min(
        assignment_cost(vectors[list(permutation)], points)
        for permutation in itertools.permutations(range(order))
    )
    chosen = assign_to_constellation(vectors, points, seed=0)
    assert sorted(chosen.tolist()) == list(range(order))
    assert assignment_cost(vectors[chosen], points) == pytest.approx(best)


def test_embeddings_on_a_circle_find_back_to_their_ring(generator: torch.Generator) -> None:
    ring = torch.view_as_real(_psk(16))
    shuffled = ring[torch.randperm(16, generator=generator)]
    chosen = assign_to_constellation(shuffled, _psk(16), seed=0)
    # Sixteen steps of the circle: 4 sin^2(pi / 16) each.
    assert assignment_cost(shuffled[chosen], _psk(16)) == pytest.approx(
        64 * math.sin(math.pi / 16) ** 2,
        rel=1e-4,  # float32 points: 1e-6 of their spacing, times 4 in the weights
    )


def test_embeddings_on_a_grid_find_back_to_their_grid(generator: torch.Generator) -> None:
    grid = torch.view_as_real(_qam(4))
    shuffled = grid[torch.randperm(16, generator=generator)]
    chosen = assign_to_constellation(shuffled, _qam(4), seed=0)
    assert assignment_cost(shuffled[chosen], _qam(4)) == pytest.approx(
        assignment_cost(grid, _qam(4))
    )


@pytest.mark.parametrize("points", [_psk(8), _psk(16), _psk(32), _qam(4), _qam(8)])
def test_no_random_assignment_is_as_good(points: torch.Tensor, generator: torch.Generator) -> None:
    vectors = torch.randn(len(points), 16, generator=generator)
    chosen = assign_to_constellation(vectors, points, seed=0)
    ours = assignment_cost(vectors[chosen], points)
    random = [
        assignment_cost(vectors[torch.randperm(len(points), generator=generator)], points)
        for _ in range(300)
    ]
    assert ours < min(random)
    # Independent normal embeddings in 16 dimensions leave little to gain, but a fifth of it.
    assert ours < 0.85 * sum(random) / len(random)


def test_the_same_seed_gives_the_same_assignment(generator: torch.Generator) -> None:
    vectors = torch.randn(16, 8, generator=generator)
    first, again = (assign_to_constellation(vectors, _qam(4), seed=3) for _ in range(2))
    assert torch.equal(first, again)


def test_points_that_coincide_or_are_too_few_are_refused() -> None:
    with pytest.raises(ConfigError, match="coincide"):
        assign_to_constellation(torch.randn(4, 2), torch.zeros(4, dtype=torch.complex64), seed=0)
    with pytest.raises(ConfigError, match="one point an embedding"):
        assign_to_constellation(torch.randn(4, 2), _psk(8), seed=0)
