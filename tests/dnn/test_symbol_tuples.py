"""Embeddings as tuples of channel symbols, and back."""

import itertools
import math

import pytest
import torch

from phyemu.dnn import (
    Embedding,
    Lookup,
    assign_to_constellation,
    assignment_cost,
    channel_order,
    joint_posteriors,
    split_indices,
    split_probabilities,
)
from phyemu.dnn.symbol_tuples import codebook_size, messages_per_position, tuple_points
from phyemu.errors import ConfigError, SignalError


def _psk(order: int) -> torch.Tensor:
    return torch.polar(torch.ones(order), 2 * math.pi * torch.arange(order) / order)


def test_the_order_of_the_modulation_is_the_root() -> None:
    assert [channel_order(m, u) for m, u in ((16, 1), (16, 2), (16, 4), (8, 3), (81, 2))] == [
        16, 4, 2, 2, 9,
    ]  # fmt: skip
    for m, u in ((8, 2), (2, 2), (16, 3)):
        with pytest.raises(ConfigError, match=f"{m} embeddings cannot be sent as {u} symbols"):
            channel_order(m, u)
    with pytest.raises(ConfigError, match="symbols_per_slice must be at least 1, got 0"):
        channel_order(4, 0)


def test_roots_are_exact_however_many_messages_there_are() -> None:
    assert codebook_size(16, 400, 200) == 256
    assert codebook_size(10**30, 1, 10) == 1000
    assert messages_per_position(4, 4, 64) == 4**16
    assert messages_per_position(8, 2, 4) == 64
    assert channel_order(3**40, 40) == 3
    with pytest.raises(ConfigError, match=r"16\^401 messages a slice, which are no 200 codebooks"):
        codebook_size(16, 401, 200)
    for num_codebooks in (512, 10**12):
        with pytest.raises(ConfigError, match="at most 64 bits"):
            messages_per_position(4, 4, num_codebooks)
    with pytest.raises(ConfigError, match="no whole number"):
        messages_per_position(8, 2, 1)
    with pytest.raises(ConfigError, match="cannot be sent as 2 symbols"):
        channel_order(10**400 + 1, 2)


@pytest.mark.parametrize(("order", "u"), [(4, 2), (2, 4), (3, 3), (8, 1)])
def test_digits_are_those_of_counting(order: int, u: int) -> None:
    tuples = list(itertools.product(range(order), repeat=u))
    indices = torch.arange(order**u)
    symbols = split_indices(indices, order, u)
    assert symbols.reshape(-1, u).tolist() == [list(digits) for digits in tuples]
    one_hot = torch.nn.functional.one_hot(indices).float()
    on_air = split_probabilities(one_hot, u)
    assert torch.equal(on_air, torch.nn.functional.one_hot(symbols, order).float())
    assert torch.equal(joint_posteriors(on_air, u), one_hot)
    points = _psk(order)
    places = tuple_points(points, u)
    assert places.shape == (order**u, u)
    assert torch.equal(places.flatten(), points[symbols])


def test_marginals_and_products_are_those_of_naive_sums(generator: torch.Generator) -> None:
    joint = torch.rand(2, 3, 8, generator=generator).softmax(-1)
    marginals = split_probabilities(joint, 3)  # (2, 9, 2)
    for digit in range(3):
        for value in range(2):
            members = [m for m in range(8) if (m >> (2 - digit)) & 1 == value]
            expected = joint[:, :, members].sum(-1)
            torch.testing.assert_close(marginals[:, digit::3, value], expected)
    again = joint_posteriors(marginals, 3)
    for m, digits in enumerate(itertools.product(range(2), repeat=3)):
        expected = math.prod(marginals[:, d::3, value] for d, value in enumerate(digits))
        torch.testing.assert_close(again[..., m], expected)


def test_gradients_pass_both_ways() -> None:
    probabilities = torch.rand(1, 2, 9, dtype=torch.float64).softmax(-1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: split_probabilities(p, 2), probabilities)
    posteriors = torch.rand(1, 4, 3, dtype=torch.float64).softmax(-1).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: joint_posteriors(p, 2), posteriors)


def test_a_symbol_too_few_is_refused() -> None:
    with pytest.raises(SignalError, match="a multiple of 2"):
        joint_posteriors(torch.ones(1, 3, 4) / 4, 2)


@pytest.mark.parametrize("lookup", [Lookup.HARD, Lookup.SOFT])
def test_what_is_encoded_is_looked_up(lookup: Lookup, generator: torch.Generator) -> None:
    embedding = Embedding(torch.randn(16, 3, generator=generator), symbols_per_slice=2)
    assert (embedding.num_embeddings, embedding.order) == (16, 4)
    slices = torch.randn(2, 5, 3, generator=generator)
    symbols = embedding.encode(slices)
    assert symbols.shape == (2, 10)
    posteriors = torch.nn.functional.one_hot(symbols, 4).float()
    expected = embedding.vectors[embedding.likeliest(slices)]
    torch.testing.assert_close(embedding.lookup(posteriors, lookup), expected)


@pytest.mark.parametrize("lookup", [Lookup.HARD, Lookup.SOFT])
def test_half_a_tuple_leaves_the_mean_of_those_it_may_be(
    lookup: Lookup, generator: torch.Generator
) -> None:
    embedding = Embedding(torch.randn(16, 3, generator=generator), symbols_per_slice=2)
    lost = torch.full((4,), 0.25)
    known = torch.tensor([0.0, 0.0, 1.0, 0.0])
    second_lost = embedding.lookup(torch.stack([known, lost])[None], lookup)
    torch.testing.assert_close(second_lost[0, 0], embedding.vectors[8:12].mean(0))
    first_lost = embedding.lookup(torch.stack([lost, known])[None], lookup)
    torch.testing.assert_close(first_lost[0, 0], embedding.vectors[2::4].mean(0))
    both_lost = embedding.lookup(torch.stack([lost, lost])[None], lookup)
    torch.testing.assert_close(both_lost[0, 0], embedding.vectors.mean(0))


def test_embeddings_on_a_product_of_rings_find_back(generator: torch.Generator) -> None:
    places = tuple_points(_psk(4), 2)
    vectors = torch.view_as_real(places).flatten(1)
    shuffled = vectors[torch.randperm(16, generator=generator)]
    chosen = assign_to_constellation(shuffled, places, seed=0)
    assert assignment_cost(shuffled[chosen], places) == pytest.approx(
        assignment_cost(vectors, places)
    )
    # 32 pairs of nearest tuples, |difference|^2 = 2; next-nearest count exp(-4) of theirs.
    nearest = [
        (a, b)
        for a, b in itertools.combinations(range(16), 2)
        if float((places[a] - places[b]).abs().square().sum()) < 2.1
    ]
    assert len(nearest) == 32
