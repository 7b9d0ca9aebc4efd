"""Distributions of the radios' impairments."""

import numpy as np
import pytest

from phyemu.channel import FadingProcess
from phyemu.fitting.front_end_fit import describe_unknowns, fit_front_end, slow_distribution
from phyemu.fitting.link_frames import pool_soundings
from phyemu.sounding import Estimate, FrontEndEstimate

FADING = FadingProcess(powers=(1.0,), k_factor=(0.0,), doppler_hz=(0.0,))


def test_noise_of_the_estimates_is_no_drift() -> None:
    values = 100.0 + 20.0 * np.random.default_rng(0).standard_normal(300)
    found = slow_distribution(values, np.zeros(300, int))
    assert found.std == 0
    assert found.mean == pytest.approx(100.0, abs=5 * 20 * 1.25 / np.sqrt(300))


def test_a_drift_shows_through_the_noise_of_the_estimates() -> None:
    drift = 50.0 * np.sin(np.arange(300) / 40)
    values = drift + 20.0 * np.random.default_rng(1).standard_normal(300)
    assert slow_distribution(values, np.zeros(300, int)).std == pytest.approx(drift.std(), rel=0.2)


def test_recordings_of_different_radios_widen_the_distribution(make_sounding) -> None:
    soundings = [
        make_sounding(
            FADING,
            (0.0,),
            num_frames=20,
            front_end=FrontEndEstimate(iq_gain_db=Estimate(value=gain_db, std=0.01)),
        )
        for gain_db in (0.1, 0.3)
    ]
    frames = pool_soundings(soundings)
    front_end = fit_front_end(frames, soundings)
    assert front_end.iq_gain_db.mean == pytest.approx(0.2)
    # sqrt(0.1^2 - 0.01^2): the spread less the error of its members.
    assert front_end.iq_gain_db.std == pytest.approx(np.sqrt(0.0099))
    (sentence,) = describe_unknowns(frames, soundings)
    assert "phase noise" in sentence
    assert "DC offset" in sentence
    assert "IQ" not in sentence
