"""The sounding sequence has the properties that make it one."""

import numpy as np
import pytest

from phyemu.errors import ConfigError
from phyemu.waveform.sounder import (
    SounderFormat,
    sounder_bins,
    sounder_period,
    sounder_spectrum,
    sounder_waveform,
)


@pytest.mark.parametrize("length", [31, 64, 1021, 1023, 1024])
def test_amplitude_is_constant_and_autocorrelation_ideal(length: int) -> None:
    period = sounder_period(
        SounderFormat(sample_rate_hz=1e6, length=length, gap_samples=2 * length)
    ).numpy()
    np.testing.assert_allclose(np.abs(period), 1.0, atol=1e-5)
    correlation = [abs(np.vdot(period, np.roll(period, k))) for k in range(1, length, 7)]
    assert max(correlation) < 1e-4 * length  # single precision


@pytest.mark.parametrize("bandwidth_hz", [5e6, 16e6])
def test_a_part_of_the_band_is_flat_and_the_rest_empty(bandwidth_hz: float) -> None:
    sounder = SounderFormat(sample_rate_hz=20e6, bandwidth_hz=bandwidth_hz)
    period = sounder_period(sounder).numpy()
    power = np.abs(np.fft.fft(period)) ** 2
    bins = sounder_bins(sounder).numpy()
    assert len(bins) * sounder.bin_spacing_hz <= bandwidth_hz
    np.testing.assert_allclose(power[bins], 1024**2 / len(bins), rtol=1e-4)
    assert np.delete(power, bins % 1024).max() < 1e-4
    np.testing.assert_allclose(np.mean(np.abs(period) ** 2), 1.0, rtol=1e-5)


def test_a_burst_repeats_the_period_whose_spectrum_is_told() -> None:
    sounder = SounderFormat(sample_rate_hz=20e6, length=128, repetitions=5, gap_samples=256)
    burst = sounder_waveform(sounder).numpy()
    assert len(burst) == sounder.burst_samples == 640
    np.testing.assert_array_equal(burst[128:], burst[:-128])
    spectrum = np.fft.fft(burst[:128])[sounder_bins(sounder).numpy()]
    np.testing.assert_allclose(spectrum, sounder_spectrum(sounder).numpy(), atol=1e-3)


def test_whole_bin_offsets_move_the_delay_far_apart() -> None:
    sounder = SounderFormat(sample_rate_hz=20e6)
    period = sounder_period(sounder).numpy()
    n = np.arange(1024)
    delays = []
    for offset in range(-10, 11):  # +-100 kHz in bins of 19.5 kHz is +-5; the differences +-10
        turned = period * np.exp(2j * np.pi * offset * n / 1024)
        match = np.fft.ifft(np.fft.fft(turned) * np.fft.fft(period).conj())
        delays.append(int(np.abs(match).argmax()))
    spread = np.sort(delays)
    gaps = np.diff(np.append(spread, spread[0] + 1024))
    assert gaps.min() > 20


def test_settings_survive_the_metadata() -> None:
    sounder = SounderFormat(sample_rate_hz=20e6, length=512, bandwidth_hz=18e6)
    again = SounderFormat.from_dict(sounder.to_dict())
    assert again.to_dict() == sounder.to_dict()
    assert again.interval_samples == 9 * 512 + 3072
    assert sounder.num_bursts_in(1e-9) == 1
    assert sounder.num_bursts_in(2.5 * sounder.interval_samples / 20e6) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate_hz": 0.0}, "sample_rate_hz must be positive"),
        ({"sample_rate_hz": 1e6, "length": 8}, "length must be 31"),
        ({"sample_rate_hz": 1e6, "repetitions": 2}, "repetitions must be 4"),
        ({"sample_rate_hz": 1e6, "gap_samples": 10}, "two periods"),
        ({"sample_rate_hz": 1e6, "bandwidth_hz": 2e6}, "bandwidth_hz must be positive"),
        ({"sample_rate_hz": 1e6, "bandwidth_hz": 1e3}, "make length larger"),
        ({"sample_rate_hz": 1e6, "root": 2}, "coprime"),
        ({"sample_rate_hz": 1e6, "lenght": 64}, "did you mean length"),
        ({"sample_rate_hz": "fast"}, "sample_rate_hz must be a number"),
        ({"length": 64}, "sample_rate_hz is missing"),
    ],
)
def test_bad_settings_are_refused_by_name(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SounderFormat.from_dict(settings)
