"""White noise: its variance, its gradient, and what it refuses."""

import math

import pytest
import torch

from phyemu.channel import Awgn, add_awgn, noise_variance
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
