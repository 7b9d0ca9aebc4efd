"""The embeddings start at the centres of the head's slices."""

import math

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import (
    Embedding,
    Normalise,
    PhyDnn,
    Score,
    SliceLayout,
    assignment_cost,
    start_embeddings,
)
from phyemu.errors import ConfigError

CENTRES = torch.tensor([[0.1, 0.1], [0.9, 0.1], [0.9, 0.9], [0.1, 0.9]])
PSK4 = torch.polar(torch.ones(4), 2 * math.pi * torch.arange(4) / 4)


def _model(num_embeddings: int, score: Score = Score.DISTANCE, *, num_codebooks: int = 1) -> PhyDnn:
    """Return a PhyDNN whose slices are the pixels, two channels each."""
    return PhyDnn(
        normalise=Normalise((0.0, 0.0), (1.0, 1.0)),
        head=nn.Identity(),
        embedding=Embedding(
            torch.randn(num_codebooks * num_embeddings, 2),
            score=score,
            symbols_per_slice=num_codebooks,
            num_codebooks=num_codebooks,
        ),
        tail=nn.Flatten(),
        layout=SliceLayout((2, 8, 8)),
    )


def _images(count: int, spread: float, generator: torch.Generator) -> Tensor:
    """Return images whose pixels scatter about the four centres."""
    which = torch.randint(0, 4, (count, 8, 8), generator=generator)
    pixels = CENTRES[which] + spread * torch.randn((count, 8, 8, 2), generator=generator)
    return pixels.permute(0, 3, 1, 2)


@pytest.mark.parametrize("slices_per_image", [None, 16])
def test_the_centres_are_found_and_placed_round_the_ring(
    slices_per_image: int | None, generator: torch.Generator
) -> None:
    model = _model(4)
    images = _images(200, 0.02, generator)
    start_embeddings(
        model, images.split(50), points=PSK4, seed=0, slices_per_image=slices_per_image
    )
    vectors = model.embedding.vectors.detach()
    nearest = torch.cdist(vectors, CENTRES).min(1)
    assert sorted(nearest.indices.tolist()) == [0, 1, 2, 3]
    # A centre of n slices of spread 0.02 is off by 0.02 / sqrt(n); n is at least 600.
    assert float(nearest.values.max()) < 6 * 0.02 / 600**0.5
    # Round the square, never across: four sides of 0.8.
    assert assignment_cost(vectors, PSK4) == pytest.approx(
        4 * 0.64 + 2 * 1.28 * math.exp(-4), rel=0.02
    )


def test_the_scale_makes_equation_2_the_posterior_of_a_gaussian_mixture(
    generator: torch.Generator,
) -> None:
    model = _model(4)
    start_embeddings(model, _images(200, 0.05, generator).split(50), points=PSK4, seed=0)
    # 12,800 slices of two dimensions: the variance is known to about 1 %.
    assert float(model.embedding.score_scale) == pytest.approx(1 / (2 * 0.05**2), rel=0.05)


def test_inner_product_scores_keep_the_paper_s_scale(generator: torch.Generator) -> None:
    model = _model(4, Score.INNER_PRODUCT)
    start_embeddings(model, [_images(20, 0.05, generator)], points=PSK4, seed=0)
    assert float(model.embedding.score_scale) == 1.0


def test_every_image_counts_not_only_the_first_batches(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phyemu.dnn.clustering._CHUNK", 640)
    model = _model(2)
    early, late = _images(20, 0.01, generator), _images(400, 0.01, generator) + 3.0
    pair = torch.tensor([1, -1], dtype=torch.complex64)
    start_embeddings(model, [early, *late.split(20)], points=pair, seed=0)
    # Both centres have moved to where 95 % of the images are.
    assert float(model.embedding.vectors.detach().max()) > 3.0


def test_the_same_seed_gives_the_same_start_and_training_mode_stays(
    generator: torch.Generator,
) -> None:
    images = _images(50, 0.1, generator)
    vectors = []
    for _ in range(2):
        model = _model(4).train()
        start_embeddings(model, [images], points=PSK4, seed=5, slices_per_image=20)
        assert model.training
        vectors.append(model.embedding.vectors.detach())
    assert torch.equal(vectors[0], vectors[1])


def test_the_statistics_of_the_head_are_used_and_not_moved(generator: torch.Generator) -> None:
    norm = nn.BatchNorm2d(2)
    norm.running_mean += 0.5
    model = PhyDnn(
        normalise=Normalise((0.0, 0.0), (1.0, 1.0)),
        head=norm,
        embedding=Embedding(torch.randn(4, 2)),
        tail=nn.Flatten(),
        layout=SliceLayout((2, 8, 8)),
    ).train()
    before = {name: value.clone() for name, value in norm.named_buffers()}
    images = _images(200, 0.02, generator)
    start_embeddings(model, images.split(50), points=PSK4, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in norm.named_buffers())
    nearest = torch.cdist(model.embedding.vectors.detach(), CENTRES - 0.5).min(1)
    assert float(nearest.values.max()) < 6 * 0.02 / 3000**0.5  # as above, of 3200 slices each


def test_too_little_data_or_points_are_refused(generator: torch.Generator) -> None:
    model = _model(4)
    with pytest.raises(ConfigError, match="needs images, got none"):
        start_embeddings(model, [], points=PSK4, seed=0)
    images = _images(3, 0.1, generator)
    with pytest.raises(ConfigError, match="3 slices are too few for 4"):
        start_embeddings(model, [images], points=PSK4, seed=0, slices_per_image=1)
    with pytest.raises(ConfigError, match="4 symbols need as many points, got 3"):
        start_embeddings(model, [], points=PSK4[:3], seed=0)
    with pytest.raises(ConfigError, match="slices_per_image"):
        start_embeddings(model, [], points=PSK4, seed=0, slices_per_image=0)


def test_a_second_codebook_is_centred_on_what_the_first_leaves(generator: torch.Generator) -> None:
    # Pixels are one of four centres plus one of four small offsets, and scatter.
    offsets = 0.2 * (CENTRES - 0.5)
    model = _model(4, num_codebooks=2)
    which = torch.randint(0, 4, (200, 8, 8), generator=generator)
    pixels = offsets[which].permute(0, 3, 1, 2) + _images(200, 0.012, generator)
    start_embeddings(model, pixels.split(50), points=PSK4, seed=0)
    first, second = model.embedding.vectors.detach().split(4)
    # 3200 slices a centre scatter by 0.08 in each dimension about the first; the second makes up
    # for what the first is off. 6 deviations of such a mean.
    bound = 6 * 0.08 * 2**0.5 / 3000**0.5
    for book, centres in ((first, CENTRES), (second, offsets)):
        nearest = torch.cdist(book, centres).min(1)
        assert sorted(nearest.indices.tolist()) == [0, 1, 2, 3]
        assert float(nearest.values.max()) < bound
    # 1 / (2 v): v is that of offsets and scatter about the first, of the scatter about the second.
    expected = torch.tensor([1 / (2 * (0.08**2 + 0.012**2)), 1 / (2 * 0.012**2)])
    torch.testing.assert_close(model.embedding.score_scale, expected, rtol=0.03, atol=0)


def test_an_iterator_will_not_do_for_two_codebooks(generator: torch.Generator) -> None:
    model = _model(4, num_codebooks=2)
    with pytest.raises(ConfigError, match="k-means needs images"):
        start_embeddings(model, iter(_images(20, 0.02, generator).split(5)), points=PSK4, seed=0)
