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


def two_codebooks(generator: torch.Generator) -> Embedding:
    """Return two codebooks of 16 embeddings of length 3, each sent as two symbols of QPSK."""
    vectors = torch.randn((32, 3), generator=generator)
    vectors[16:] *= 0.4
    return Embedding(vectors, score_scale=(0.5, 2.0), symbols_per_slice=4, num_codebooks=2)


def test_a_second_codebook_tells_what_the_first_leaves(generator: torch.Generator) -> None:
    embedding = two_codebooks(generator)
    assert (embedding.num_embeddings, embedding.order, embedding.symbols_per_choice) == (16, 4, 2)
    slices = torch.randn((5, 7, 3), generator=generator)
    first, second = embedding.vectors.detach().split(16)
    a = (slices[..., None, :] - first).square().sum(-1).argmin(-1)
    rest = slices - first[a]
    b = (rest[..., None, :] - second).square().sum(-1).argmin(-1)
    chosen = embedding.likeliest(slices)
    assert torch.equal(chosen, torch.cat([a, b], -1))  # book after book
    torch.testing.assert_close(embedding.slices_of(chosen), first[a] + second[b])
    expected = [
        (-scale * (values[..., None, :] - book).square().sum(-1)).log_softmax(-1)
        for scale, values, book in ((0.5, slices, first), (2.0, rest, second))
    ]
    torch.testing.assert_close(embedding.log_probabilities(slices), torch.cat(expected, -2))


def test_what_the_first_codebook_leaves_says_nothing_to_it(generator: torch.Generator) -> None:
    embedding = two_codebooks(generator)
    slices = torch.randn((5, 7, 3), generator=generator)
    weights = torch.randn((5, 7, 16), generator=generator)
    further = embedding.log_probabilities(slices)[:, 7:]
    (gradient,) = torch.autograd.grad((further * weights).sum(), embedding.vectors)
    first, second = gradient.split(16)
    assert not bool(first.any())
    assert bool(second.any())


def test_slices_of_two_codebooks_go_through_a_link_without_errors(
    generator: torch.Generator,
) -> None:
    embedding = two_codebooks(generator)
    slices = torch.randn((5, 7, 3), generator=generator)
    symbols = embedding.encode(slices)
    assert symbols.shape == (5, 28)
    posteriors = embedding.as_sent(symbols)
    assert torch.equal(posteriors, torch.nn.functional.one_hot(symbols, 4).float())
    expected = embedding.slices_of(embedding.likeliest(slices))
    for mode in (Lookup.HARD, Lookup.SOFT):
        torch.testing.assert_close(embedding.lookup(posteriors, mode), expected)
    # The first symbol of the last slice is lost, in the second codebook.
    posteriors = posteriors.clone()
    posteriors[:, 26] = 0.25
    digit = symbols[:, 27]
    possible = embedding.vectors[16:].detach().reshape(4, 4, 3)[:, digit].mean(0)
    first = embedding.vectors[embedding.likeliest(slices)[:, 6]]
    for mode in (Lookup.HARD, Lookup.SOFT):
        torch.testing.assert_close(embedding.lookup(posteriors, mode)[:, 6], first + possible)


def test_a_decision_is_looked_up_alike_with_and_without_gradients(
    generator: torch.Generator,
) -> None:
    embedding = two_codebooks(generator)
    posteriors = (3 * torch.randn((4, 28, 4), generator=generator)).softmax(-1)
    posteriors[:, ::3] = 0.25
    weights = torch.randn((4, 7, 3), generator=generator)
    found = []
    for learns in (True, False):
        given = posteriors.clone().requires_grad_(learns)
        slices = embedding.lookup(given, Lookup.HARD)
        (gradient,) = torch.autograd.grad((slices * weights).sum(), embedding.vectors)
        found.append((slices.detach(), gradient))
    torch.testing.assert_close(found[0], found[1])


def test_dictionaries_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ConfigError, match="5 embeddings are not 2 equal codebooks"):
        Embedding(torch.randn(5, 3), num_codebooks=2)
    with pytest.raises(ConfigError, match=r"symbols_per_slice must be 2 .* or a multiple, got 3"):
        Embedding(torch.randn(8, 3), num_codebooks=2, symbols_per_slice=3)
    with pytest.raises(ConfigError, match="one number or one a codebook"):
        Embedding(torch.randn(8, 3), num_codebooks=2, symbols_per_slice=2, score_scale=(1, 1, 1))
    with pytest.raises(ConfigError, match="give the score distance"):
        Embedding(
            torch.randn(8, 3),
            num_codebooks=2,
            symbols_per_slice=2,
            score=Score.INNER_PRODUCT,
        )
    with pytest.raises(SignalError, match="symbols must be a multiple of 2, got 27"):
        two_codebooks(torch.Generator()).lookup(torch.full((5, 54, 4), 0.25), Lookup.HARD)
    with pytest.raises(SignalError, match="slices must be"):
        Embedding(torch.randn(8, 3), num_codebooks=2, symbols_per_slice=2).likeliest(torch.zeros(3))
