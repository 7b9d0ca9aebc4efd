"""The learned demapper begins as the soft lookup, and learns what that cannot know."""

import pytest
import torch

from phyemu.dnn import Demapper, Embedding, Lookup
from phyemu.errors import ConfigError
from phyemu.waveform import modulate, psk, symbol_posteriors


def _embedding(num_embeddings: int, symbols_per_slice: int = 1) -> Embedding:
    generator = torch.Generator().manual_seed(4)
    order = round(num_embeddings ** (1 / symbols_per_slice))
    return Embedding(
        torch.randn(num_embeddings, 3, generator=generator),
        symbols_per_slice=symbols_per_slice,
        demapper=Demapper(order, symbols_per_slice, generator=generator),
    )


def _received(symbols: torch.Tensor, order: int, seed: int) -> torch.Tensor:
    """Return posteriors of M-PSK at 4 dB."""
    generator = torch.Generator().manual_seed(seed)
    points = modulate(symbols, psk(order))
    variance = 10**-0.4
    noise = torch.empty_like(points).normal_(generator=generator)
    return symbol_posteriors(points + variance**0.5 * noise, psk(order), noise_variance=variance)


@pytest.mark.parametrize(("num_embeddings", "u"), [(4, 1), (16, 2), (16, 4)])
def test_untrained_it_is_the_soft_lookup(
    num_embeddings: int, u: int, generator: torch.Generator
) -> None:
    embedding = _embedding(num_embeddings, u)
    symbols = torch.randint(embedding.order, (3, 5 * u), generator=generator)
    posteriors = _received(symbols, embedding.order, seed=1)
    torch.testing.assert_close(
        embedding.lookup(posteriors, Lookup.LEARNED),
        embedding.lookup(posteriors, Lookup.SOFT),
        atol=1e-5,
        rtol=1e-4,
    )


def test_it_learns_that_some_embeddings_are_sent_more_often() -> None:
    """The best estimate knows the prior: Bayes' rule, computed here, is the oracle."""
    embedding = _embedding(4)
    embedding.vectors.requires_grad_(False)
    prior = torch.tensor([0.85, 0.05, 0.05, 0.05])
    draws = torch.multinomial(
        prior, 4000, replacement=True, generator=torch.Generator().manual_seed(1)
    )[None]
    posteriors = _received(draws, 4, seed=2)
    sent = embedding.vectors[draws]
    bayes = posteriors * prior
    bayes = (bayes / bayes.sum(-1, keepdim=True)) @ embedding.vectors

    def error(found: torch.Tensor) -> float:
        return float((found.detach() - sent).square().mean())

    demapper = embedding.demapper
    assert demapper is not None
    optimizer = torch.optim.Adam(demapper.parameters(), lr=0.02)
    for _ in range(100):
        loss = (embedding.lookup(posteriors, Lookup.LEARNED) - sent).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    soft = error(embedding.lookup(posteriors, Lookup.SOFT))
    learned = error(embedding.lookup(posteriors, Lookup.LEARNED))
    gain, best = soft - learned, soft - error(bayes)
    assert best > 0
    assert gain > 0.9 * best


@pytest.mark.parametrize("u", [1, 2])
def test_a_lost_symbol_is_not_corrected(u: int, generator: torch.Generator) -> None:
    embedding = _embedding(4**u, u)
    demapper = embedding.demapper
    assert demapper is not None
    torch.nn.init.normal_(demapper.output.weight, generator=generator)
    torch.nn.init.normal_(demapper.output.bias, generator=generator)
    posteriors = _received(torch.randint(4, (2, 3 * u), generator=generator), 4, seed=1)
    posteriors[0, 0] = 0.25
    learned = embedding.lookup(posteriors, Lookup.LEARNED)
    soft = embedding.lookup(posteriors, Lookup.SOFT)
    torch.testing.assert_close(learned[0, 0], soft[0, 0], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(learned[0, 1], soft[0, 1], atol=1e-2)


def test_certain_and_impossible_symbols_have_finite_gradients() -> None:
    embedding = _embedding(16, 4)
    posteriors = torch.nn.functional.one_hot(torch.tensor([[0, 1, 1, 0]]), 2).float()
    posteriors.requires_grad_()
    embedding.lookup(posteriors, Lookup.LEARNED).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in embedding.parameters() if p.grad is not None)
    assert posteriors.grad is not None
    assert bool(posteriors.grad.isfinite().all())


def test_a_dictionary_without_a_demapper_says_so() -> None:
    with pytest.raises(ConfigError, match="no learned demapper here"):
        Embedding(torch.randn(4, 2)).lookup(torch.full((1, 4), 0.25), Lookup.LEARNED)
