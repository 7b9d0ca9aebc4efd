"""Decibel helpers against closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu import units


@given(st.floats(-200, 200))
def test_power_and_amplitude_invert_their_decibels(value_db: float) -> None:
    assert units.power_to_db(units.db_to_power(value_db)) == pytest.approx(value_db, abs=1e-9)
    assert units.amplitude_to_db(units.db_to_amplitude(value_db)) == pytest.approx(
        value_db, abs=1e-9
    )


def test_zero_power_is_minus_infinity_and_negative_power_is_no_number() -> None:
    assert units.power_to_db(0.0) == -math.inf
    assert math.isnan(units.power_to_db(-1.0))


def test_a_full_scale_tone_has_zero_dbfs_and_silence_has_none() -> None:
    tone = np.exp(2j * np.pi * 0.1 * np.arange(1000)).astype(np.complex64)
    assert units.power_dbfs(tone) == pytest.approx(0.0, abs=1e-5)
    assert units.power_dbfs(np.zeros(10, np.complex64)) == -math.inf
    assert units.power_dbfs(np.zeros(0, np.complex64)) == -math.inf


def test_ppm_is_a_millionth() -> None:
    assert units.ppm_to_ratio(-20.0) == pytest.approx(0.99998)
