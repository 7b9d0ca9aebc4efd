"""Gain, phase and noise of equalised symbols."""

import numpy as np
import pytest
import torch

from phyemu.receiver.carrier_tracking import CarrierTrack, track_carrier
from phyemu.waveform import FrameFormat, frame_layout, psk, qam


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


def test_several_frames_equal_single_ones() -> None:
    rng = np.random.default_rng(2)
    layout = frame_layout(FrameFormat(), 1500)
    count = layout.num_symbols
    positions = np.concatenate([np.arange(200), layout.pilot_positions.numpy()])
    sent = psk(8).points[torch.from_numpy(rng.integers(8, size=(3, count)))].numpy()
    sent[:, positions] = 1.0
    noise = rng.standard_normal((3, count)) + 1j * rng.standard_normal((3, count))
    walks = np.cumsum(rng.standard_normal((3, count)) * np.array([[0.0], [0.02], [0.005]]), axis=1)
    variances = np.array([0.02, 0.05, 0.2])
    symbols = sent * np.exp(1j * walks) + np.sqrt(variances / 2)[:, None] * noise
    symbols = symbols.astype(np.complex64)
    known = np.ones(len(positions), np.complex64)

    def track(rows: np.ndarray, variance: np.ndarray) -> CarrierTrack:
        return track_carrier(
            rows, positions, known, psk(8), noise_variance=variance, frequency_variance=1e-7
        )

    together = track(symbols, variances)
    for row in range(3):
        alone = track(symbols[row], variances[row])
        np.testing.assert_allclose(together.correction[row], alone.correction, atol=1e-5)
        assert together.noise_variance[row] == pytest.approx(float(alone.noise_variance), rel=1e-5)


def test_symbols_that_are_ignored_do_not_lead_the_phase_astray() -> None:
    rng = np.random.default_rng(3)
    layout = frame_layout(FrameFormat(), 4000)
    count = layout.num_symbols
    positions = np.concatenate([np.arange(200), layout.pilot_positions.numpy()])
    sent = psk(8).points[torch.from_numpy(rng.integers(8, size=count))].numpy()
    sent[positions] = 1.0
    noise = rng.standard_normal(count) + 1j * rng.standard_normal(count)
    symbols = sent * np.exp(0.3j + 2e-4j * np.arange(count)) + np.sqrt(0.01) * noise
    lost = slice(1500, 2500)
    symbols[lost] = 4.0 * noise[lost]
    ignored = np.zeros(count, bool)
    ignored[lost] = True
    inside = ~ignored[positions]
    track = track_carrier(
        symbols.astype(np.complex64),
        positions[inside],
        np.ones(inside.sum(), np.complex64),
        psk(8),
        noise_variance=0.02,
        frequency_variance=1e-7,
        ignored=ignored,
    )
    # 3200 symbols show the variance to 2 %; the phase to far less than a symbol's own error.
    assert track.noise_variance == pytest.approx(0.02, rel=0.1)
    expected = np.exp(-0.3j - 2e-4j * np.arange(count))
    assert np.abs(track.correction * 1.0 - expected)[~ignored].max() < 0.03
    np.testing.assert_allclose(track.points, symbols * track.correction, atol=1e-5)
