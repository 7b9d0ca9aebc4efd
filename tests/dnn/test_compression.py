"""Removal of embeddings keeps the rest, and keeps them learning."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from phyemu.channel import Awgn
from phyemu.dnn import (
    LearnedConstellation,
    Lookup,
    LossWeights,
    Normalise,
    PhyDnn,
    ResNetConfig,
    Score,
    assignment_cost,
    carry_optimizer,
    least_used,
    noiseless_link,
    remove_embeddings,
    resnet,
    task_loss,
    total_loss,
    usage_counts,
)
from phyemu.errors import ConfigError
from phyemu.link import SymbolLink
from phyemu.waveform import FrameFormat, psk


def _psk(order: int) -> Tensor:
    return torch.polar(torch.ones(order), 2 * math.pi * torch.arange(order) / order)


def _sixteen(generator: torch.Generator, **settings: Any) -> PhyDnn:
    """Return a small PhyDNN with 16 embeddings of each codebook."""
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    return PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=16,
        generator=generator,
        **settings,
    )


@pytest.fixture
def model(generator: torch.Generator) -> PhyDnn:
    model = _sixteen(generator)
    model.embedding.score_scale.fill_(0.7)
    return model


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=generator)


def _step(
    model: PhyDnn,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    generator: torch.Generator,
) -> None:
    output = model(images, noiseless_link, generator)
    labels = torch.arange(len(images)) % 5
    optimizer.zero_grad()
    total_loss(output, labels, LossWeights(beta=1e-3), embedding=model.embedding).total.backward()
    optimizer.step()


def test_usage_is_counted_over_all_images_in_evaluation_mode(model: PhyDnn, images: Tensor) -> None:
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    counts = usage_counts(model, images.split(4))
    assert int(counts.sum()) == 6 * 64
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()
    symbols = model.encode(images)
    assert counts.tolist() == [[int((symbols == m).sum()) for m in range(16)]]


def test_the_least_used_are_found_ties_to_the_lower_symbol() -> None:
    counts = torch.tensor([5, 0, 7, 2, 0, 2])
    assert least_used(counts, 3).tolist() == [1, 3, 4]
    assert least_used(counts, 0).tolist() == []


def test_the_schedule_of_the_paper_keeps_weights_score_and_scale(
    model: PhyDnn, images: Tensor
) -> None:
    for order in (8, 4):
        old = model.embedding.vectors.detach().clone()
        counts = usage_counts(model, [images])
        removed = least_used(counts, len(old) - order)
        removal = remove_embeddings(model, removed, points=_psk(order), seed=0)
        assert removal.model.embedding.num_embeddings == order
        assert torch.equal(removal.model.embedding.vectors, old[removal.kept])
        assert not set(removal.kept.tolist()) & set(removed.flatten().tolist())
        assert removal.model.embedding.score is Score.DISTANCE
        assert float(removal.model.embedding.score_scale) == pytest.approx(0.7)
        assert removal.model.head is model.head
        assert removal.model.tail is model.tail
        assert len(model.embedding.vectors) == len(old)  # the model before is as it was
        model = removal.model
    assert assignment_cost(model.embedding.vectors, _psk(4)) <= min(
        assignment_cost(model.embedding.vectors[[0, *rest]], _psk(4))
        for rest in ([1, 2, 3], [1, 3, 2], [2, 1, 3])
    ) * (1 + 1e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.Adam(parameters, lr=0.01),
        lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9),
    ],
)
def test_one_step_after_a_removal_changes_the_embedding(
    make: object, model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    assert callable(make)
    optimizer = make(
        [
            {"params": list(model.backbone_parameters()), "lr": 0.001},
            {"params": [model.embedding.vectors]},
        ]
    )
    _step(model, optimizer, images, generator)
    old_state = {
        key: value.clone()
        for key, value in optimizer.state[model.embedding.vectors].items()
        if isinstance(value, Tensor)
    }
    removal = remove_embeddings(model, torch.arange(8), points=_psk(8), seed=0)
    carry_optimizer(optimizer, removal)
    vectors = removal.model.embedding.vectors
    for key, value in optimizer.state[vectors].items():
        if value is not None and value.shape == vectors.shape:
            assert torch.equal(value, old_state[key][removal.kept])
    assert removal.old_vectors not in optimizer.state
    before = vectors.detach().clone()
    _step(removal.model, optimizer, images, generator)
    assert not torch.equal(before, vectors)
    optimizer.state_dict()  # every parameter of a group is known


def test_what_is_learned_of_modem_begins_anew_and_keeps_learning(
    images: Tensor, generator: torch.Generator
) -> None:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    model = PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=16,
        generator=generator,
        lookup=Lookup.LEARNED,
        constellation=LearnedConstellation(psk(16)),
    )
    optimizer = torch.optim.Adam(
        [
            {"params": list(model.dictionary_parameters()), "lr": 0.01},
            {"params": list(model.backbone_parameters())},
        ]
    )
    link = SymbolLink(Awgn(6.0), psk(16), FrameFormat())

    def train(model: PhyDnn) -> dict[str, bool]:
        before = {name: value.detach().clone() for name, value in model.named_parameters()}
        for _ in range(2):  # the correction begins at 0: its first layer moves at the second step
            assert model.constellation is not None
            link.constellation = model.constellation()
            output = model(images, link, generator, lookup=Lookup.LEARNED)
            loss = task_loss(output.logits, torch.arange(len(images)) % 5)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return {
            name: not torch.equal(before[name], value) for name, value in model.named_parameters()
        }

    moved = train(model)
    assert all(moved[name] for name in moved if "embedding" in name or "constellation" in name)
    removal = remove_embeddings(model, torch.arange(8), points=psk(8).points, seed=0)
    carry_optimizer(optimizer, removal)
    after = removal.model
    assert after.constellation is not None
    torch.testing.assert_close(after.constellation().points, psk(8).points)
    names = {name for name, _ in model.named_parameters()}
    assert {name for name, _ in after.named_parameters()} == names
    moved = train(after)
    assert all(moved[name] for name in moved if "embedding" in name or "constellation" in name)
    gone = set(model.dictionary_parameters()) & set(optimizer.state)
    assert not gone


def test_a_frozen_embedding_stays_frozen(model: PhyDnn) -> None:
    model.embedding.vectors.requires_grad_(False)
    removal = remove_embeddings(model, torch.arange(8), points=_psk(8), seed=0)
    assert not removal.model.embedding.vectors.requires_grad


def test_what_cannot_be_removed_is_refused(model: PhyDnn) -> None:
    with pytest.raises(ConfigError, match="at least 2 must stay"):
        least_used(torch.ones(4), 3)
    with pytest.raises(
        ConfigError, match=r"distinct embeddings in 0\.\.15 of each codebook, got \[16\]"
    ):
        remove_embeddings(model, torch.tensor([16]), points=_psk(15), seed=0)
    with pytest.raises(ConfigError, match="distinct"):
        remove_embeddings(model, torch.tensor([1, 1]), points=_psk(14), seed=0)
    with pytest.raises(
        ConfigError, match="15 embeddings are left, 1 symbols each, but there are 8 points"
    ):
        remove_embeddings(model, torch.tensor([1]), points=_psk(8), seed=0)
    removal = remove_embeddings(model, torch.arange(8), points=_psk(8), seed=0)
    other = torch.optim.SGD(model.head.parameters(), lr=0.1)
    with pytest.raises(ConfigError, match="does not train the embeddings"):
        carry_optimizer(other, removal)


def test_pairs_of_symbols_become_single_ones_at_a_removal(
    images: Tensor, generator: torch.Generator
) -> None:
    model = _sixteen(generator, symbols_per_slice=2)
    assert model.symbols_per_image == 128
    counts = usage_counts(model, [images])
    assert counts.shape == (1, 16)
    assert int(counts.sum()) == 6 * 64  # embeddings are counted, not symbols
    pairs = remove_embeddings(
        model, least_used(counts, 7), points=_psk(3), seed=0, symbols_per_slice=2
    ).model
    assert (pairs.embedding.order, pairs.symbols_per_image) == (3, 128)
    single = remove_embeddings(model, least_used(counts, 8), points=_psk(8), seed=0).model
    assert (single.embedding.order, single.symbols_per_image) == (8, 64)
    with pytest.raises(ConfigError, match="8 embeddings cannot be sent as 2 symbols"):
        remove_embeddings(model, torch.arange(8), points=_psk(8), seed=0, symbols_per_slice=2)


def test_each_codebook_loses_its_own_least_used(images: Tensor, generator: torch.Generator) -> None:
    model = _sixteen(generator, symbols_per_slice=4, slice_size=(2, 2), num_codebooks=2)
    assert (model.embedding.dim, model.symbols_per_image) == (16, 64)
    model.eval()
    chosen = model.embedding.likeliest(model.slices(images)).chunk(2, -1)
    counts = usage_counts(model, images.split(4))
    assert counts.tolist() == [[int((rows == m).sum()) for m in range(16)] for rows in chosen]
    removed = least_used(counts, 12)
    removal = remove_embeddings(model, removed, points=_psk(4), seed=0, symbols_per_slice=2)
    first, second = removal.kept.chunk(2)
    assert set(first.tolist()) == set(range(16)) - set(removed[0].tolist())
    assert {m - 16 for m in second.tolist()} == set(range(16)) - set(removed[1].tolist())
    after = removal.model.embedding
    assert torch.equal(after.vectors, model.embedding.vectors[removal.kept])
    assert (after.num_codebooks, after.order, removal.model.symbols_per_image) == (2, 4, 32)
    optimizer = torch.optim.Adam(model.parameters())
    _step(model, optimizer, images, generator)
    moments = optimizer.state[model.embedding.vectors]["exp_avg"].clone()
    carry_optimizer(optimizer, removal)
    assert torch.equal(optimizer.state[after.vectors]["exp_avg"], moments[removal.kept])
