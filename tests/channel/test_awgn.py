"""White noise: its variance, its gradient, and what it refuses."""

import math

import pytest
import torch
from scipy import stats

from phyemu.channel import Awgn, AwgnRange, add_awgn, noise_variance
from phyemu.errors import ConfigError, SignalError


def test_noise_has_the_stated_variance_in_each_row(generator: torch.Generator) -> None:
    n = 200_000
    variances = torch.tensor([0.5, 4.0], dtype=torch.float64)
    noise = add_awgn(
        torch.zeros(2, n, dtype=torch.complex64), variance=variances, generator=generator
    )
    # |n|^2 is exponential, so its mean over n samples deviates by 1/sqrt(n); allow five of these.
    measured = noise.abs().square().mean(dim=-1)
    assert measured.numpy() == pytest.approx(variances.numpy(), rel=5 / n**0.5)
    assert noise.real.var().item() == pytest.approx(noise.imag.var().item(), rel=0.02)


def test_snr_is_peak_power_over_variance_at_the_matched_filter() -> None:
    # Amplitude 0.5, two samples per symbol: reference power A^2 / 2, so s2 = A^2 / snr.
    variance = noise_variance(
        torch.tensor(10.0), reference_power=0.125, sample_rate_hz=20e6, symbol_rate_hz=10e6
    )
    assert float(variance) == pytest.approx(0.25 / 10)


def test_gradient_is_the_identity(generator: torch.Generator) -> None:
    iq = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    add_awgn(iq, variance=1.0, generator=generator).real.sum().backward()
    assert iq.grad is not None
    assert torch.equal(iq.grad, torch.ones(3, dtype=torch.complex64))


def test_real_input_is_refused_with_the_remedy(generator: torch.Generator) -> None:
    with pytest.raises(SignalError, match="view_as_complex"):
        add_awgn(torch.zeros(4), variance=1.0, generator=generator)


def test_bad_levels_are_refused(generator: torch.Generator) -> None:
    with pytest.raises(ConfigError, match="variance"):
        add_awgn(torch.zeros(4) + 0j, variance=-1.0, generator=generator)
    with pytest.raises(ConfigError, match="snr_db"):
        Awgn(math.nan)
    with pytest.raises(ConfigError, match="symbol_rate_hz"):
        noise_variance(
            torch.tensor(1.0), reference_power=1.0, sample_rate_hz=1.0, symbol_rate_hz=0.0
        )


def test_a_range_draws_an_snr_for_each_link_uniform_in_decibels(
    generator: torch.Generator,
) -> None:
    model = AwgnRange(4.0, 20.0)
    steps = {"symbol_rate_hz": 1e7, "generator": generator}
    draw = model.draw(2000, num_steps=2, interval_s=1e-3, **steps)
    endless = [model.realise(**steps).snr_db for _ in range(500)]
    for found in (draw.snr_db.tolist(), endless):
        assert 4.0 <= min(found) < max(found) <= 20.0
        # Kolmogorov and Smirnov: more than this has the probability 2 exp(-2 * 2.3^2) < 1e-4.
        distance = stats.kstest(found, stats.uniform(4.0, 16.0).cdf).statistic
        assert distance < 2.3 / len(found) ** 0.5
    assert torch.equal(draw.response.gains, torch.ones(2000, 2, 1, dtype=torch.complex64))
    again = model.draw(
        2000,
        num_steps=2,
        interval_s=1e-3,
        symbol_rate_hz=1e7,
        generator=torch.Generator().manual_seed(generator.initial_seed()),
    )
    assert torch.equal(again.snr_db, draw.snr_db)
