"""Closed forms of what a response does to a link."""

import numpy as np
import pytest

from phyemu.fitting.response_statistics import (
    coherence_bandwidth_hz,
    coherence_steps,
    effective_snr_db,
    frame_delay_spread_s,
)


def test_two_equal_paths_spread_by_half_their_distance() -> None:
    gains = np.array([[1.0, 1j]])
    assert frame_delay_spread_s(gains, np.array([0.0, 200e-9]))[0] == pytest.approx(100e-9)


def test_two_equal_paths_are_coherent_up_to_a_third_of_their_inverse_distance() -> None:
    # |cos(pi f tau)| = 1/2 at f tau = 1/3.
    width = coherence_bandwidth_hz(
        np.array([[1.0, 1j]]), np.array([0.0, 100e-9]), bandwidth_hz=20e6
    )
    assert width[0] == pytest.approx(1 / 3 / 100e-9, rel=0.01)


def test_a_single_path_is_coherent_over_the_whole_band() -> None:
    width = coherence_bandwidth_hz(np.ones((1, 1), complex), np.zeros(1), bandwidth_hz=20e6)
    assert width[0] == 20e6


def test_a_flat_response_loses_nothing_to_the_equaliser() -> None:
    snr_db = effective_snr_db(
        np.full((1, 8), 2.0 + 0j), noise_density=np.array([0.04e-6]), bandwidth_hz=1e6
    )
    assert snr_db[0] == pytest.approx(20.0)


def test_a_notch_costs_what_mmse_says() -> None:
    # Half the band lost: mean error (1 + 1 / 101) / 2.
    transfer = np.array([[10.0, 0.0]], complex)
    snr_db = effective_snr_db(transfer, noise_density=np.array([1.0]), bandwidth_hz=1.0)
    expected = 1 / ((1 + 1 / 101) / 2) - 1
    assert snr_db[0] == pytest.approx(10 * np.log10(expected))


def test_steps_until_the_response_is_another_one() -> None:
    # |x|^2 constant, turning from axis 0 to axis 1 by 10 degrees a frame: the likeness after k
    # steps is cos(10 k), below 0.7 from k = 5 on. A carrier phase in each frame changes nothing.
    angle = np.deg2rad(10.0) * np.arange(20)
    phase = np.exp(2j * np.pi * np.random.default_rng(0).random((20, 1)))
    turning = (np.stack([np.cos(angle), np.sin(angle)], axis=1) * phase)[None]
    np.testing.assert_array_equal(coherence_steps(turning, look_ahead=10), np.full((1, 10), 5))
    # One path: the likeness of amplitudes 1 and r is 2 r / (1 + r^2); below 0.7 from r = 2.45 on.
    rising = (1.2 ** np.arange(12))[None, :, None] * np.ones(1, complex)
    np.testing.assert_array_equal(coherence_steps(rising, look_ahead=6), np.full((1, 6), 5))
    # What never changes stands one step beyond what is looked at.
    still = np.ones((2, 9, 3), complex)
    np.testing.assert_array_equal(coherence_steps(still, look_ahead=4), np.full((2, 5), 5))
