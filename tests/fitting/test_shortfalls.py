"""What is said where a record falls short of what was asked."""

import numpy as np

from phyemu.channel import FadingProcess, MeasuredChannel
from phyemu.fitting import FitConfig, FitMethod, fit_channel

DELAYS_S = (0.0, 150e-9)
MOVING = FadingProcess(powers=(0.8, 0.2), k_factor=(3.0, 0.0), doppler_hz=(10.0, 10.0))


def said(make_sounding, config: FitConfig | None = None, **record: object) -> str:
    sounding = make_sounding(MOVING, DELAYS_S, num_frequencies=32, **record)
    fit = fit_channel([sounding], config or FitConfig(num_resamples=20))
    return "\n".join(fit.warnings)


def test_a_short_record_is_told_of_the_measured_method(make_sounding) -> None:
    text = said(make_sounding, num_frames=6)
    assert "worth" in text
    assert "--method measured" in text
    assert "too few frames (6) to tell how fast they fade" in text


def test_the_measured_method_says_what_it_cannot_know(make_sounding) -> None:
    config = FitConfig(num_resamples=20, method=FitMethod.MEASURED, holdout=0.3)
    sounding = make_sounding(MOVING, DELAYS_S, num_frequencies=32, num_frames=60)
    fit = fit_channel([sounding], config)
    assert isinstance(fit.model, MeasuredChannel)
    text = "\n".join(fit.warnings)
    assert "fades rarer than that are not in it" in text
    assert "--method measured" not in text
    # The check is of the model that is written: played responses, whose power is the record's.
    assert fit.holdout is not None
    assert fit.holdout.effective_snr <= 1.0


def test_frames_too_few_to_hold_any_back_are_fitted_all_the_same(make_sounding) -> None:
    text = said(make_sounding, FitConfig(num_resamples=20, holdout=0.3), num_frames=4)
    assert "nothing was held out: 4 frames are too few" in text


def test_held_out_frames_worth_little_are_no_check(make_sounding) -> None:
    text = said(make_sounding, FitConfig(num_resamples=20, holdout=0.2), num_frames=100)
    assert "say nothing about the fit" in text


def test_held_out_frames_unlike_the_model_are_named(make_sounding) -> None:
    # A level that rises by 6 dB halfway: blocks of either half are held out.
    level_db = np.repeat([0.0, 6.0], 1200)
    text = said(
        make_sounding, FitConfig(num_resamples=20, holdout=0.3), num_frames=2400, drift_db=level_db
    )
    assert "the held-out frames differ from the model in" in text
    assert "power" in text


def test_some_tens_of_frames_do_not_choose_a_family(make_sounding) -> None:
    text = said(make_sounding, num_frames=30, independent=True)
    assert "hardly tell fading families apart" in text
    assert "families" not in said(make_sounding, num_frames=300, independent=True)


def test_a_long_record_is_not_warned_about_its_length(make_sounding) -> None:
    config = FitConfig(num_resamples=20, holdout=0.3)
    text = said(make_sounding, config, num_frames=2400)
    assert text.count("probe cannot tell") <= 1
    for word in ("short", "too few", "say nothing", "held out"):
        assert word not in text


def test_a_drift_whose_time_is_not_told_is_named(make_sounding) -> None:
    # A new level every five frames: blocks of five that see it have nothing in common.
    level_db = np.repeat(5.0 * np.random.default_rng(1).standard_normal(60), 5)
    text = said(make_sounding, num_frames=300, independent=True, drift_db=level_db)
    assert "the record does not tell how fast" in text


def test_a_drift_as_slow_as_the_record_is_a_bound(make_sounding) -> None:
    level_db = np.linspace(-5.0, 5.0, 300)
    text = said(make_sounding, num_frames=300, independent=True, drift_db=level_db)
    assert "is a lower bound" in text
