"""Figures show what they are given."""

import numpy as np
import pytest

from phyemu.report import constellation_figure, loss_figure, power_delay_profile_figure


def test_profiles_are_relative_to_their_first_and_strongest_path() -> None:
    figure = power_delay_profile_figure({"a": ([3e-7, 4e-7], [0.2, 2.0])})
    x, y = figure.data[0].x, figure.data[0].y
    assert [x[1], x[4]] == pytest.approx([0.0, 100.0])
    assert [y[1], y[4]] == pytest.approx([-10.0, 0.0])


def test_paths_below_the_floor_are_left_out() -> None:
    figure = power_delay_profile_figure({"a": ([0, 1e-7], [1.0, 1e-9])}, floor_db=-40)
    assert len(figure.data[0].x) == 3


def test_large_clouds_are_thinned() -> None:
    cloud = np.ones(100_000, np.complex64)
    figure = constellation_figure(cloud, cloud, cloud[:4])
    assert len(figure.data[0].x) <= 2 * 4000


def test_epochs_count_from_one() -> None:
    assert list(loss_figure({"a": [3.0, 2.0]}).data[0].x) == [1, 2]
