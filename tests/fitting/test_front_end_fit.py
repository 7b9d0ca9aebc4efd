"""Distributions of the radios' impairments."""

from dataclasses import replace

import numpy as np
import pytest

from phyemu.channel import FadingProcess
from phyemu.fitting import FitConfig, fit_channel
from phyemu.fitting.front_end_fit import (
    describe_unknowns,
    fit_front_end,
    front_end_intervals,
    slow_distribution,
)
from phyemu.fitting.link_frames import pool_soundings
from phyemu.fitting.summary import describe
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


def test_a_clock_measured_once_per_recording_claims_no_more_than_recordings_say(
    make_sounding,
) -> None:
    # Each sounding repeats one value in all its frames: 20 frames are no 20 measurements.
    first = make_sounding(FADING, (0.0,), num_frames=20)
    once = front_end_intervals(pool_soundings([first]), [first])["sfo_ppm"]
    assert once.value == pytest.approx(0.5)
    assert np.isnan(once.low)
    assert np.isnan(once.high)
    # Two values 0.2 apart: their mean is known to t(1, 97.5 %) * 0.2 / 2.
    soundings = [first, replace(first, sfo_ppm=np.full(20, 0.7))]
    twice = front_end_intervals(pool_soundings(soundings), soundings)["sfo_ppm"]
    assert twice.value == pytest.approx(0.6)
    assert twice.high - twice.value == pytest.approx(12.706 * 0.1, rel=1e-3)


def test_an_unknown_interval_is_left_out_of_text_and_file(make_sounding) -> None:
    fit = fit_channel(
        [make_sounding(FADING, (0.0,), num_frames=20)], FitConfig(num_resamples=20, seed=0)
    )
    (line,) = [line for line in describe(fit) if "SFO" in line]
    assert "SFO 0.5 ppm" in line
    assert "nan" not in line
    assert fit.summary()["front_end"]["sfo_ppm"]["interval"] == [None, None]
    assert "sfo_ppm" not in fit.model.uncertainty
