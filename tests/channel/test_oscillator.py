"""Clock offset, carrier offset and phase noise in torch, against closed forms."""

import math

import numpy as np
import pytest
import torch

from phyemu.channel import Distribution, FrontEnd, Impairments, offset_clock, rotate_carrier
from phyemu.channel.oscillator import phase_knots
from phyemu.errors import SignalError


def impairments(batch_size: int = 1, **values: float) -> Impairments:
    distributions = {name: Distribution.constant(value) for name, value in values.items()}
    generator = torch.Generator().manual_seed(5)
    return FrontEnd(**distributions).draw(batch_size, generator=generator)


def test_carrier_offset_turns_by_its_frequency() -> None:
    ones = torch.ones(1, 5000, dtype=torch.complex64)
    turned = rotate_carrier(ones, impairments(cfo_hz=1234.5), sample_rate_hz=1e6)[0].numpy()
    expected = np.exp(2j * np.pi * 1234.5e-6 * np.arange(5000))
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_clock_offset_stretches_a_tone() -> None:
    n = np.arange(20_000)
    tone = np.exp(2j * np.pi * 0.2 * n).astype(np.complex64)[None]
    moved = offset_clock(torch.from_numpy(tone), impairments(sfo_ppm=80.0))[0].numpy()
    expected = np.exp(2j * np.pi * 0.2 * n * (1 + 80e-6))
    error = np.abs(moved - expected)[40:-40].max()
    assert 20 * np.log10(error) < -60


def test_the_phase_knotss_with_the_variance_of_its_linewidth() -> None:
    linewidth_hz, rate_hz = 50.0, 1e6
    walks = phase_knots(1600, impairments(3000, linewidth_hz=linewidth_hz), sample_rate_hz=rate_hz)
    assert walks.shape == (3000, 101)
    radians = 2 * math.pi * walks
    variance = 2 * math.pi * linewidth_hz * 1600 / rate_hz
    measured = (radians[:, 100] - radians[:, 0]).var().item()
    assert measured == pytest.approx(variance, rel=5 * (2 / 3000) ** 0.5)
    # Increments over disjoint stretches are independent.
    first = radians[:, 50] - radians[:, 0]
    second = radians[:, 100] - radians[:, 50]
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 5 / 3000**0.5


def test_the_same_key_gives_the_same_walk_however_long() -> None:
    values = impairments(2, linewidth_hz=10.0)
    long = phase_knots(1000, values, sample_rate_hz=1e6)
    assert torch.equal(phase_knots(123, values, sample_rate_hz=1e6), long[:, :9])
    assert not torch.equal(long[0], long[1])


def test_the_carrier_turns_samples_by_offset_and_walk() -> None:
    values = impairments(2, cfo_hz=-3e4, linewidth_hz=500.0)
    ones = torch.ones(2, 1000, dtype=torch.complex64)
    turned = rotate_carrier(ones, values, sample_rate_hz=1e6).numpy()
    knots = phase_knots(1000, values, sample_rate_hz=1e6).numpy()
    n = np.arange(1000)
    for row in range(2):
        walk = np.interp(n, np.arange(knots.shape[1]) * 16, knots[row])
        expected = np.exp(2j * np.pi * (-3e4 / 1e6 * n + walk))
        np.testing.assert_allclose(turned[row], expected, atol=2e-6)


def test_gradients_are_right() -> None:
    iq = torch.randn(2, 12, dtype=torch.complex128, requires_grad=True)
    values = impairments(2, cfo_hz=3e4, sfo_ppm=200.0, linewidth_hz=100.0)
    assert torch.autograd.gradcheck(lambda x: offset_clock(x, values), (iq,))
    assert torch.autograd.gradcheck(lambda x: rotate_carrier(x, values, sample_rate_hz=1e6), (iq,))


def test_another_batch_size_is_refused() -> None:
    with pytest.raises(SignalError, match="like the batch"):
        rotate_carrier(torch.ones(3, 4, dtype=torch.complex64), impairments(2), sample_rate_hz=1.0)
