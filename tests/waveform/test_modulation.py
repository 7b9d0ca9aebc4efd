"""Modulation and soft decisions, against SciPy, naive loops and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.special import erfc
from scipy.stats import multivariate_normal

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform import (
    decide,
    modulate,
    modulate_probabilities,
    psk,
    psk_symbol_error_rate,
    qam,
    symbol_posteriors,
)
from phyemu.waveform.modulation import squared_errors


def test_one_hot_probabilities_modulate_as_symbols_do(generator: torch.Generator) -> None:
    symbols = torch.randint(16, (3, 5), generator=generator)
    one_hot = torch.nn.functional.one_hot(symbols, 16).to(torch.float32)
    torch.testing.assert_close(modulate_probabilities(one_hot, qam(16)), modulate(symbols, qam(16)))


def test_posteriors_are_normalised_densities_of_the_noise(generator: torch.Generator) -> None:
    points = torch.randn(20, dtype=torch.complex64, generator=generator)
    ours = symbol_posteriors(points, psk(8), noise_variance=0.3)
    for index, point in enumerate(points.numpy()):
        densities = [
            multivariate_normal.pdf([point.real, point.imag], [c.real, c.imag], 0.15)
            for c in psk(8).points.numpy()
        ]
        expected = np.array(densities) / np.sum(densities)
        np.testing.assert_allclose(ours[index].numpy(), expected, atol=1e-5)


def test_a_variance_per_row_is_applied_to_its_row(generator: torch.Generator) -> None:
    points = torch.randn(2, 7, dtype=torch.complex64, generator=generator)
    both = symbol_posteriors(points, psk(4), noise_variance=torch.tensor([[0.1], [1.0]]))
    first = symbol_posteriors(points[0], psk(4), noise_variance=0.1)
    second = symbol_posteriors(points[1], psk(4), noise_variance=1.0)
    torch.testing.assert_close(both, torch.stack([first, second]))


def test_gradients_of_the_posteriors_are_right(generator: torch.Generator) -> None:
    points = torch.randn(4, dtype=torch.complex128, generator=generator, requires_grad=True)
    variance = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda y, s2: symbol_posteriors(y, psk(4), noise_variance=s2), (points, variance)
    )


def test_gradients_of_soft_modulation_are_right(generator: torch.Generator) -> None:
    probabilities = torch.rand(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p: modulate_probabilities(p, psk(4)), (probabilities,))


def test_decisions_are_the_nearest_points(generator: torch.Generator) -> None:
    points = torch.randn(50, dtype=torch.complex64, generator=generator)
    expected = (points[:, None] - qam(16).points[None, :]).abs().argmin(1)
    assert torch.equal(decide(points, qam(16)), expected)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_squared_errors_are_those_to_the_nearest_points(
    scale: float, generator: torch.Generator
) -> None:
    noise = scale * torch.randn(50, dtype=torch.complex64, generator=generator)
    points = qam(16).points[torch.arange(50) % 16] + noise
    distances = (points[:, None] - qam(16).points).to(torch.complex128).abs()
    expected = distances.amin(1).square()
    # Points near 1 are known to 6e-8 each way.
    torch.testing.assert_close(
        squared_errors(points, qam(16)), expected, rtol=1e-5, atol=1e-6 * scale
    )


@pytest.mark.parametrize("snr_db", [-3.0, 1.0, 9.0])
def test_error_rate_of_two_and_four_points_has_a_closed_form(snr_db: float) -> None:
    snr = 10 ** (snr_db / 10)
    q = 0.5 * erfc(math.sqrt(snr))
    assert psk_symbol_error_rate(2, snr_db) == pytest.approx(q, rel=1e-6)
    q = 0.5 * erfc(math.sqrt(snr / 2))
    assert psk_symbol_error_rate(4, snr_db) == pytest.approx(2 * q - q * q, rel=1e-6)


def test_bad_input_is_refused() -> None:
    with pytest.raises(SignalError, match="int64"):
        modulate(torch.zeros(3), psk(4))
    with pytest.raises(SignalError, match=r"0\.\.3"):
        modulate(torch.tensor([4]), psk(4))
    with pytest.raises(SignalError, match="num_symbols, 4"):
        modulate_probabilities(torch.zeros(3, 5), psk(4))
    with pytest.raises(SignalError, match="complex"):
        symbol_posteriors(torch.zeros(3), psk(4), noise_variance=1.0)
    with pytest.raises(ConfigError, match="noise_variance"):
        symbol_posteriors(torch.zeros(3) + 0j, psk(4), noise_variance=0.0)
    with pytest.raises(SignalError, match="complex"):
        decide(torch.zeros(3), psk(4))
    with pytest.raises(ConfigError, match="finite"):
        psk_symbol_error_rate(4, math.nan)
