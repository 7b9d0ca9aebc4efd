"""Gain, phase and noise of equalised symbols."""

import numpy as np
import pytest
import torch

from phyemu.receiver.carrier_tracking import track_carrier
from phyemu.waveform import FrameFormat, frame_layout, qam


def test_gain_phase_and_noise_of_16_qam_are_found() -> None:
    rng = np.random.default_rng(1)
    layout = frame_layout(FrameFormat(), 8000)
    count = layout.num_symbols
    positions = np.concatenate([np.arange(200), layout.pilot_positions.numpy()])
    sent = qam(16).points[torch.from_numpy(rng.integers(16, size=count))].numpy()
    sent[positions] = 1.0
    variance = 0.005
    noise = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    symbols = 0.9 * sent * np.exp(0.4j + 1e-4j * np.arange(count)) + np.sqrt(variance / 2) * noise
    track = track_carrier(
        symbols.astype(np.complex64),
        positions,
        np.ones(len(positions), np.complex64),
        qam(16),
        noise_variance=variance,
        frequency_variance=1e-6,
    )
    assert track.drift == pytest.approx(1e-4, rel=0.02)
    points = symbols * track.correction
    error = np.mean(np.square(np.abs(points - sent)))
    # Dividing by the gain scales the noise; 225 known symbols show the gain to 0.4 %.
    assert error == pytest.approx(variance / 0.81, rel=0.1)
    assert track.noise_variance == pytest.approx(error, rel=0.1)
