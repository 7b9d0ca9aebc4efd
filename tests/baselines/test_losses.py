import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from phyemu.baselines import distilled_task_loss, mimic_loss, robust_bottleneck_loss
from phyemu.errors import ConfigError


def test_mimicry_is_the_squared_distance_of_an_image_summed_over_stages() -> None:
    features = [torch.tensor([[[1.0, 2.0]], [[0.0, 0.0]]]), torch.tensor([[3.0], [5.0]])]
    teacher = [torch.zeros(2, 1, 2), torch.ones(2, 1)]
    # Image 0: 1 + 4 and 2^2; image 1: 0 and 4^2.
    assert mimic_loss(features, teacher).item() == pytest.approx((5 + 4 + 0 + 16) / 2)


def test_mimicry_moves_the_student_alone() -> None:
    own = torch.ones(2, 3, requires_grad=True)
    other = torch.zeros(2, 3, requires_grad=True)
    mimic_loss([own], [other]).backward()
    assert torch.equal(own.grad, torch.ones(2, 3))  # 2 (1 - 0) / 2 images
    assert other.grad is None


def test_mimicry_of_another_number_of_stages_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 features cannot mimic 1"):
        mimic_loss([torch.ones(1, 1)] * 2, [torch.ones(1, 1)])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_distilled_task_is_labels_and_divergence_in_shares(
    share: float, temperature: float, generator: torch.Generator
) -> None:
    logits = torch.randn(5, 3, generator=generator)
    teacher = torch.randn(5, 3, generator=generator)
    labels = torch.tensor([0, 2, 1, 1, 0])
    found = distilled_task_loss(
        logits, labels, teacher, hard_label_share=share, temperature=temperature
    )
    # Written out, in NumPy's order of operations and without torch's divergence.
    p = (teacher / temperature).softmax(-1)
    q = (logits / temperature).softmax(-1)
    divergence = (p * (p / q).log()).sum(-1).mean() * temperature**2
    hard = -logits.softmax(-1)[torch.arange(5), labels].log().mean()
    assert found.item() == pytest.approx((share * hard + (1 - share) * divergence).item(), rel=1e-5)


def test_no_gradient_reaches_the_teacher() -> None:
    logits = torch.zeros(1, 2, requires_grad=True)
    teacher = torch.tensor([[1.0, 0.0]], requires_grad=True)
    distilled_task_loss(
        logits, torch.tensor([0]), teacher, hard_label_share=0.5, temperature=1.0
    ).backward()
    assert teacher.grad is None
    # d/dz of either term: softmax(z) minus its target.
    target = 0.5 * torch.tensor([1.0, 0.0]) + 0.5 * teacher.detach().softmax(-1)[0]
    assert logits.grad[0].tolist() == pytest.approx((torch.tensor([0.5, 0.5]) - target).tolist())


def rib(log_probabilities: Tensor, redundancy: float) -> dict[str, Tensor]:
    return robust_bottleneck_loss(
        torch.zeros(1, 2, 2), log_probabilities, torch.tensor([0, 1]), redundancy=redundancy
    )


def test_the_robust_bottleneck_in_closed_form() -> None:
    # Image 0 is sure of one slice and not of the other, image 1 has a quarter and three.
    probabilities = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.25, 0.75], [0.25, 0.75]]])
    terms = rib(probabilities.clamp_min(1e-30).log(), 0.1)
    quarter = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    entropy = (0.0 + math.log(2) + 2 * quarter) / 4  # the mean over images and slices
    assert terms["task"].item() == pytest.approx(math.log(2))
    assert terms["entropy"].item() == pytest.approx(entropy)
    assert terms["total"].item() == pytest.approx(math.log(2) - 0.1 * entropy)


def test_the_redundancy_alone_makes_symbols_less_sure() -> None:
    scores = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], requires_grad=True)
    rib(scores.log_softmax(-1), 1.0)["total"].backward()
    # dH/ds_m = -p_m (log p_m + H); each of two images has one slice, hence a half.
    p = scores.detach()[0, 0].softmax(-1)
    entropy = -(p * p.log()).sum()
    expected = 0.5 * p * (p.log() + entropy)
    assert scores.grad[0, 0].tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert scores.grad[0, 0, 0] > 0  # descent lowers the surer symbol


def test_without_redundancy_it_is_the_cross_entropy(generator: torch.Generator) -> None:
    logits = torch.randn(3, 4, 5, generator=generator)
    labels = torch.tensor([0, 4, 2, 2])
    log_probabilities = torch.randn(4, 2, 3, generator=generator).log_softmax(-1)
    terms = robust_bottleneck_loss(logits, log_probabilities, labels, redundancy=0.0)
    expected = torch.stack([functional.cross_entropy(sample, labels) for sample in logits]).mean()
    assert terms["total"].item() == pytest.approx(expected.item())


def test_a_channel_cannot_lessen_the_entropy_that_bounds_the_redundancy() -> None:
    """H(Z'|X) >= H(Z|X), on which the loss stands, for PSK in noise with hard decisions."""
    # A symmetric 4-PSK channel by its errors to neighbours and to the opposite point.
    row = torch.tensor([0.7, 0.12, 0.06, 0.12])
    channel = torch.stack([row.roll(shift) for shift in range(4)])
    sent = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.3, 0.1, 0.0], [0.25, 0.25, 0.25, 0.25]])
    received = sent @ channel

    def entropy(p: Tensor) -> Tensor:
        return torch.special.entr(p).sum(-1)

    assert bool((entropy(received) >= entropy(sent) - 1e-6).all())
