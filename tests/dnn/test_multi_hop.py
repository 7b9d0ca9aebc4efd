"""A network on several devices; with one link it is the PhyDNN of two."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from phyemu.dnn import (
    Embedding,
    Estimator,
    LossWeights,
    MultiHopPhyDnn,
    Normalise,
    PhyDnn,
    ResNetConfig,
    evaluating,
    multi_hop_loss,
    noiseless_link,
    resnet,
    start_embeddings,
    total_loss,
    usage_counts,
)
from phyemu.errors import ConfigError

M = 4
NORMALISE = Normalise((0.4,), (0.3,))


def noisy_link(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Return posteriors of a link that errs: one-hot rows with noise; gradients pass."""
    noise = torch.rand(probabilities.shape, generator=generator)
    return (4 * probabilities + 3 * noise).softmax(-1)


@pytest.fixture
def backbone(generator: torch.Generator) -> nn.Module:
    return resnet(ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator)


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (6, 1, 8, 8), dtype=torch.uint8, generator=generator)


def chain(backbone: nn.Module, *splits: str, seed: int = 1) -> MultiHopPhyDnn:
    return MultiHopPhyDnn.from_backbone(
        backbone,
        splits=splits,
        image_shape=(1, 8, 8),
        normalise=NORMALISE,
        num_embeddings=M,
        generator=torch.Generator().manual_seed(seed),
    )


def pair(backbone: nn.Module, split: str) -> PhyDnn:
    return PhyDnn.from_backbone(
        backbone,
        split=split,
        image_shape=(1, 8, 8),
        normalise=NORMALISE,
        num_embeddings=M,
        generator=torch.Generator().manual_seed(1),
    )


