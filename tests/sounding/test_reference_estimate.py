"""LS on known samples against the taps that were put in."""

import numpy as np
import pytest

from phyemu.errors import SignalError
from phyemu.sounding.reference_estimate import ReferenceEstimator


def test_taps_of_a_white_reference_are_found_with_the_error_claimed() -> None:
    rng = np.random.default_rng(0)
    known = (rng.standard_normal(2000) + 1j * rng.standard_normal(2000)).astype(np.complex64)
    estimator = ReferenceEstimator(known, num_early=4, num_late=12)
    assert len(estimator.index) == 16
    taps = np.zeros(16, complex)
    taps[[2, 4, 9]] = 0.3, 1.0, 0.5j  # delays -2, 0 and 5
    padded = np.concatenate([known, np.zeros(20)])
    clean = np.convolve(padded, taps)[4 : 4 + 2000]
    first, count = estimator.first_sample, estimator.num_rows
    scale = np.sqrt(np.mean(np.abs(known) ** 2))
    truth = np.exp(-2j * np.pi * np.outer(estimator.index, np.arange(16) - 4) / 16) @ taps * scale
    errors = []
    for _ in range(50):
        noise = 0.1 * (rng.standard_normal(count) + 1j * rng.standard_normal(count))
        response = estimator.estimate(clean[first : first + count] + noise)
        errors.append(np.abs(response.transfer - truth) ** 2 / response.noise_variance)
        assert response.sample_noise == pytest.approx(0.02, rel=5 / np.sqrt(count))
    # 800 ratios of mean 1 (exponential); the ridge biases by 1e-4 of amplitude.
    assert np.mean(errors) == pytest.approx(1.0, abs=5 / np.sqrt(800))


def test_only_occupied_frequencies_are_reported() -> None:
    rng = np.random.default_rng(1)
    spectrum = rng.standard_normal(4096) + 1j * rng.standard_normal(4096)
    spectrum[np.abs(np.fft.fftfreq(4096)) > 0.25] = 0
    known = np.fft.ifft(spectrum).astype(np.complex64)
    estimator = ReferenceEstimator(known, num_early=8, num_late=24)
    assert np.abs(estimator.index).max() <= 10  # of 16: half the band and the window's skirt
    first, count = estimator.first_sample, estimator.num_rows
    response = estimator.estimate(0.5 * known[first : first + count].astype(complex))
    scale = np.sqrt(np.mean(np.abs(known) ** 2))
    inner = np.abs(estimator.index) <= 6
    np.testing.assert_allclose(response.transfer[inner], 0.5 * scale, rtol=0.01)


def test_short_and_silent_references_are_refused() -> None:
    with pytest.raises(SignalError, match="too short for 16 taps"):
        ReferenceEstimator(np.ones(50, np.complex64), num_early=4, num_late=12)
    with pytest.raises(SignalError, match="only zeros"):
        ReferenceEstimator(np.zeros(500, np.complex64), num_early=4, num_late=12)
