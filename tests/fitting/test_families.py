"""Fading families end to end: chosen on the measurement, drawn by the model as the world draws."""

import numpy as np
import pytest
import torch
from scipy import stats

from phyemu.channel import EmpiricalChannel, FadingFamily, FadingProcess, load_model, save_model
from phyemu.fitting import FitConfig, fit_channel
from phyemu.fitting.summary import describe

DELAYS_S = (0.0, 150e-9, 350e-9)
WORLDS = {
    "nakagami": FadingProcess(
        powers=(0.6, 0.3, 0.1),
        k_factor=(0.0, 0.0, 0.0),
        doppler_hz=(10.0,) * 3,
        family=(FadingFamily.NAKAGAMI, FadingFamily.NAKAGAMI, FadingFamily.RAYLEIGH),
        shape=(3.0, 0.6, 0.0),
    ),
    "lognormal": FadingProcess(
        powers=(0.6, 0.3, 0.1),
        k_factor=(0.0, 0.0, 0.0),
        doppler_hz=(10.0,) * 3,
        family=(FadingFamily.LOGNORMAL, FadingFamily.RAYLEIGH, FadingFamily.RAYLEIGH),
        shape=(0.45, 0.0, 0.0),
    ),
}


@pytest.mark.parametrize("name", list(WORLDS))
def test_a_family_is_chosen_and_drawn(name: str, make_sounding, tmp_path) -> None:
    world, count = WORLDS[name], 1000
    sounding = make_sounding(
        world, DELAYS_S, num_frames=count, independent=True, num_frequencies=32, seed=2
    )
    fit = fit_channel([sounding], FitConfig(num_resamples=20))
    model = fit.model
    assert isinstance(model, EmpiricalChannel)
    # Nakagami 3 and Rice are 0.0065 nat per frame apart: a thousand frames tell by some 6 nat.
    assert model.family == world.family
    for path, shape in enumerate(world.shape):
        # ln m is known to about sqrt(2 / N), ln sigma to sqrt(1 / 2 N): allow five.
        assert model.shape[path] == pytest.approx(shape, rel=5 * np.sqrt(2 / count))
        assert fit.paths[path].shape.low <= fit.paths[path].shape.value
    assert any(f"{name} " in line for line in describe(fit))
    assert load_model(save_model(model, tmp_path / "fit.h5")) == model
    n = 1000
    drawn, truth = (
        process.draw(n, num_steps=1, interval_s=1.0, generator=torch.Generator().manual_seed(seed))
        for seed, process in ((8, model.fading), (9, world))
    )
    for path in range(3):
        a, b = drawn[:, 0, path].abs().numpy(), truth[:, 0, path].abs().numpy()
        # Two samples of n (1.63: 99 %), one from parameters that `count` frames have told.
        limit = 1.63 * np.sqrt(2 / n) + 1.0 / np.sqrt(count)
        assert stats.ks_2samp(a, b).statistic < limit


def test_rician_worlds_stay_rician(make_sounding) -> None:
    world = FadingProcess(powers=(0.7, 0.3), k_factor=(4.0, 0.0), doppler_hz=(10.0,) * 2)
    chosen = []
    for seed in range(8):
        sounding = make_sounding(
            world, DELAYS_S[:2], num_frames=150, independent=True, num_frequencies=16, seed=seed
        )
        fit = fit_channel([sounding], FitConfig(num_resamples=20))
        chosen += [path.family for path in fit.paths]
        assert all(path.shape.value == 0 for path in fit.paths if not path.family.reshapes)
    # A wrong family needs evidence of 3 to 1: of 16 paths, five with a chance of 1e-2 at most.
    assert sum(family.reshapes for family in chosen) < 5
