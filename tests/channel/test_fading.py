"""Fading against theory: Rician moments, Clarke's autocorrelation, level crossings, correlation."""

import math

import numpy as np
import pytest
import torch
from scipy.special import j0

from phyemu.channel import DopplerSpectrum, FadingProcess, doppler_autocorrelation
from phyemu.errors import ConfigError


def process(k_factor: float = 0.0, doppler_hz: float = 0.0, **other: object) -> FadingProcess:
    return FadingProcess(powers=(1.0,), k_factor=(k_factor,), doppler_hz=(doppler_hz,), **other)


@pytest.mark.parametrize("k_factor", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("num_steps", [1, 2])
def test_power_moments_are_those_of_rice(
    k_factor: float, num_steps: int, generator: torch.Generator
) -> None:
    n = 40_000
    gains = process(k_factor, 10.0).draw(
        n, num_steps=num_steps, interval_s=1e-3, generator=generator
    )[:, 0, 0]
    power = gains.abs().double().square()
    # E|g|^2 = 1; var |g|^2 = (1 + 2 K) / (1 + K)^2 (Rice). A sum of 48 sinusoids is short of the
    # Gaussian fourth moment by 1/48 of the diffuse part's.
    variance = (1 + 2 * k_factor) / (1 + k_factor) ** 2
    assert power.mean().item() == pytest.approx(1.0, abs=5 * math.sqrt(variance / n))
    shortage = 1 / 48 / (1 + k_factor) ** 2
    assert power.var().item() == pytest.approx(variance, abs=0.05 * variance + shortage)


@pytest.mark.parametrize("spectrum", list(DopplerSpectrum))
def test_autocorrelation_over_time_is_that_of_the_spectrum(
    spectrum: DopplerSpectrum, generator: torch.Generator
) -> None:
    doppler_hz, n = 10.0, 4000
    fading = process(doppler_hz=doppler_hz, spectrum=spectrum)
    gains = fading.draw(n, num_steps=12, interval_s=5e-3, generator=generator)[:, :, 0]
    measured = (gains[:, :1].conj() * gains).to(torch.complex128).mean(dim=0)
    lags_s = torch.arange(12, dtype=torch.float64) * 5e-3
    expected = doppler_autocorrelation(spectrum, doppler_hz, lags_s)
    assert (measured - expected).abs().max().item() < 5 / n**0.5
    if spectrum is DopplerSpectrum.JAKES:
        np.testing.assert_allclose(expected, j0(2 * np.pi * doppler_hz * lags_s.numpy()))


def test_one_realisation_has_clarkes_autocorrelation_over_its_time(
    generator: torch.Generator,
) -> None:
    times_s = torch.arange(60_000, dtype=torch.float64) * 1e-3
    gains = process(doppler_hz=20.0).realise(generator).gains(times_s)[:, 0].numpy()
    for lag in (5, 10, 20, 40):
        measured = np.mean(gains[:-lag].conj() * gains[lag:]).real
        # 48 sinusoids resolve the spectrum to 1/48; over 1200 Doppler periods time averages do
        # not add to that.
        assert measured == pytest.approx(j0(2 * np.pi * 20 * lag * 1e-3), abs=0.08)


def test_level_crossing_rate_is_rices(generator: torch.Generator) -> None:
    doppler_hz, seconds, rate_hz = 20.0, 100.0, 2000.0
    times_s = torch.arange(int(seconds * rate_hz), dtype=torch.float64) / rate_hz
    counts = {0.3: 0, 1.0: 0}
    for _ in range(2):
        envelope = process(doppler_hz=doppler_hz).realise(generator).gains(times_s).abs()[:, 0]
        for level in counts:
            counts[level] += int(((envelope[:-1] < level) & (envelope[1:] >= level)).sum())
    for level, count in counts.items():
        # N = sqrt(2 pi) fd rho exp(-rho^2) (Rayleigh, Jakes); crossings are nearly Poisson.
        expected = math.sqrt(2 * math.pi) * doppler_hz * level * math.exp(-(level**2)) * seconds * 2
        assert count == pytest.approx(expected, rel=5 / expected**0.5 + 0.03)


def test_specular_phases_are_fixed_beside_a_common_one(generator: torch.Generator) -> None:
    fading = FadingProcess(
        powers=(0.5, 0.5),
        k_factor=(math.inf, math.inf),
        doppler_hz=(0.0, 0.0),
        specular_phase_rad=(0.3, 1.5),
    )
    gains = fading.draw(50, num_steps=1, interval_s=1.0, generator=generator)[:, 0]
    relative = torch.angle(gains[:, 1] / gains[:, 0])
    assert relative.numpy() == pytest.approx(np.full(50, 1.2), abs=1e-5)
    assert torch.angle(gains[:, 0]).std().item() > 1.0


def test_diffuse_parts_have_the_stated_correlation(generator: torch.Generator) -> None:
    rho = 0.6 + 0.3j
    fading = FadingProcess(
        powers=(0.5, 0.5),
        k_factor=(0.0, 0.0),
        doppler_hz=(0.0, 0.0),
        correlation=((1.0, rho), (rho.conjugate(), 1.0)),
    )
    gains = fading.draw(40_000, num_steps=1, interval_s=1.0, generator=generator)[:, 0]
    measured = complex((gains[:, 0] * gains[:, 1].conj()).mean() / 0.5)
    assert measured == pytest.approx(rho, abs=5 / 200)


def test_blocks_are_constant_and_independent(generator: torch.Generator) -> None:
    gains = process().realise_blocks(0.01, generator)
    # A block lies around each multiple of its length: -5 ms ... 4 ms around each 10 ms.
    times_s = (torch.arange(50_000, dtype=torch.float64) - 5) * 1e-3
    values = gains.gains(times_s)[:, 0].reshape(-1, 10)
    assert torch.equal(values, values[:, :1].expand(-1, 10))
    first = values[:, 0]
    assert first.abs().square().mean().item() == pytest.approx(1.0, abs=5 / 5000**0.5)
    assert abs(complex((first[1:] * first[:-1].conj()).mean())) < 5 / 5000**0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"powers": (0.5,)}, "sum to one"),
        ({"powers": (2.0, -1.0)}, "entries"),
        ({"k_factor": (-1.0,)}, "k_factor"),
        ({"doppler_hz": (math.nan,)}, "doppler_hz"),
        ({"doppler_hz": (1.0, 2.0)}, "entries"),
        ({"correlation": ((0.5,),)}, "unit diagonal"),
        ({"correlation": ((1.0, 0.0), (0.0, 1.0))}, "1 x 1"),
    ],
)
def test_what_is_no_process_is_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"powers": (1.0,), "k_factor": (0.0,), "doppler_hz": (0.0,)}
    with pytest.raises(ConfigError, match=message):
        FadingProcess(**(arguments | change))
