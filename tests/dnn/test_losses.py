"""Each term of the loss, alone, moves the weights it should."""

import math

import pytest
import torch
from torch import Tensor

from phyemu.dnn import (
    LossWeights,
    Normalise,
    PhyDnn,
    ResNetConfig,
    binding_loss,
    commitment_loss,
    distillation_loss,
    entropy_loss,
    feature_distillation_loss,
    noiseless_link,
    resnet,
    task_loss,
    total_loss,
    variational_loss,
)
from phyemu.errors import ConfigError

LABELS = torch.tensor([0, 3, 1])


@pytest.fixture
def model(generator: torch.Generator) -> PhyDnn:
    backbone = resnet(
        ResNetConfig(depth=8, num_classes=5, in_channels=1, width=4), generator=generator
    )
    return PhyDnn.from_backbone(
        backbone,
        split="layer1",
        image_shape=(1, 8, 8),
        normalise=Normalise((0.5,), (0.25,)),
        num_embeddings=4,
        generator=generator,
    )


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8, generator=generator)


def _moved(model: PhyDnn, loss: Tensor) -> set[str]:
    """Take one step on `loss`; return which parts changed."""
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return {
        name.split(".")[0]
        for name, value in model.named_parameters()
        if not torch.equal(before[name], value)
    }


def test_the_task_loss_is_the_mean_over_samples_and_images(generator: torch.Generator) -> None:
    logits = torch.randn(2, 3, 5, generator=generator)
    terms = [
        -math.log(float(logits[j, k].softmax(0)[LABELS[k]])) for j in range(2) for k in range(3)
    ]
    assert float(task_loss(logits, LABELS)) == pytest.approx(sum(terms) / 6, rel=1e-5)


def test_the_entropy_is_summed_over_slices_and_averaged_over_images() -> None:
    uniform, certain = [0.25] * 4, [1.0, 0.0, 0.0, 0.0]
    probabilities = torch.tensor([[uniform, certain], [uniform, uniform]])
    log_probabilities = probabilities.clamp_min(1e-30).log()
    # Image one has one uncertain slice, image two has two: (1 + 2) / 2 times log 4.
    assert float(entropy_loss(log_probabilities)) == pytest.approx(1.5 * math.log(4), rel=1e-6)


def test_the_entropy_alone_moves_head_and_embedding(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    assert _moved(model, entropy_loss(output.log_probabilities)) == {"head", "embedding"}


def test_the_gradient_of_the_entropy_in_the_variational_loss_is_beta_times_its_own() -> None:
    scores = torch.tensor([[[0.3, -0.2, 0.5]]], dtype=torch.float64, requires_grad=True)
    logits, labels = torch.zeros((1, 1, 5), dtype=torch.float64), torch.tensor([3])
    variational_loss(logits, scores.log_softmax(-1), labels, beta=0.25).backward()
    p = scores.detach().softmax(-1)
    entropy = -(p * p.log()).sum()
    # dH/ds_m = -p_m (log p_m + H).
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad, -0.25 * p * (p.log() + entropy))


