"""Fractional delays: in-band error, exactness on the grid."""

import numpy as np
import pytest
import torch

from phyemu.channel.fractional_delay import delay_filters


@pytest.mark.parametrize("delay", [0.5, 0.1, 3.37, -2.25, 17.999])
def test_in_band_error_stays_below_minus_sixty_db(delay: float) -> None:
    lags, filters = delay_filters(torch.tensor([delay], dtype=torch.float64))
    frequencies = np.linspace(-0.42, 0.42, 401)
    response = np.exp(-2j * np.pi * frequencies[:, None] * lags.numpy()) @ filters[0].numpy()
    ideal = np.exp(-2j * np.pi * frequencies * delay)
    assert 20 * np.log10(np.abs(response - ideal).max()) < -70


def test_delays_on_the_grid_take_one_exact_tap() -> None:
    lags, filters = delay_filters(torch.tensor([0.0, 3.0, 18.0 + 1e-9], dtype=torch.float64))
    assert lags.tolist() == [0, 3, 18]
    assert torch.equal(filters, torch.eye(3, dtype=torch.float64))


def test_paths_share_lags() -> None:
    lags, filters = delay_filters(torch.tensor([0.25, 1.75], dtype=torch.float64))
    assert len(lags) == 33
    assert filters.shape == (2, 33)
