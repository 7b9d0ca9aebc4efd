"""Doppler from frames whose carrier phase is random."""

import numpy as np
import pytest
import torch

from phyemu.channel import DopplerSpectrum, FadingProcess
from phyemu.fitting.fading_memory import effective_frames, measure_memory
from phyemu.fitting.path_gains import PathGains
from phyemu.fitting.rician_link import fit_rician_link

INTERVAL_S = 5e-3


def _paths(fading: FadingProcess, count: int, noise: float, seed: int) -> PathGains:
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    gains = fading.draw(1, num_steps=count, interval_s=INTERVAL_S, generator=generator)[0].numpy()
    gains = gains * np.exp(2j * np.pi * rng.random((count, 1)))
    error = rng.standard_normal((*gains.shape, 2)) @ np.array([1.0, 1j]) * np.sqrt(noise / 2)
    return PathGains(
        delays_s=np.arange(fading.num_paths) * 1e-7,
        gains=gains + error,
        noise_level=np.full(count, noise),
        noise_shape=np.eye(fading.num_paths, dtype=complex),
    )


def _memory(fading: FadingProcess, *, count: int = 400, noise: float = 1e-2, seed: int = 0):
    paths = _paths(fading, count, noise, seed)
    specular = np.array(fading.k_factor) > 0
    link = fit_rician_link(paths, specular=specular, correlated=False)
    return measure_memory(paths, link, np.arange(count), interval_s=INTERVAL_S)


@pytest.mark.parametrize("k_factor", [(0.0, 0.0, 0.0), (4.0, 0.0, 0.0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_doppler_survives_a_random_phase_in_every_frame(
    k_factor: tuple[float, ...], seed: int
) -> None:
    fading = FadingProcess(powers=(0.6, 0.3, 0.1), k_factor=k_factor, doppler_hz=(10.0,) * 3)
    doppler = _memory(fading, seed=seed).doppler_hz
    # 20 periods of the fading, three paths: a standard error of about 8 %.
    assert doppler.value == pytest.approx(10.0, rel=0.25)
    assert doppler.low < doppler.value < doppler.high


def test_a_single_path_tells_its_doppler_too() -> None:
    fading = FadingProcess(powers=(1.0,), k_factor=(0.0,), doppler_hz=(10.0,))
    assert _memory(fading, count=800).doppler_hz.value == pytest.approx(10.0, rel=0.3)


def test_the_shape_of_the_spectrum_is_recognised() -> None:
    bell = FadingProcess(
        powers=(0.5, 0.5), k_factor=(0, 0), doppler_hz=(5.0, 5.0), spectrum=DopplerSpectrum.BELL
    )
    assert _memory(bell, count=800, seed=1).spectrum is DopplerSpectrum.BELL


def test_frames_that_fade_independently_leave_the_doppler_open() -> None:
    fast = FadingProcess(
        powers=(0.5, 0.5), k_factor=(0, 0), doppler_hz=(900.0, 900.0), spectrum=DopplerSpectrum.BELL
    )
    memory = _memory(fast)
    assert not memory.resolved
    assert np.isnan(memory.doppler_hz.value)
    assert effective_frames(memory, num_frames=400, interval_s=INTERVAL_S) == 400


def test_a_static_link_has_nothing_to_remember() -> None:
    still = FadingProcess(powers=(0.5, 0.5), k_factor=(np.inf, np.inf), doppler_hz=(0.0, 0.0))
    assert not _memory(still).resolved


def test_the_coherence_time_is_where_jakes_falls_to_one_half() -> None:
    fading = FadingProcess(powers=(0.5, 0.5), k_factor=(0, 0), doppler_hz=(10.0, 10.0))
    memory = _memory(fading)
    # J0(x) = 1/2 at x = 1.5211.
    expected = 1.5211 / (2 * np.pi * memory.doppler_hz.value)
    assert memory.spectrum is DopplerSpectrum.JAKES
    assert memory.coherence_time_s == pytest.approx(expected, rel=0.01)


def test_a_slow_record_is_worth_few_frames() -> None:
    slow = FadingProcess(powers=(0.5, 0.5), k_factor=(0, 0), doppler_hz=(0.5, 0.5))
    memory = _memory(slow)
    assert effective_frames(memory, num_frames=400, interval_s=INTERVAL_S) < 10