def test_descending_the_entropy_lowers_it(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    entropies = []
    for _ in range(5):
        entropy = entropy_loss(model(images, noiseless_link, generator).log_probabilities)
        entropies.append(float(entropy.detach()))
        optimizer.zero_grad()
        entropy.backward()
        optimizer.step()
    assert entropies[-1] < entropies[0]


def test_the_task_loss_alone_moves_every_part(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    assert _moved(model, task_loss(output.logits, LABELS)) == {"head", "embedding", "tail"}


def test_the_binding_loss_alone_moves_the_backbone_and_not_the_embedding(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    assert output.binding_logits is not None
    assert _moved(model, binding_loss(output.binding_logits, LABELS)) == {"head", "tail"}


def test_distillation_alone_moves_every_part_but_not_the_teacher(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    teacher = torch.randn(3, 5, generator=generator, requires_grad=True)
    output = model(images, noiseless_link, generator)
    loss = distillation_loss(output.logits, teacher, temperature=3.0)
    assert _moved(model, loss) == {"head", "embedding", "tail"}
    assert teacher.grad is None


def test_distillation_is_the_divergence_and_vanishes_at_the_teacher(
    generator: torch.Generator,
) -> None:
    teacher = torch.randn(3, 5, generator=generator)
    same = teacher.expand(2, 3, 5)
    assert float(distillation_loss(same, teacher, temperature=2.0)) == pytest.approx(0, abs=1e-6)
    student = torch.randn(2, 3, 5, generator=generator)
    p, q = (teacher / 2).softmax(-1), (student / 2).softmax(-1)
    expected = 4 * (p * (p / q).log()).sum(-1).mean()
    assert float(distillation_loss(student, teacher, temperature=2.0)) == pytest.approx(
        float(expected), rel=1e-5
    )


def test_feature_distillation_at_the_cut_moves_head_and_embedding(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    teacher = torch.randn(3, 4, 8, 8, generator=generator, requires_grad=True)
    output = model(images, noiseless_link, generator, num_samples=2)
    assert [tuple(feature.shape) for feature in output.features] == [(6, 4, 8, 8)]
    loss = feature_distillation_loss(output.features, [teacher])
    assert _moved(model, loss) == {"head", "embedding"}
    assert teacher.grad is None


def test_feature_distillation_is_the_mean_over_layers() -> None:
    # Maps of variance 1 that are off by 2 everywhere, and tokens of variance 9 off by 3.
    maps = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1).expand(2, 3, 2, 2)
    tokens = torch.tensor([-3.0, 3.0]).reshape(1, 2, 1).expand(4, 2, 5)
    found = feature_distillation_loss([maps + 2, tokens - 3], [maps, tokens])
    assert float(found) == pytest.approx((2**2 / 1 + 3**2 / 9) / 2)


def test_feature_distillation_behind_a_layer_moves_the_tail_too(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator, layers=("layer2", "layer3"))
    shapes = [tuple(feature.shape[1:]) for feature in output.features]
    assert shapes == [(4, 8, 8), (8, 4, 4), (16, 2, 2)]
    teacher = [torch.randn(feature.shape, generator=generator) for feature in output.features]
    loss = feature_distillation_loss(output.features, teacher)
    assert _moved(model, loss) == {"head", "embedding", "tail"}
    assert not any(module._forward_hooks for module in model.modules())


def test_feature_distillation_is_the_error_over_the_variance(generator: torch.Generator) -> None:
    maps = (
        torch.randn(5, 2, 3, 3, generator=generator) * 4 + torch.tensor([1.0, -9.0])[:, None, None]
    )
    tokens = torch.randn(5, 7, 3, generator=generator)
    assert float(feature_distillation_loss([maps, tokens], [maps, tokens])) == 0.0
    means = maps.mean((0, 2, 3), keepdim=True).expand_as(maps)
    assert float(feature_distillation_loss([means], [maps])) == pytest.approx(1.0, rel=1e-5)
    off = tokens + 0.5 * tokens.std(correction=0)
    both = torch.cat([tokens, off])  # two samples: one right, one half a deviation off
    expected = 0.25 * float(tokens.var(correction=0)) / 2
    expected /= float(tokens.var((0, 1), correction=0).mean())
    assert float(feature_distillation_loss([both], [tokens])) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(ConfigError, match="features of 1 layers and 2 of the teacher"):
        feature_distillation_loss([maps], [maps, maps])


def test_commitment_alone_moves_head_and_embedding(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    loss = commitment_loss(output.slices, output.likeliest(), model.embedding)
    squared = torch.cdist(output.slices, model.embedding.vectors.expand(3, 4, 4)).square()
    expected = float(squared.min(-1).values.mean().detach())
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)
    assert _moved(model, loss) == {"head", "embedding"}


def test_the_total_is_the_weighted_sum_of_its_terms(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator, num_samples=2)
    teacher = torch.randn(3, 5, generator=generator)
    weights = LossWeights(
        beta=0.01, binding=0.5, distillation=0.3, feature_distillation=0.7, commitment=0.2
    )
    features = [torch.randn(3, 4, 8, 8, generator=generator)]
    terms = total_loss(
        output,
        LABELS,
        weights,
        embedding=model.embedding,
        teacher_logits=teacher,
        teacher_features=features,
    ).detached()
    expected = (
        terms["task"]
        + 0.01 * terms["entropy"]
        + 0.5 * terms["binding"]
        + 0.3 * terms["distillation"]
        + 0.7 * terms["feature_distillation"]
        + 0.2 * terms["commitment"]
    )
    torch.testing.assert_close(terms["total"], expected)


def test_the_paper_s_total_is_equation_8(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    terms = total_loss(output, LABELS, LossWeights(beta=1e-3), embedding=model.embedding)
    assert output.binding_logits is not None
    variational = variational_loss(output.logits, output.log_probabilities, LABELS, beta=1e-3)
    torch.testing.assert_close(
        terms.total, variational + binding_loss(output.binding_logits, LABELS)
    )
    assert set(terms.detached()) == {"total", "task", "entropy", "binding"}


def test_a_share_estimates_the_gradient_of_the_binding_loss_without_bias(
    model: PhyDnn, generator: torch.Generator
) -> None:
    images = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.arange(8) % 5
    parameters = list(model.backbone_parameters())

    def gradient(order: Tensor, share: float) -> Tensor:
        output = model(images[order], noiseless_link, generator, binding_share=share)
        assert output.binding_logits is not None
        weights = LossWeights(beta=0.0)
        binding = total_loss(output, labels[order], weights, embedding=model.embedding).binding
        assert binding is not None
        return torch.cat([g.flatten() for g in torch.autograd.grad(binding, parameters)])

    model.eval()  # batch norms that see a share normalise by the share
    everything = torch.arange(8)
    # Each image is among the first two in two of the eight rotations.
    mean = sum(gradient(everything.roll(k), 0.25) for k in range(8)) / 8
    torch.testing.assert_close(mean, gradient(everything, 1.0))


def test_the_sweep_over_beta_moves_weights(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator)
    gradients = []
    for beta in (0.0, 0.1):
        total = total_loss(output, LABELS, LossWeights(beta=beta), embedding=model.embedding).total
        gradients.append(torch.autograd.grad(total, model.embedding.vectors, retain_graph=True)[0])
    assert not torch.allclose(gradients[0], gradients[1])


def test_a_term_without_what_it_needs_is_refused(
    model: PhyDnn, images: Tensor, generator: torch.Generator
) -> None:
    output = model(images, noiseless_link, generator, binding_share=0.0)
    with pytest.raises(ConfigError, match="binding_share"):
        total_loss(output, LABELS, LossWeights(beta=0.0), embedding=model.embedding)
    with pytest.raises(ConfigError, match="teacher_logits"):
        total_loss(
            output,
            LABELS,
            LossWeights(beta=0.0, binding=0.0, distillation=1.0),
            embedding=model.embedding,
        )
    with pytest.raises(ConfigError, match="teacher_features"):
        total_loss(
            output,
            LABELS,
            LossWeights(beta=0.0, binding=0.0, feature_distillation=1.0),
            embedding=model.embedding,
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beta": -0.1}, r"beta must lie in \[0, 1\]"),
        ({"beta": 0.0, "binding": -1.0}, "weight of binding"),
        ({"beta": 0.0, "commitment": math.nan}, "weight of commitment"),
        ({"beta": 0.0, "distillation_temperature": 0.0}, "distillation_temperature"),
    ],
)
def test_weights_out_of_range_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LossWeights(**settings)
