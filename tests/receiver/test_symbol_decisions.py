"""Posteriors and errors of a stream against those of the tensors."""

import numpy as np
import pytest
import torch

from phyemu.receiver.symbol_decisions import nearest_errors, probabilities
from phyemu.waveform import Constellation, psk, qam, symbol_posteriors
from phyemu.waveform.modulation import squared_errors


@pytest.mark.parametrize("points", [psk(2), psk(8), psk(11), qam(16)], ids=["2", "8", "11", "q16"])
@pytest.mark.parametrize("noise_variance", [1e-6, 0.01, 1.0, 1e4])
def test_they_are_those_of_the_tensors(points: Constellation, noise_variance: float) -> None:
    rng = np.random.default_rng(1)
    count = 1000  # no multiple of the 64 that are worked on together
    noise = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    sent = points.points.numpy()[rng.integers(points.order, size=count)]
    received = (sent + np.sqrt(noise_variance / 2) * noise).astype(np.complex64)
    out = np.empty((count, points.order), np.float32)
    probabilities(received, points, np.array([noise_variance]), out=out)
    exact = torch.from_numpy(received).to(torch.complex128)
    expected = symbol_posteriors(exact, points, noise_variance=noise_variance)
    # Logits that count are below some twenty, each of a few roundings of 6e-8; a probability
    # changes by a quarter of them.
    np.testing.assert_allclose(out, expected.numpy(), atol=2e-6)
    np.testing.assert_allclose(out.sum(axis=1), 1.0, atol=1e-6)
    errors = squared_errors(exact, points).numpy()
    np.testing.assert_allclose(nearest_errors(received, points), errors, rtol=1e-5, atol=2e-7)


def test_each_symbol_may_have_a_noise_of_its_own() -> None:
    rng = np.random.default_rng(2)
    received = (rng.standard_normal(200) + 1j * rng.standard_normal(200)).astype(np.complex64)
    variances = rng.uniform(0.05, 2.0, 200)
    out = np.empty((200, 8), np.float32)
    probabilities(received, psk(8), variances, out=out)
    expected = symbol_posteriors(
        torch.from_numpy(received), psk(8), noise_variance=torch.from_numpy(variances)
    )
    np.testing.assert_allclose(out, expected.numpy(), atol=1e-5)
