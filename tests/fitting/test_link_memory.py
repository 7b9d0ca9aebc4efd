"""Doppler of whole links, and what calibration does for short records."""

import numpy as np
import pytest
import torch

from phyemu.channel import DopplerSpectrum, FadingProcess
from phyemu.fitting.link_memory import measure_link_memory
from phyemu.fitting.path_gains import PathGains

INTERVAL_S = 10e-3
DOPPLER_HZ = 5.0


def gains_of(fading: FadingProcess, mixing: np.ndarray, count: int, seed: int) -> PathGains:
    """Return mixtures of a few fading processes, a carrier phase new in each frame."""
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    sources = fading.draw(1, num_steps=count, interval_s=INTERVAL_S, generator=generator)[0]
    gains = sources.numpy() @ mixing.T * np.exp(2j * np.pi * rng.random((count, 1)))
    error = rng.standard_normal((*gains.shape, 2)) @ np.array([1.0, 1j]) * np.sqrt(1e-4 / 2)
    return PathGains(
        delays_s=np.arange(len(mixing)) * 1e-7,
        gains=gains + error,
        noise_level=np.full(count, 1e-4),
        noise_shape=np.eye(len(mixing), dtype=complex),
    )


def test_paths_that_fade_as_one_tell_their_doppler() -> None:
    # Two taps, seen as eight paths by what they leak into each: 20 periods of fading.
    fading = FadingProcess(powers=(0.7, 0.3), k_factor=(0.0, 0.0), doppler_hz=(10.0, 10.0))
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((8, 2)) + 1j * rng.standard_normal((8, 2))
    memory = measure_link_memory(
        gains_of(fading, mixing, 200, seed=1),
        np.arange(200),
        interval_s=INTERVAL_S,
    )
    assert memory.doppler_hz.value == pytest.approx(10.0, rel=0.25)


def test_a_short_record_is_unbiased_and_its_interval_holds_the_truth() -> None:
    fading = FadingProcess(
        powers=(0.5, 0.3, 0.2),
        k_factor=(0.0,) * 3,
        doppler_hz=(DOPPLER_HZ,) * 3,
        spectrum=DopplerSpectrum.BELL,
    )
    raw, calibrated, inside = [], [], 0
    seeds = range(16)
    for seed in seeds:
        gains = gains_of(fading, np.eye(3), 120, seed)
        for calibrate, found in ((False, raw), (True, calibrated)):
            memory = measure_link_memory(
                gains,
                np.arange(120),
                interval_s=INTERVAL_S,
                calibrate=calibrate,
            )
            if memory.spectrum is DopplerSpectrum.BELL:
                found.append(np.log(memory.doppler_hz.value / DOPPLER_HZ))
        inside += memory.doppler_hz.contains(DOPPLER_HZ)
    # Binomial(16, 0.95): 11 or fewer has a chance of 8e-4.
    assert inside >= 12
    # Uncalibrated, 15 independent frames look some 10 % faster than they are.
    assert abs(np.mean(calibrated)) < 3 * np.std(calibrated) / np.sqrt(len(calibrated)) + 0.03
    assert abs(np.mean(calibrated)) < abs(np.mean(raw))
