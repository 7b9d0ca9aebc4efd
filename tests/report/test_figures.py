"""Figures show what they are given."""

import numpy as np
import pytest

from phyemu.report import constellation_figure, loss_figure, power_delay_profile_figure


def test_profiles_are_relative_to_their_strongest_value() -> None:
    figure = power_delay_profile_figure({"a": ([3e-7, 4e-7], [0.2, 2.0]), "b": ([0], [7.0])})
    assert list(figure.data[0].x) == pytest.approx([300.0, 400.0])
    assert list(figure.data[0].y) == pytest.approx([-10.0, 0.0])
    assert list(figure.data[1].y) == [0.0]


def test_large_clouds_are_thinned() -> None:
    cloud = np.ones(100_000, np.complex64)
    figure = constellation_figure(cloud, cloud, cloud[:4])
    assert len(figure.data[0].x) <= 2 * 4000


def test_epochs_count_from_one() -> None:
    assert list(loss_figure({"a": [3.0, 2.0]}).data[0].x) == [1, 2]
