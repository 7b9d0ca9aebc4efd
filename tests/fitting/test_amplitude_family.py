"""Families of fading told apart by amplitudes, noise and all."""

import numpy as np
import pytest
from scipy import stats

from phyemu.fitting.amplitude_family import fit_amplitude_families


def _amplitudes(family: str, count: int, noise: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    normal = rng.standard_normal((2, count, 2)) @ np.array([1.0, 1j]) / np.sqrt(2)
    clean = {
        "rayleigh": normal[0],
        "rician": 2.0 + normal[0],
        "nakagami": np.sqrt(rng.gamma(0.5, 2.0, count)),
        "lognormal": np.exp(0.6 * rng.standard_normal(count)),
    }[family]
    return np.abs(clean + np.sqrt(noise) * normal[1])


@pytest.mark.parametrize("noise", [1e-4, 0.05])
@pytest.mark.parametrize("family", ["rayleigh", "rician", "nakagami", "lognormal"])
def test_the_family_that_drew_the_amplitudes_is_chosen(family: str, noise: float) -> None:
    fit = fit_amplitude_families(
        _amplitudes(family, 400, noise, seed=1),
        error_variance=np.full(400, noise),
        effective_frames=400,
    )
    assert fit.family == family


def test_the_rayleigh_likelihood_is_that_of_scipy() -> None:
    amplitudes = _amplitudes("rayleigh", 300, 0.2, seed=2)
    fit = fit_amplitude_families(amplitudes, error_variance=np.full(300, 0.2), effective_frames=300)
    scale = float(np.sqrt(np.square(amplitudes).mean()))
    # Maximum likelihood of a Rayleigh scale: sigma^2 = mean x^2 / 2; the fit is in units of rms.
    expected = stats.rayleigh.logpdf(amplitudes / scale, scale=np.sqrt(0.5)).mean()
    assert fit.log_likelihoods["rayleigh"] == pytest.approx(expected, abs=1e-4)


def test_the_rician_k_is_not_biased_by_the_noise() -> None:
    # |2 + CN(0, 1)|: K = 4. Its standard error for N = 400 is about 0.4 (Greenstein 1999).
    found = [
        fit_amplitude_families(
            _amplitudes("rician", 400, 0.5, seed=seed),
            error_variance=np.full(400, 0.5),
            effective_frames=400,
        ).k_factor
        for seed in range(8)
    ]
    assert np.mean(found) == pytest.approx(4.0, abs=5 * 0.6 / np.sqrt(8))


def test_fewer_effective_frames_prefer_the_simpler_family() -> None:
    amplitudes = np.abs(_amplitudes("rician", 400, 1e-4, seed=3))
    fit = fit_amplitude_families(
        amplitudes, error_variance=np.full(400, 1e-4), effective_frames=2.0
    )
    assert fit.family == "rayleigh"
