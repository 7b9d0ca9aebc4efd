"""Large-scale drift: spread, memory, mean power."""

import dataclasses

import numpy as np
import pytest
import torch

from phyemu.channel import Distribution, EmpiricalChannel, LargeScaleDrift
from phyemu.errors import ConfigError

DRIFT = LargeScaleDrift(std_db=3.0, correlation_s=2.0)


def test_the_level_has_the_stated_spread_and_memory(generator: torch.Generator) -> None:
    n = 4000
    factors = DRIFT.draw(n, num_steps=9, interval_s=0.5, generator=generator)[..., 0]
    level_db = 20 * torch.log10(factors.double())
    assert factors.double().square().mean().item() == pytest.approx(1.0, abs=5 * 0.8 / n**0.5)
    centred = level_db - level_db.mean()
    correlation = (centred[:, :1] * centred).mean(dim=0) / 9.0
    # exp(-tau / 2 s), which the cut of the spectrum changes by up to 0.04.
    expected = np.exp(-np.arange(9) * 0.5 / 2.0)
    assert np.abs(correlation.numpy() - expected).max() < 5 * 1.5 / np.sqrt(n) + 0.04


def test_an_endless_realisation_drifts_and_is_a_function_of_time(
    generator: torch.Generator,
) -> None:
    factor = DRIFT.realise(generator)
    times_s = torch.arange(4000, dtype=torch.float64) * 0.5
    whole = factor(times_s)[:, 0]
    level_db = 20 * torch.log10(whole.double())
    # 2000 s hold about 1000 independent levels of 48 sinusoids.
    assert level_db.std().item() == pytest.approx(3.0, rel=0.15)
    assert torch.allclose(factor(times_s[700:705])[:, 0], whole[700:705], atol=1e-5)


def test_a_fitted_channel_drifts_in_draws_and_realisations(generator: torch.Generator) -> None:
    still = EmpiricalChannel(
        name="still",
        delays_s=(0.0,),
        powers=(1.0,),
        k_factor=(float("inf"),),
        doppler_hz=(0.0,),
        cn0_dbhz=Distribution.constant(90.0),
    )
    for block_s in (None, 0.01):
        model = dataclasses.replace(still, drift=DRIFT, block_s=block_s)
        draw = model.draw(
            2000, num_steps=1, interval_s=1.0, symbol_rate_hz=1e6, generator=generator
        )
        drawn_db = 20 * torch.log10(draw.response.gains.abs().double())
        assert drawn_db.std().item() == pytest.approx(3.0, rel=5 / (2 * 2000) ** 0.5)
        realised = model.realise(symbol_rate_hz=1e6, generator=generator)
        times_s = torch.arange(2000, dtype=torch.float64) * 2.0
        realised_db = 20 * torch.log10(realised.gains(times_s).abs().double())
        assert realised_db.std().item() == pytest.approx(3.0, rel=0.2)


@pytest.mark.parametrize("change", [{"std_db": -1.0}, {"correlation_s": 0.0}])
def test_what_is_no_drift_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        dataclasses.replace(DRIFT, **change)
