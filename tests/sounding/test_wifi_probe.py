"""Wi-Fi frames as a probe: what the preamble's numbers mean in full scale and hertz."""

import numpy as np
import pytest

from phyemu.sounding.wifi_probe import find_wifi_frames
from phyemu.wifi.preamble import legacy_preamble

RATE = 20e6


def test_powers_and_densities_are_those_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    count, interval, amplitude, noise = 60, 1000, 0.1, 1e-4
    iq = np.zeros(count * interval, complex)
    for index in range(count):
        start = index * interval + 300
        iq[start : start + 320] += amplitude * legacy_preamble().numpy()
    iq += np.sqrt(noise / 2) * (rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq)))
    frames = find_wifi_frames([iq.astype(np.complex64)], sample_rate_hz=RATE)
    assert frames is not None
    assert frames.num_frames == count
    # 64 samples of L-LTF, twice: 104 real degrees of freedom per frame, 60 frames.
    tolerance = 5 / np.sqrt(52 * count)
    assert frames.received_power.mean() == pytest.approx(amplitude**2, rel=tolerance)
    assert frames.noise_floor.mean() == pytest.approx(noise, rel=tolerance)
    assert frames.noise_density.mean() == pytest.approx(noise / RATE, rel=tolerance)
    assert frames.bandwidth_hz == 52 * 312.5e3
    # White noise has a flat profile: 60 exponential draws per carrier, three carriers averaged.
    profile = frames.noise_variance[0] / frames.noise_variance[0].mean()
    assert np.abs(profile - 1).max() < 5 / np.sqrt(3 * count)
    errors = frames.cfo_hz / frames.cfo_std_hz
    assert np.std(errors) == pytest.approx(1.0, abs=5 / np.sqrt(2 * count))


def test_no_frames_are_none() -> None:
    assert find_wifi_frames([np.zeros(5000, np.complex64)], sample_rate_hz=RATE) is None
