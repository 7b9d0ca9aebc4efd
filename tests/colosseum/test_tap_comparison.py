"""Paths are held against a scenario's taps, wherever delay 0 and whatever the level is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.tap_comparison import are_resolved, compare_taps


def response(delays_ns: list[float], gains: list[complex]) -> ImpulseResponse:
    return ImpulseResponse(
        torch.tensor([gains], dtype=torch.complex64),
        torch.tensor(delays_ns, dtype=torch.float64) / 1e9,
        1e-3,
    )


LINK = response([0, 128, 200, 400], [0.5 + 0.5j, 0.1, -0.01 + 0.1j, -0.5j])


@given(
    st.lists(st.floats(-3, 3), min_size=4, max_size=4),
    st.lists(st.floats(-0.4, 0.4), min_size=4, max_size=4),
    st.floats(-500, 500),
    st.floats(-60, 20),
)
def test_known_errors_come_out_beside_any_delay_and_level(
    shifts_ns: list[float], errors_db: list[float], late_ns: float, level_db: float
) -> None:
    delays_ns = 10 * np.round(1e8 * LINK.delays_s.numpy())
    gains = LINK.gains[0].numpy() * 10 ** ((np.array(errors_db) + level_db) / 20)
    measured = response(list(delays_ns + shifts_ns + late_ns), list(gains))
    found = compare_taps(measured, LINK, bandwidth_hz=100e6)
    assert (found.num_missed, found.extra_paths) == (0, 0)
    power = np.abs(LINK.gains[0].numpy()) ** 2
    mean_ns = (power * shifts_ns).sum() / power.sum()
    assert [1e9 * tap.delay_error_s for tap in found.taps] == pytest.approx(
        np.array(shifts_ns) - mean_ns, abs=0.05
    )
    mean_db = 10 * math.log10((power * 10 ** (np.array(errors_db) / 10)).sum() / power.sum())
    assert [tap.gain_error_db for tap in found.taps] == pytest.approx(
        np.array(errors_db) - mean_db, abs=0.01
    )
    assert found.level_db == pytest.approx(level_db + mean_db, abs=0.01)


def test_missed_taps_and_extra_paths_are_counted() -> None:
    measured = response([0, 128, 900], [0.5 + 0.5j, 0.1, 0.02])
    found = compare_taps(measured, LINK, bandwidth_hz=20e6)
    assert (found.num_missed, found.extra_paths) == (2, 1)
    # 128 ns is 130 ns on the emulator's grid.
    assert found.max_delay_error_s < 3e-9
    assert found.max_gain_error_db < 0.01


def test_a_first_tap_that_is_too_weak_does_not_shift_the_rest() -> None:
    link = response([0, 300, 500], [0.01, 1.0, 0.5])
    found = compare_taps(response([0, 200], [1.0, 0.5]), link, bandwidth_hz=20e6)
    assert [tap.is_found for tap in found.taps] == [False, True, True]
    assert found.max_delay_error_s < 1e-12


def test_taps_below_the_emulators_range_are_not_expected() -> None:
    found = compare_taps(response([0], [1.0]), response([0, 100], [1, 0.001]), bandwidth_hz=20e6)
    assert (len(found.taps), found.num_missed) == (1, 0)


def test_a_link_without_taps_explains_nothing() -> None:
    found = compare_taps(response([0], [1.0]), response([0], [0.0]), bandwidth_hz=20e6)
    assert (found.taps, found.extra_paths) == ((), 1)
    assert math.isnan(found.max_delay_error_s)


def test_dense_taps_are_not_resolved_by_a_narrow_band() -> None:
    assert are_resolved(LINK, bandwidth_hz=20e6)
    assert not are_resolved(LINK, bandwidth_hz=5e6)
    assert not are_resolved(response([0], [0.0]), bandwidth_hz=20e6)
