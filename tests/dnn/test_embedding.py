"""The dictionary: Eq. (2), and the way back."""

import pytest
import torch

from phyemu.dnn import Embedding, Lookup, Score
from phyemu.errors import ConfigError, SignalError


def test_inner_product_scores_are_equation_2(generator: torch.Generator) -> None:
    vectors = torch.randn(4, 3, generator=generator)
    slices = torch.randn(2, 5, 3, generator=generator)
    embedding = Embedding(vectors, score=Score.INNER_PRODUCT)
    probabilities = embedding.probabilities(slices)
    for b in range(2):
        for s in range(5):
            weights = [float(torch.dot(slices[b, s], vectors[m]).exp()) for m in range(4)]
            expected = torch.tensor(weights) / sum(weights)
            torch.testing.assert_close(probabilities[b, s], expected)


def test_distance_scores_prefer_the_nearest_embedding(generator: torch.Generator) -> None:
    vectors = torch.randn(6, 3, generator=generator)
    slices = torch.randn(40, 3, generator=generator)
    embedding = Embedding(vectors, score=Score.DISTANCE, score_scale=0.5)
    squared = (slices[:, None] - vectors[None]).square().sum(-1)
    torch.testing.assert_close(embedding.probabilities(slices), (-0.5 * squared).softmax(-1))
    assert torch.equal(embedding.encode(slices), squared.argmin(-1))


@pytest.mark.parametrize("score", list(Score))
def test_log_probabilities_pass_gradcheck(score: Score, generator: torch.Generator) -> None:
    embedding = Embedding(torch.randn(4, 3, generator=generator), score=score).double()
    slices = torch.randn(2, 3, dtype=torch.float64, generator=generator, requires_grad=True)

    def scores(values: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        swapped = Embedding(vectors, score=score).double()
        del swapped.vectors
        swapped.vectors = vectors  # type: ignore[assignment]
        return swapped.log_probabilities(values)

    assert torch.autograd.gradcheck(scores, (slices, embedding.vectors))


def test_probabilities_are_float32_under_autocast(generator: torch.Generator) -> None:
    embedding = Embedding(torch.randn(4, 3, generator=generator))
    slices = torch.randn(7, 3, generator=generator)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = embedding.probabilities(slices)
        looked_up = embedding.lookup(under, Lookup.SOFT)
    assert under.dtype == looked_up.dtype == torch.float32
    assert torch.equal(under, embedding.probabilities(slices))


def test_hard_lookup_gives_the_likeliest_and_soft_the_mean(generator: torch.Generator) -> None:
    vectors = torch.randn(3, 2, generator=generator)
    embedding = Embedding(vectors)
    posteriors = torch.tensor([[[0.2, 0.7, 0.1]]])
    torch.testing.assert_close(embedding.lookup(posteriors, Lookup.HARD)[0, 0], vectors[1])
    torch.testing.assert_close(
        embedding.lookup(posteriors, Lookup.SOFT)[0, 0],
        0.2 * vectors[0] + 0.7 * vectors[1] + 0.1 * vectors[2],
    )


def test_a_hard_decision_lets_the_gradient_through(generator: torch.Generator) -> None:
    embedding = Embedding(torch.randn(3, 2, generator=generator))
    posteriors = torch.tensor([[0.2, 0.7, 0.1]], requires_grad=True)
    direction = torch.tensor([1.0, -2.0])
    (embedding.lookup(posteriors, Lookup.HARD) @ direction).sum().backward()
    assert posteriors.grad is not None
    torch.testing.assert_close(posteriors.grad[0], embedding.vectors.detach() @ direction)


@pytest.mark.parametrize("mode", [Lookup.HARD, Lookup.SOFT])
def test_a_lost_symbol_becomes_the_mean_embedding(mode: Lookup, generator: torch.Generator) -> None:
    embedding = Embedding(torch.randn(4, 3, generator=generator))
    uniform = torch.full((1, 2, 4), 0.25)
    expected = embedding.vectors.mean(0).expand(1, 2, 3)
    torch.testing.assert_close(embedding.lookup(uniform, mode), expected)


def test_what_does_not_fit_is_refused() -> None:
    embedding = Embedding(torch.zeros(4, 3))
    with pytest.raises(SignalError, match=r"slices must be \(\.\.\., 3\), got \(2, 4\)"):
        embedding.probabilities(torch.zeros(2, 4))
    with pytest.raises(SignalError, match=r"posteriors must be \(\.\.\., 4\), got \(2, 8\)"):
        embedding.lookup(torch.zeros(2, 8), Lookup.HARD)
    with pytest.raises(ConfigError, match="M >= 2"):
        Embedding(torch.zeros(1, 3))
    with pytest.raises(ConfigError, match="finite"):
        Embedding(torch.full((2, 3), torch.nan))
    with pytest.raises(ConfigError, match="score_scale must be positive"):
        Embedding(torch.zeros(2, 3), score_scale=0.0)
