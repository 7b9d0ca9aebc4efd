"""Scalar distributions: moments, ends, quantiles, and what they refuse."""

import math

import pytest
import torch

from phyemu.channel import Distribution
from phyemu.errors import ConfigError


def test_normal_draws_have_the_stated_moments(generator: torch.Generator) -> None:
    n = 100_000
    values = Distribution.normal(3.0, 2.0).draw(n, generator=generator)
    assert values.mean().item() == pytest.approx(3.0, abs=5 * 2 / n**0.5)
    assert values.std().item() == pytest.approx(2.0, rel=5 / (2 * n) ** 0.5)


def test_empirical_draws_follow_the_samples_they_came_from(generator: torch.Generator) -> None:
    samples = torch.distributions.Exponential(1.0).sample((20_000,)).double()
    values = Distribution.of(samples, num_quantiles=257).draw(50_000, generator=generator)
    for level in (0.1, 0.5, 0.9):
        assert values.quantile(level).item() == pytest.approx(
            samples.quantile(level).item(), rel=0.05
        )


def test_draws_stay_within_the_ends(generator: torch.Generator) -> None:
    distribution = Distribution(mean=0.0, std=10.0, minimum=-1.0, maximum=2.0)
    values = distribution.draw(1000, generator=generator)
    assert values.min().item() == -1.0
    assert values.max().item() == 2.0


def test_parameters_do_not_change_how_far_the_generator_advances() -> None:
    states = []
    for distribution in (
        Distribution.constant(1.0),
        Distribution.normal(0.0, 1.0),
        Distribution.uniform(0.0, 1.0),
    ):
        generator = torch.Generator().manual_seed(1)
        distribution.draw(10, generator=generator)
        states.append(torch.rand(1, generator=generator).item())
    assert len(set(states)) == 1


def test_nan_samples_are_left_out_of_a_measured_distribution() -> None:
    assert Distribution.of([1.0, math.nan, 1.0]) == Distribution(mean=1.0, minimum=1.0, maximum=1.0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"mean": math.nan},
        {"mean": 0.0, "std": -1.0},
        {"mean": 0.0, "minimum": 1.0, "maximum": 0.0},
        {"mean": 0.0, "quantiles": (2.0, 1.0)},
        {"mean": 0.0, "quantiles": (1.0,)},
    ],
)
def test_contradictions_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Distribution(**arguments)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ConfigError, match="finite samples"):
        Distribution.of([math.nan])
