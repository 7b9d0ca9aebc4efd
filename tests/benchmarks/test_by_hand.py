"""What stands beside us does the work it claims: without noise, all equal a naive loop."""

from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.by_hand import by_numpy, by_scipy, by_torch

LAGS = (0, 2, 7, 18)
UPDATE = 50


def by_loop(iq: np.ndarray, gains: np.ndarray) -> np.ndarray:
    out = np.zeros(len(iq), complex)
    for n in range(len(iq)):
        for lag, gain in zip(LAGS, gains[n // UPDATE], strict=True):
            if n >= lag:
                out[n] += gain * iq[n - lag]
    return out


def with_torch(iq: np.ndarray, out: np.ndarray, **settings: Any) -> None:
    by_torch(torch.from_numpy(iq), torch.from_numpy(out), **settings)


@pytest.mark.parametrize("peer", [by_numpy, by_scipy, with_torch])
def test_a_peer_without_noise_equals_the_naive_loop(peer: Any) -> None:
    rng = np.random.default_rng(0)
    iq = (rng.normal(size=200) + 1j * rng.normal(size=200)).astype(np.complex64)
    gains = (rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))).astype(np.complex64)
    out = np.full_like(iq, np.nan)
    peer(iq, out, lags=LAGS, gains=gains, update_samples=UPDATE, sigma=0.0)
    # Four products of complex64 and an FFT of some 70 points: a few hundred roundings of 6e-8.
    np.testing.assert_allclose(out, by_loop(iq, gains), atol=2e-5)


@pytest.mark.parametrize("peer", [by_numpy, by_scipy, with_torch])
def test_the_noise_of_a_peer_has_the_variance_asked_for(peer: Any) -> None:
    count, sigma = 100_000, 0.25
    iq, out = np.zeros(count, np.complex64), np.empty(count, np.complex64)
    gains = np.ones((count // UPDATE, 4), np.complex64)
    peer(iq, out, lags=LAGS, gains=gains, update_samples=UPDATE, sigma=sigma)
    # |n|^2 is exponential: its mean deviates by 1/sqrt(count); five of these.
    assert np.mean(np.abs(out) ** 2) == pytest.approx(sigma**2, rel=5 / count**0.5)
