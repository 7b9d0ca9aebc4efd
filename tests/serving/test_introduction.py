"""Heads that introduce themselves, through noise, and to tails of others."""

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from phyemu.dnn import ArtefactCard
from phyemu.evaluation import ExportedPhyDnn
from phyemu.serving import Partner, introduction_symbols, recognise
from phyemu.serving.introduction import introduced_order, introduction_length


def card_of(phydnn: ExportedPhyDnn, order: int, name: str) -> ArtefactCard:
    return dataclasses.replace(
        phydnn.tail.card,
        num_embeddings=order,
        constellation={"name": "custom", "order": order, "points": [[1.0, 0.0]] * order},
        embedding_sha256=hashlib.sha256(name.encode()).hexdigest(),
    )


def through(symbols: NDArray[np.int64], order: int, doubt: float, seed: int) -> NDArray[np.float32]:
    """Return posteriors of symbols of which a share `doubt` arrives as another."""
    generator = np.random.default_rng(seed)
    wrong = generator.random(len(symbols)) < doubt
    heard = np.where(wrong, generator.integers(0, order, len(symbols)), symbols)
    rows = np.full((len(symbols), order), (doubt + 1e-3) / order, np.float32)
    rows[np.arange(len(symbols)), heard] += 1 - doubt
    return rows / rows.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("order", [2, 3, 4, 8, 16])
@pytest.mark.parametrize("doubt", [0.0, 0.1, 0.25])
def test_a_head_is_known_by_its_tail_and_by_no_other(
    order: int, doubt: float, phydnn: ExportedPhyDnn
) -> None:
    head = card_of(phydnn, order, "one")
    symbols = introduction_symbols(head).numpy()
    assert len(symbols) == introduction_length(order)
    assert symbols.max() < order
    for seed in range(5):
        posteriors = through(symbols, order, doubt, seed)
        assert recognise(head, posteriors) is Partner.OURS
        assert recognise(card_of(phydnn, order, f"other {seed}"), posteriors) is Partner.OTHER


@given(order=st.sampled_from([2, 4, 8, 16]), seed=st.integers(0, 1000))
def test_noise_alone_is_taken_for_nobody(order: int, seed: int, phydnn: ExportedPhyDnn) -> None:
    card = card_of(phydnn, order, "one")
    noise = np.random.default_rng(seed).dirichlet(np.full(order, 50.0), introduction_length(order))
    assert recognise(card, noise.astype(np.float32)) is Partner.UNREADABLE


@pytest.mark.parametrize("order", [2, 4, 8, 16, 32])
def test_the_length_tells_the_order(order: int) -> None:
    assert introduced_order(introduction_length(order)) == order


def test_other_lengths_tell_of_no_order() -> None:
    assert [introduced_order(length) for length in (0, 3, 4 * 63, 4 * 1000)] == [0, 0, 0, 0]