def test_one_hop_gives_the_numbers_and_gradients_of_a_phydnn(
    backbone: nn.Module, images: Tensor
) -> None:
    one, two = chain(backbone, "layer2"), pair(backbone, "layer2")
    outputs = [
        one(images, [noisy_link], torch.Generator().manual_seed(3), num_samples=2),
        two(images, noisy_link, torch.Generator().manual_seed(3), num_samples=2),
    ]
    assert torch.equal(outputs[0].logits, outputs[1].logits)
    assert torch.equal(outputs[0].binding_logits, outputs[1].binding_logits)
    assert torch.equal(outputs[0].hops[0].log_probabilities, outputs[1].log_probabilities)
    labels = torch.arange(6) % 5
    weights = LossWeights(beta=1e-2, commitment=0.1, distillation=0.5)
    teacher = torch.randn(6, 5, generator=torch.Generator().manual_seed(4))
    losses = [
        multi_hop_loss(outputs[0], labels, weights, model=one, teacher_logits=teacher),
        total_loss(outputs[1], labels, weights, embedding=two.embedding, teacher_logits=teacher),
    ]
    for ours, theirs in zip(
        losses[0].computed().values(), losses[1].computed().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
    for terms in losses:
        terms.total.backward()
    assert torch.equal(one.embedding_of(0).vectors.grad, two.embedding.vectors.grad)
    gradients = [p.grad for p in one.backbone_parameters()]
    for ours, theirs in zip(gradients, (p.grad for p in two.backbone_parameters()), strict=True):
        assert torch.equal(ours, theirs)
    # The running statistics are moved by the link path alone, in both.
    for name, value in two.tail.state_dict().items():
        assert torch.equal(one.tail.state_dict()[name], value)
    with evaluating(one), evaluating(two):
        found = [
            one.infer(images, [noisy_link], torch.Generator().manual_seed(5)),
            two.infer(images, noisy_link, torch.Generator().manual_seed(5)),
        ]
        assert torch.equal(*found)


def test_without_links_the_parts_are_the_network(backbone: nn.Module, images: Tensor) -> None:
    model = chain(backbone, "layer1", "layer2", "layer3")
    assert [layout.shape for layout in model.layouts] == [(4, 8, 8), (8, 4, 4), (16, 2, 2)]
    assert [model.symbols_of(hop) for hop in range(3)] == [64, 16, 4]
    with evaluating(model), evaluating(backbone):
        expected = backbone(NORMALISE(images))
        torch.testing.assert_close(model.infer_unmodified(images), expected)
    model.train()
    backbone.train()
    output = model(images, [noiseless_link] * 3, torch.Generator().manual_seed(0))
    # The binding path passes by every embedding; batch norms see the batch in both.
    torch.testing.assert_close(output.binding_logits, backbone(NORMALISE(images)))


def test_parts_that_run_apart_infer_as_the_chain_does(backbone: nn.Module, images: Tensor) -> None:
    model = chain(backbone, "layer1", "layer3")
    with evaluating(model):
        generator = torch.Generator().manual_seed(2)
        expected = model.infer(images, [noisy_link, noisy_link], generator)
        generator = torch.Generator().manual_seed(2)
        sent = torch.nn.functional.one_hot(model.encode(images), M).float()
        arrived = noisy_link(sent, generator)
        sent = torch.nn.functional.one_hot(model.relay(0, arrived), M).float()
        logits = model.decode(noisy_link(sent, generator))
    torch.testing.assert_close(logits, expected)


def test_a_step_trains_every_segment_and_every_dictionary(
    backbone: nn.Module, images: Tensor
) -> None:
    model = chain(backbone, "layer1", "layer2")
    output = model(images, [noisy_link] * 2, torch.Generator().manual_seed(0), num_samples=3)
    assert output.logits.shape == (3, 6, 5)
    assert [len(hop.log_probabilities) for hop in output.hops] == [6, 18]
    loss = multi_hop_loss(output, torch.arange(6) % 5, LossWeights(beta=1e-3), model=model)
    loss.total.backward()
    for part in (*model.segments, *model.embeddings):
        gradients = [p.grad for p in part.parameters()]
        assert all(g is not None and bool(torch.isfinite(g).all()) for g in gradients)
        assert any(bool(g.abs().sum() > 0) for g in gradients if g is not None)


@pytest.mark.parametrize("term", ["entropy", "commitment", "feature_distillation"])
def test_the_terms_of_an_embedding_are_summed_over_the_hops(
    backbone: nn.Module, images: Tensor, term: str
) -> None:
    model = chain(backbone, "layer1", "layer2")
    output = model(images, [noisy_link] * 2, torch.Generator().manual_seed(0))
    weights = LossWeights(beta=0.5, binding=0.0)
    if term != "entropy":
        weights = dataclasses.replace(weights, **{term: 0.25})
    features = [torch.randn_like(hop.arrived) for hop in output.hops]
    labels = torch.arange(6) % 5
    whole = multi_hop_loss(output, labels, weights, model=model, teacher_features=features)
    single = []
    for index, hop in enumerate(output.hops):
        one = dataclasses.replace(output, hops=(hop,))
        view = chain(backbone, "layer1")
        view.embeddings[0] = model.embedding_of(index)
        single.append(
            multi_hop_loss(one, labels, weights, model=view, teacher_features=[features[index]])
        )
    expected = sum(getattr(terms, term).item() for terms in single)
    assert getattr(whole, term).item() == pytest.approx(expected)
    # The total is that of the hops, with the task counted once.
    total = sum(terms.total.item() for terms in single) - whole.task.item()
    assert whole.total.item() == pytest.approx(total)


def test_a_hop_seen_alone_gets_what_the_dictionaries_before_it_send(
    backbone: nn.Module, images: Tensor
) -> None:
    model = chain(backbone, "layer1", "layer2")
    points = torch.exp(2j * torch.pi * torch.arange(M) / M)
    start_embeddings(model.hop(0), [images], points=points, seed=0)
    with evaluating(model):
        relayed = model.relay(0, torch.nn.functional.one_hot(model.encode(images), M).float())
        counts = usage_counts(model.hop(1), [images])
    assert torch.equal(counts[0], torch.bincount(relayed.flatten(), minlength=M))
    smaller = Embedding(torch.ones(2, 8))
    changed = model.with_embedding(1, smaller)
    assert changed.embedding_of(1) is smaller
    assert changed.embedding_of(0) is model.embedding_of(0)
    assert model.embedding_of(1).num_embeddings == M


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (["layer2", "layer1"], "from the device to the server"),
        (["layer1", "layer1"], "named 2 times"),
        (["layer9", "layer1"], "no such submodule"),
        ([], "one split point at least"),
    ],
)
def test_split_points_in_another_order_are_refused(
    backbone: nn.Module, splits: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        chain(backbone, *splits)
    assert "\n" not in str(caught.value)


def test_each_hop_needs_a_link(backbone: nn.Module, images: Tensor) -> None:
    with pytest.raises(ConfigError, match="2 hops need as many links, got 1"):
        chain(backbone, "layer1", "layer2")(images, [noiseless_link], torch.Generator())


def test_hops_of_patches_and_codebooks_hand_on_what_they_hear(
    backbone: nn.Module, images: Tensor, generator: torch.Generator
) -> None:
    model = MultiHopPhyDnn.from_backbone(
        backbone,
        splits=["layer1", "layer2"],
        image_shape=(1, 8, 8),
        normalise=NORMALISE,
        num_embeddings=M,
        generator=generator,
        symbols_per_slice=2,
        slice_size=(2, 2),
        num_codebooks=2,
    )
    assert [model.symbols_of(hop) for hop in (0, 1)] == [32, 8]
    with evaluating(model):
        symbols = model.encode(images)
        first = model.embedding_of(0).as_sent(symbols)
        second = model.embedding_of(1).as_sent(model.relay(0, first))
        found = model.decode(second)
        expected = model.infer(images, [noiseless_link] * 2, generator)
    torch.testing.assert_close(found, expected)
    output = model(images, [noisy_link] * 2, generator, estimator=Estimator.COPY)
    labels = torch.arange(6) % 5
    weights = LossWeights(beta=1e-3, commitment=0.1)
    multi_hop_loss(output, labels, weights, model=model).total.backward()
    assert all(
        parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        for name, parameter in model.named_parameters()
        if "conv" in name or "vectors" in name
    )
