"""Phase tracking, against simulated oscillators."""

import numpy as np
import pytest
import torch

from phyemu.waveform import FrameFormat, frame_layout, psk
from phyemu.waveform.phase_kernel import known_gain, turned_back
from phyemu.waveform.phase_tracking import posterior_moments, refine_phase, track_known_phase

FORMAT = FrameFormat()


def _phase(tracked: tuple[np.ndarray, np.ndarray, np.ndarray], count: int) -> np.ndarray:
    """Return the phase of symbols between the middles of blocks of 32."""
    values, drift, _ = tracked
    knots = np.concatenate([values[0, :1] - drift, values[0], values[0, -1:] + drift])
    return np.interp(np.arange(count), (np.arange(len(knots)) - 0.5) * 32 - 0.5, knots)


def test_moments_are_those_of_the_posteriors() -> None:
    rng = np.random.default_rng(1)
    points = (rng.standard_normal(20) + 1j * rng.standard_normal(20)).astype(np.complex64)
    means, variance, energy = posterior_moments(points, psk(8), noise_variance=0.4)
    values = psk(8).points.numpy()
    for index, point in enumerate(points):
        weights = np.exp(-np.square(np.abs(point - values)) / 0.4)
        weights /= weights.sum()
        assert means[index] == pytest.approx((weights * values).sum(), abs=1e-5)
        turned = (point * values.conj()).imag
        expected = (weights * turned**2).sum() - (weights * turned).sum() ** 2
        assert variance[index] == pytest.approx(expected, abs=1e-5)
        assert energy[index] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(
    ("order", "snr_db", "linewidth_hz"), [(4, 5, 200), (8, 12, 100), (16, 18, 20)]
)
def test_decisions_bring_the_error_near_that_of_known_symbols(
    order: int, snr_db: float, linewidth_hz: float
) -> None:
    rng = np.random.default_rng(2)
    layout = frame_layout(FORMAT, 16384)
    positions = np.concatenate([np.arange(200), layout.pilot_positions.numpy()])
    count = layout.num_symbols
    sent = psk(order).points[torch.from_numpy(rng.integers(order, size=count))].numpy()
    sent[positions] = 1.0
    step = 2 * np.pi * linewidth_hz / 10e6
    phase = np.cumsum(np.sqrt(step) * rng.standard_normal(count)) + 2e-4 * np.arange(count) + 0.3
    variance = 10 ** (-snr_db / 10)
    noise = np.sqrt(variance / 2) * (rng.standard_normal(count) + 1j * rng.standard_normal(count))
    symbols = (sent * np.exp(1j * phase) + noise).astype(np.complex64)
    ones = np.ones(len(positions), np.complex64)
    noise_variance = np.array([variance])
    tracked = track_known_phase(symbols[None], positions, ones, noise_variance, np.array([1e-6]))
    known = np.zeros(count, bool)
    known[positions] = True
    for _ in range(6):
        points = (symbols * np.exp(-1j * _phase(tracked, count)))[None].astype(np.complex64)
        means, uncertainty, _ = posterior_moments(points, psk(order), noise_variance=variance)
        means[:, positions], uncertainty[:, positions] = 1.0, 0.0
        tracked = refine_phase(points, means, uncertainty, known, *tracked, noise_variance)
    error = float(np.mean((_phase(tracked, count) - phase) ** 2))
    # All symbols known, the smoother's error is sqrt(q r) / 2, r = variance / 2; blocks of 32
    # symbols add 32 q / 12. Decisions cost a factor: 2 where they are nearly all right.
    bound = np.sqrt(step * variance / 2) / 2 + 32 * step / 12
    assert error < 2.5 * bound


def test_the_drift_is_the_frequency_left_over() -> None:
    positions = np.concatenate([np.arange(200), np.arange(500, 5000, 300)])
    symbols = np.exp(1e-3j * np.arange(5000)).astype(np.complex64)
    tracked = track_known_phase(
        symbols[None],
        positions,
        np.ones(len(positions), np.complex64),
        np.array([1e-3]),
        np.array([1e-5]),
    )
    assert tracked[1][0] / 32 == pytest.approx(1e-3, rel=1e-3)
    np.testing.assert_allclose(_phase(tracked, 5000), 1e-3 * np.arange(5000), atol=0.02)


@pytest.mark.parametrize("slope", [1e-4, 0.05])
def test_symbols_are_turned_back_along_straight_lines(slope: float) -> None:
    rng = np.random.default_rng(3)
    count = 1000
    # A slope for each of the two ways in which its turns are computed.
    path = np.cumsum(slope * 32 * rng.standard_normal((1, 32)), axis=-1) + 2.0
    symbols = (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(np.complex64)
    correction, points = np.empty_like(symbols[None]), np.empty_like(symbols[None])
    drift, gain = np.array([0.2]), np.array([1.25])
    turned_back(symbols[None], path, drift, gain, 32, correction, points)
    expected = np.exp(-1j * _phase((path, drift, gain), count)) / 1.25
    np.testing.assert_allclose(correction[0], expected, atol=2e-6)
    np.testing.assert_allclose(points[0], symbols * expected, atol=1e-5)
    positions = np.array([0, 1, 15, 16, 17, 500, 999])
    values = np.exp(1j * np.arange(7)).astype(np.complex64)
    sent = np.zeros((1, count), np.complex64)
    sent[:, positions] = 0.8 * values * np.exp(1j * _phase((path, drift, gain), count))[positions]
    assert known_gain(sent, positions, values, path, drift, 32)[0] == pytest.approx(0.8, rel=1e-5)
