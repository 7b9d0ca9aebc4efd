"""Samples have the right distribution, and a gradient."""

import pytest
import torch

from phyemu.dnn import (
    Estimator,
    choose_symbols,
    gumbel_softmax,
    one_hot_argmax,
    straight_through,
)
from phyemu.errors import ConfigError


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_samples_follow_the_softmax_at_any_temperature(
    temperature: float, generator: torch.Generator
) -> None:
    n = 40_000
    logits = torch.tensor([0.0, 1.0, -1.0, 2.0])
    samples = gumbel_softmax(logits.expand(n, 4), temperature=temperature, generator=generator)
    assert bool(((samples == 0) | (samples == 1)).all())
    assert bool((samples.sum(-1) == 1).all())
    expected = logits.softmax(0)
    # A share of n draws deviates by sqrt(p (1 - p) / n); allow five of these.
    tolerance = 5 * (expected * (1 - expected) / n).sqrt()
    assert bool(((samples.mean(0) - expected).abs() < tolerance).all())


def test_the_gradient_is_that_of_the_soft_sample() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([[1.0, 2.0, -3.0]], dtype=torch.float64)
    sample = gumbel_softmax(logits, temperature=0.7, generator=torch.Generator().manual_seed(3))
    (sample * weights).sum().backward()
    uniform = torch.rand(1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    noise = -(-uniform.log()).log()
    soft = ((logits.detach() + noise) / 0.7).softmax(-1)
    # d softmax / d logit by hand: p_i (w_i - sum_j p_j w_j) / temperature.
    expected = soft * (weights - (soft * weights).sum()) / 0.7
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected)


def test_the_same_seed_gives_the_same_samples() -> None:
    logits = torch.zeros(50, 8)
    draws = [
        gumbel_softmax(logits, temperature=1.0, generator=torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_a_hard_choice_passes_its_gradient_unchanged() -> None:
    weights = torch.tensor([[0.2, 0.5, 0.3]], requires_grad=True)
    rows = one_hot_argmax(weights)
    assert rows.tolist() == [[0.0, 1.0, 0.0]]
    rows.backward(torch.tensor([[1.0, 2.0, 3.0]]))
    assert weights.grad is not None
    assert weights.grad.tolist() == [[1.0, 2.0, 3.0]]


def test_a_temperature_of_zero_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(ConfigError, match="temperature of the gradient must be positive, got 0"):
        gumbel_softmax(torch.zeros(1, 2), temperature=0.0, generator=generator)
    with pytest.raises(ConfigError, match="temperature of the gradient must be positive, got -1"):
        straight_through(torch.zeros(1, 2), temperature=-1.0)


def test_straight_through_sends_the_likeliest_and_differentiates_the_softmax() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([[1.0, 2.0, -3.0]], dtype=torch.float64)
    rows = straight_through(logits, temperature=0.7)
    assert rows.tolist() == [[0.0, 0.0, 1.0]]
    (rows * weights).sum().backward()
    soft = (logits.detach() / 0.7).softmax(-1)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, soft * (weights - (soft * weights).sum()) / 0.7)


def test_the_estimator_decides_whether_a_choice_is_sampled() -> None:
    logits = torch.tensor([0.0, 0.1, 0.05]).expand(200, 3)
    chosen = {
        estimator: choose_symbols(
            logits, estimator, temperature=1.0, generator=torch.Generator().manual_seed(3)
        )
        for estimator in Estimator
    }
    assert torch.equal(
        chosen[Estimator.GUMBEL],
        gumbel_softmax(logits, temperature=1.0, generator=torch.Generator().manual_seed(3)),
    )
    assert bool((chosen[Estimator.STRAIGHT_THROUGH].argmax(-1) == 1).all())
    assert len(chosen[Estimator.GUMBEL].argmax(-1).unique()) == 3
