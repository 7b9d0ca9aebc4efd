"""Families of fading: marginals against SciPy, time and phase against the Gaussian parts."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import j0

from phyemu.channel import FadingFamily, FadingProcess

# ln |g| of log-normal fading of mean power one has the mean -sigma^2.
ORACLES = {
    "nakagami-3": (FadingFamily.NAKAGAMI, 3.0, stats.nakagami(3.0)),
    "nakagami-0.6": (FadingFamily.NAKAGAMI, 0.6, stats.nakagami(0.6)),
    "lognormal": (FadingFamily.LOGNORMAL, 0.5, stats.lognorm(0.5, scale=np.exp(-0.25))),
}
POWER = 0.25


def process(name: str, k_factor: float = 0.0, doppler_hz: float = 20.0) -> FadingProcess:
    family, shape, _ = ORACLES[name]
    return FadingProcess(
        powers=(POWER, 1 - POWER),
        k_factor=(k_factor, 2.0),
        doppler_hz=(doppler_hz, doppler_hz),
        family=(family, FadingFamily.RICIAN),
        shape=(shape, 0.0),
    )


def amplitudes(gains: torch.Tensor) -> np.ndarray:
    return gains.abs().double().numpy() / np.sqrt(POWER)


@pytest.mark.parametrize("k_factor", [0.0, 5.0, 2000.0])
@pytest.mark.parametrize("name", list(ORACLES))
def test_a_draw_has_the_marginal_of_the_family(
    name: str, k_factor: float, generator: torch.Generator
) -> None:
    gains = process(name, k_factor).draw(20_000, num_steps=1, interval_s=1.0, generator=generator)
    measured = amplitudes(gains[:, 0, 0])
    # Kolmogorov: sqrt(n) D stays below 1.95 with 99.9 %.
    assert stats.kstest(measured, ORACLES[name][2].cdf).statistic < 1.95 / np.sqrt(20_000)
    power = np.square(measured)
    assert power.mean() == pytest.approx(1.0, abs=5 * power.std() / np.sqrt(20_000))
    # The other path is left alone: Rice with nu^2 = 2/3 of its power, sigma^2 = 1/6.
    other = gains[:, 0, 1].abs().double().numpy() / np.sqrt(1 - POWER)
    rice = stats.rice(np.sqrt(2 * 2.0), scale=np.sqrt(1 / 6))
    assert stats.kstest(other, rice.cdf).statistic < 1.95 / np.sqrt(20_000)


@pytest.mark.parametrize("name", list(ORACLES))
def test_realisations_over_time_have_the_marginal_of_the_family(
    name: str, generator: torch.Generator
) -> None:
    times_s = 7.3 + torch.arange(4, dtype=torch.float64) * 0.5
    values = [process(name).realise(generator).gains(times_s)[:, 0] for _ in range(1500)]
    measured = amplitudes(torch.stack(values)).ravel()
    # Steps ten Doppler periods apart are nearly independent: J0(20 pi) = 0.07. A sum of 48
    # sinusoids misses the Gaussian distribution by up to 0.003.
    critical = 1.95 / np.sqrt(len(measured)) + 0.003
    assert stats.kstest(measured, ORACLES[name][2].cdf).statistic < critical
    blocks = process(name).realise_blocks(0.01, generator)
    measured = amplitudes(blocks.gains(torch.arange(6000, dtype=torch.float64) * 0.01)[:, 0])
    assert stats.kstest(measured, ORACLES[name][2].cdf).statistic < 1.95 / np.sqrt(6000)


@pytest.mark.parametrize("name", ["nakagami-3", "lognormal"])
def test_the_autocorrelation_stays_close_to_that_of_the_gaussian_parts(
    name: str, generator: torch.Generator
) -> None:
    gains = process(name, doppler_hz=10.0).draw(
        4000, num_steps=12, interval_s=5e-3, generator=generator
    )[:, :, 0]
    measured = (gains[:, :1].conj() * gains).mean(dim=0).numpy() / POWER
    expected = j0(2 * np.pi * 10.0 * np.arange(12) * 5e-3)
    # 5 / sqrt(4000) of statistics; the map bends the correlation by a few hundredths.
    assert np.abs(measured - expected).max() < 5 / np.sqrt(4000) + 0.04
    # What fades together still does: phases are those of the Gaussian parts.
    same = FadingProcess(powers=(1.0,), k_factor=(0.0,), doppler_hz=(0.0,))
    other = FadingProcess(
        powers=(1.0,),
        k_factor=(0.0,),
        doppler_hz=(0.0,),
        family=(ORACLES[name][0],),
        shape=(ORACLES[name][1],),
    )
    pair = [
        item.draw(50, num_steps=1, interval_s=1.0, generator=torch.Generator().manual_seed(4))
        for item in (same, other)
    ]
    assert torch.allclose(pair[0] / pair[0].abs(), pair[1] / pair[1].abs(), atol=1e-5)
    # And larger amplitudes stay larger: the map is monotone.
    assert torch.equal(pair[0].abs().flatten().argsort(), pair[1].abs().flatten().argsort())
