"""Paths against known taps, Cramer-Rao bounds and noise alone."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import ConfigError, SignalError
from phyemu.sounding.paths import PathModel, extract_paths, fit_gains

MODEL = PathModel(max_paths=32, dynamic_range_db=35.0, false_path_rate=1e-3)
# Links of the published scenarios 90001 to 90003: delays [ns], amplitudes.
LINKS = {
    "90001 1-4": ([0, 256], [1, -1]),
    "90001 4-5": ([0, 128, 200, 400], [0.5 + 0.5j, 0.1, -0.01 + 0.1j, -0.5j]),
    "90002 2-3": ([0, 100, 200, 300], [1, 1, 1, 1]),
    "90002 3-4": ([0, 150, 300], [0.8 + 0.5j, 0.4 + 0.2j, 0.3 - 0.1j]),
    "90003 1-3": ([0, 211, 582, 900], [1, 0.4, 0.7, 0.9]),
    "90003 3-4": ([0, 128, 200, 350], [0.6645, 0.1585, 0.3548, 0.0398]),
    "90003 3-5": ([0, 110, 240, 300], [1, 0.8, 0.6, 0.5]),
}


def _frequencies(sample_rate_hz: float, length: int = 1024) -> NDArray[np.float64]:
    return np.arange(-460, 461) * (sample_rate_hz / length)


def _responses(
    delays_s: NDArray[np.float64],
    gains: NDArray[np.complex128],
    frequencies_hz: NDArray[np.float64],
    *,
    noise: float,
    seed: int,
) -> NDArray[np.complex64]:
    """Return gains (N, P) at delays as responses in noise of that variance per value."""
    rng = np.random.default_rng(seed)
    clean = gains @ np.exp(-2j * np.pi * np.outer(delays_s, frequencies_hz))
    added = rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)
    return (clean + np.sqrt(noise / 2) * added).astype(np.complex64)


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize("sample_rate_hz", [20e6, 100e6])
def test_published_taps_are_found_and_no_others(name: str, sample_rate_hz: float) -> None:
    # 20 dB SNR, 20 frames of 8 averaged repetitions, as a sounding of that link gives.
    delays_ns, amplitudes = LINKS[name]
    delays = 1e-9 * np.array(delays_ns, float)
    gains = np.array(amplitudes, complex)
    noise = float(np.sum(np.abs(gains) ** 2)) / 100.0 / 8.0
    frequencies = _frequencies(sample_rate_hz)
    phases = np.exp(2j * np.pi * np.random.default_rng(1).random((20, 1)))
    transfer = _responses(delays, phases * gains, frequencies, noise=noise, seed=2)
    paths = extract_paths(
        transfer,
        noise_variance=np.full(transfer.shape, noise),
        frequencies_hz=frequencies,
        period_s=1024 / sample_rate_hz,
        interval_s=1e-3,
        model=MODEL,
    )
    assert paths.num_paths == len(delays)
    error_ns = 1e9 * np.abs(paths.delays_s.numpy() - delays)
    error_db = np.abs(10 * np.log10(paths.powers().numpy()) - 20 * np.log10(np.abs(gains)))
    assert np.median(error_ns) <= 1.0
    assert np.median(error_db) <= 0.1
    assert error_ns.max() <= 1.0


@pytest.mark.parametrize("snr_db", [0.0, 15.0, 30.0])
def test_delay_errors_reach_the_cramer_rao_bound(snr_db: float) -> None:
    frequencies = _frequencies(20e6)[::4]  # 231 frequencies
    noise = 10 ** (-snr_db / 10)
    # One path, N frames with their own phases: var = noise / (8 pi^2 N sum (f - mean f)^2).
    spread = np.sum((frequencies - frequencies.mean()) ** 2)
    bound_s = np.sqrt(noise / (8 * np.pi**2 * 5 * spread))
    errors = []
    for seed in range(100):
        delay = 333.3e-9 + seed * 0.37e-9
        gains = np.exp(2j * np.pi * np.random.default_rng(seed).random((5, 1)))
        transfer = _responses(np.array([delay]), gains, frequencies, noise=noise, seed=seed)
        paths = extract_paths(
            transfer,
            noise_variance=np.full(transfer.shape, noise),
            frequencies_hz=frequencies,
            period_s=256 / 20e6,
            interval_s=1e-3,
            model=MODEL,
        )
        assert paths.num_paths == 1
        errors.append(float(paths.delays_s[0]) - delay)
    # 100 errors: their RMS is known to 1 / sqrt(200) = 7 %, four of these allowed.
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(bound_s, rel=0.28)


def test_noise_adds_paths_no_more_often_than_stated() -> None:
    frequencies = _frequencies(20e6)[::8]
    model = PathModel(max_paths=8, dynamic_range_db=200.0, false_path_rate=0.02)
    extra = 0
    for seed in range(200):
        gains = np.ones((3, 1), complex)
        transfer = _responses(np.array([1e-7]), gains, frequencies, noise=0.1, seed=seed)
        paths = extract_paths(
            transfer,
            noise_variance=np.full(transfer.shape, 0.1),
            frequencies_hz=frequencies,
            period_s=128 / 20e6,
            interval_s=1e-3,
            model=model,
        )
        extra += paths.num_paths - 1
    # Binomial with mean 200 x 0.02 = 4 at most; 12 and more has a probability of 1e-3.
    assert extra < 12


def test_fading_gains_are_followed_frame_by_frame() -> None:
    rng = np.random.default_rng(3)
    frequencies = _frequencies(20e6)
    delays = np.array([0.0, 180e-9, 455e-9])
    gains = (rng.standard_normal((40, 3)) + 1j * rng.standard_normal((40, 3))) * [1, 0.5, 0.2]
    transfer = _responses(delays, gains, frequencies, noise=1e-3, seed=4)
    paths = extract_paths(
        transfer,
        noise_variance=np.full(transfer.shape, 1e-3),
        frequencies_hz=frequencies,
        period_s=1024 / 20e6,
        interval_s=1e-3,
        model=MODEL,
    )
    assert paths.gains.shape == (40, 3)
    # 1e-3 over 921 frequencies: 0.001 of error per gain, five of them; delays add their part.
    np.testing.assert_allclose(paths.gains.numpy(), gains, atol=0.02)


def test_a_path_before_the_reference_gets_a_negative_delay() -> None:
    frequencies = _frequencies(20e6)
    delays = np.array([-300e-9, 0.0])
    transfer = _responses(delays, np.ones((2, 2), complex), frequencies, noise=1e-4, seed=4)
    paths = extract_paths(
        transfer,
        noise_variance=np.full(transfer.shape, 1e-4),
        frequencies_hz=frequencies,
        period_s=1024 / 20e6,
        interval_s=1e-3,
        model=MODEL,
    )
    np.testing.assert_allclose(paths.delays_s.numpy(), delays, atol=1e-10)


def test_a_copy_at_a_known_lag_is_no_path_unless_it_is_strong() -> None:
    frequencies = _frequencies(20e6)
    lag_s = 19.55e-6
    for level, expected in ((0.03, 1), (0.3, 2)):
        gains = np.array([[1.0, level]] * 3, complex)
        transfer = _responses(np.array([0.0, lag_s]), gains, frequencies, noise=1e-4, seed=1)
        paths = extract_paths(
            transfer,
            noise_variance=np.full(transfer.shape, 1e-4),
            frequencies_hz=frequencies,
            period_s=1024 / 20e6,
            interval_s=1e-3,
            model=dataclasses.replace(MODEL, ghost_lags_s=(lag_s, -lag_s)),
        )
        assert paths.num_paths == expected


def test_gains_at_known_delays_are_least_squares() -> None:
    frequencies = _frequencies(20e6)[::16]
    delays = np.array([0.0, 2e-7])
    gains = np.array([[1.0, 0.5j], [0.2, -1.0]])
    transfer = _responses(delays, gains, frequencies, noise=0.0, seed=0)
    fitted = fit_gains(
        transfer,
        noise_variance=np.ones(transfer.shape),
        frequencies_hz=frequencies,
        delays_s=delays,
    )
    np.testing.assert_allclose(fitted, gains, atol=1e-6)


def test_contradicting_shapes_and_nan_are_refused() -> None:
    good = np.ones((2, 4), np.complex64)
    noise, frequencies = np.ones((2, 4)), np.arange(4.0)

    def extract(transfer: NDArray[np.complex64], max_paths: int = 1) -> None:
        extract_paths(
            transfer,
            noise_variance=noise,
            frequencies_hz=frequencies,
            period_s=1.0,
            interval_s=1.0,
            model=PathModel(max_paths=max_paths, dynamic_range_db=30.0, false_path_rate=0.1),
        )

    with pytest.raises(SignalError, match="transfer must be"):
        extract(good[:, :3])
    with pytest.raises(SignalError, match="noise_variance must have"):
        extract(good[:1])
    with pytest.raises(SignalError, match="finite"):
        extract(good * np.nan)
    with pytest.raises(ConfigError, match="max_paths"):
        extract(good, max_paths=0)
