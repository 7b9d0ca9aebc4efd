"""LS responses of bursts against the channel that was put in."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.sounding.burst_estimate import estimate_bursts
from phyemu.waveform.sounder import SounderFormat, sounder_bins, sounder_waveform

FORMAT = SounderFormat(sample_rate_hz=20e6, length=256, repetitions=9, gap_samples=512)
TAPS = {0: 0.8, 3: 0.5j, 40: -0.2}


def _bursts(count: int, *, cfo_hz: float, noise: float, seed: int = 1) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    burst = sounder_waveform(FORMAT).numpy()
    clean = np.zeros(len(burst), complex)
    for delay, gain in TAPS.items():
        clean[delay:] += gain * burst[: len(burst) - delay]
    clean *= np.exp(2j * np.pi * cfo_hz / 20e6 * np.arange(len(burst)))
    shape = (count, len(burst))
    added = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return (clean + np.sqrt(noise / 2) * added).astype(np.complex64)


def _truth() -> NDArray[np.complex128]:
    bins = sounder_bins(FORMAT).numpy()
    response = np.zeros(len(bins), complex)
    for delay, gain in TAPS.items():
        response += gain * np.exp(-2j * np.pi * bins * delay / 256)
    return response


def test_response_is_exact_without_noise() -> None:
    estimates = estimate_bursts(_bursts(2, cfo_hz=3e3, noise=0.0), FORMAT, cfo_hz=np.full(2, 3e3))
    np.testing.assert_allclose(estimates.transfer, np.stack([_truth()] * 2), atol=2e-5)


@pytest.mark.parametrize("error_hz", [0.0, 5e3, -15e3])
def test_errors_are_as_large_as_they_claim(error_hz: float) -> None:
    # The bin is 78 kHz wide: a rough offset may be wrong by a quarter of that.
    count, noise = 200, 0.1
    iq = _bursts(count, cfo_hz=42e3, noise=noise)
    estimates = estimate_bursts(iq, FORMAT, cfo_hz=np.full(count, 42e3 + error_hz))
    # Noise variance over 8 averaged repetitions of a flat spectrum: noise / 8 per bin.
    assert estimates.noise_variance.mean() == pytest.approx(noise / 8, rel=5 / np.sqrt(200 * 1700))
    phase = np.angle(np.sum(estimates.transfer * _truth().conj(), axis=1))
    error = estimates.transfer * np.exp(-1j * phase)[:, None] - _truth()
    assert np.mean(np.abs(error) ** 2) == pytest.approx(noise / 8, rel=0.05)
    offsets = (estimates.cfo_hz - 42e3) / estimates.cfo_std_hz
    assert abs(offsets.mean()) < 5 / np.sqrt(count)
    assert offsets.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * count))


def test_a_batch_equals_its_singles() -> None:
    iq = _bursts(3, cfo_hz=1e3, noise=0.01)
    batch = estimate_bursts(iq, FORMAT, cfo_hz=np.full(3, 1e3))
    for index in range(3):
        single = estimate_bursts(iq[index : index + 1], FORMAT, cfo_hz=np.full(1, 1e3))
        np.testing.assert_allclose(single.transfer[0], batch.transfer[index], atol=1e-6)


def test_bursts_of_another_length_are_refused() -> None:
    with pytest.raises(SignalError, match="bursts must be"):
        estimate_bursts(np.zeros((1, 100), np.complex64), FORMAT, cfo_hz=np.zeros(1))
