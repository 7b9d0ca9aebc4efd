"""Pooling soundings and splitting them in time."""

import dataclasses

import numpy as np
import pytest

from phyemu.channel import FadingProcess
from phyemu.errors import FitError
from phyemu.fitting.link_frames import pool_soundings

FADING = FadingProcess(powers=(0.8, 0.2), k_factor=(0.0, 0.0), doppler_hz=(0.0, 0.0))
DELAYS_S = (0.0, 200e-9)


def test_a_recording_that_begins_at_another_delay_is_moved_onto_the_first(make_sounding) -> None:
    first = make_sounding(FADING, DELAYS_S, num_frames=200, independent=True, seed=1)
    late_s = 70e-9
    other = make_sounding(
        FADING,
        tuple(delay + late_s for delay in DELAYS_S),
        num_frames=200,
        independent=True,
        seed=2,
    )
    frames = pool_soundings([first, other])
    turned = other.transfer * np.exp(2j * np.pi * first.frequencies_hz * late_s)
    slope = np.angle((frames.transfer[200:] * turned.conj()).sum(axis=0)) / (2 * np.pi)
    error_s = np.polyfit(first.frequencies_hz, np.unwrap(slope), 1)[0]
    assert abs(error_s) < 2e-9


def test_blocks_of_time_are_kept_back(make_sounding) -> None:
    frames = pool_soundings([make_sounding(FADING, DELAYS_S, num_frames=100)])
    fitted, held_out = frames.split(0.3)
    assert (fitted.num_frames, held_out.num_frames) == (70, 30)
    number = np.round(held_out.time_s / 5e-3).astype(int)
    # Three blocks of ten neighbours.
    assert np.count_nonzero(np.diff(number) > 1) == 2
    assert not set(fitted.time_s) & set(held_out.time_s)


def test_too_few_frames_to_keep_any_back_are_refused(make_sounding) -> None:
    frames = pool_soundings([make_sounding(FADING, DELAYS_S, num_frames=3)])
    with pytest.raises(FitError, match="too few to hold out"):
        frames.split(0.3)


def test_other_frequencies_are_refused_by_name(make_sounding) -> None:
    first = make_sounding(FADING, DELAYS_S, num_frames=5)
    other = make_sounding(FADING, DELAYS_S, num_frames=5, num_frequencies=32)
    with pytest.raises(FitError, match=r"synthetic\.sigmf.*fit them separately"):
        pool_soundings([first, other])


def test_wifi_links_are_pooled_on_the_carriers_that_all_measure(make_sounding) -> None:
    wide = dataclasses.replace(make_sounding(FADING, DELAYS_S, num_frames=5), probe="wifi")
    narrow = dataclasses.replace(
        wide,
        frequencies_hz=wide.frequencies_hz[2:-2],
        transfer=wide.transfer[:, 2:-2],
        noise_variance=wide.noise_variance[:, 2:-2],
    )
    frames = pool_soundings([wide, narrow])
    np.testing.assert_array_equal(frames.frequencies_hz, narrow.frequencies_hz)
    assert frames.num_frames == 10


def test_frames_that_are_not_finite_are_left_out(make_sounding) -> None:
    sounding = make_sounding(FADING, DELAYS_S, num_frames=10)
    transfer = sounding.transfer.copy()
    transfer[3, 5] = np.nan
    assert pool_soundings([dataclasses.replace(sounding, transfer=transfer)]).num_frames == 9


def test_calibrated_frames_do_not_mix_with_others(make_sounding) -> None:
    first = make_sounding(FADING, DELAYS_S, num_frames=5)
    other = dataclasses.replace(first, provenance={"calibration": {"name": "cable.sigmf"}})
    assert pool_soundings([other, other]).num_frames == 10
    with pytest.raises(FitError, match="one is calibrated, the other is not"):
        pool_soundings([first, other])
