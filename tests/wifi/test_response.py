"""HT-LTF and L-LTF are combined where they see one channel, and told apart where they do not."""

from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.wifi import TrainingComparison, detect_wifi_frames, receive_wifi_frame
from phyemu.wifi.modes import HT_CARRIERS

RATE = 20e6
A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
TAPS = np.array([0.8, 0.0, 0.5j, 0.0, -0.2])
FRAMES = 30


def _trainings(
    frame: NDArray[np.complex64], *, noise: float
) -> list[tuple[int, TrainingComparison]]:
    """Return (lateness of the estimate, comparison) of many frames through TAPS at a power of 1."""
    gap = np.zeros(300, np.complex64)
    clean = np.concatenate([part for _ in range(FRAMES) for part in (gap, frame)] + [gap])
    through = np.convolve(clean, TAPS)[: len(clean)]
    rng = np.random.default_rng(11)
    white = rng.standard_normal((len(clean), 2)) @ np.array([1.0, 1j])
    iq = (through + np.sqrt(noise / 2) * white).astype(np.complex64)
    found = []
    for number, preamble in enumerate(detect_wifi_frames([iq], sample_rate_hz=RATE)):
        reception = receive_wifi_frame(preamble, lambda start, n: iq[start : start + n])
        assert reception.training is not None
        true_start = number * (len(frame) + 300) + 300 + 192
        found.append((preamble.ltf_start - true_start, reception.training))
    assert len(found) == FRAMES
    return found


def test_the_combined_error_is_the_noise_it_says(wifi_transmitter: ModuleType) -> None:
    frame = wifi_transmitter.ht_frame(wifi_transmitter.data_mpdu(A, B), 3)
    noise = 1e-3
    carriers = np.array(HT_CARRIERS)
    truth = np.exp(-2j * np.pi * np.outer(carriers, np.arange(5)) / 64) @ TAPS
    combined, legacy_only = [], []
    for late, training in _trainings(frame, noise=noise):
        assert training.same_channel
        turned = training.combined.transfer * np.exp(-2j * np.pi * carriers * late / 64)
        common = np.vdot(truth, turned)
        combined.append(turned - truth * common / abs(common))
        legacy_only.append(training.combined.noise_variance)
    error = np.square(np.abs(np.array(combined)))
    inner, outer = error[:, 2:-2].mean(), error[:, [0, 1, -2, -1]].mean()
    # By the docstring: 1 / (2 x 64 / 52 + 64 / 56) = 0.277 and 56 / 64 of the noise of a sample.
    # Mean over 52 (4) complex values of 30 frames, each exponential; a common phase is fitted.
    assert inner == pytest.approx(0.277 * noise, rel=5 / np.sqrt(FRAMES * 52) + 0.02)
    assert outer == pytest.approx(0.875 * noise, rel=5 / np.sqrt(FRAMES * 4))
    stated = np.mean(legacy_only, axis=0)
    assert stated[30] == pytest.approx(0.277 * noise, rel=5 / np.sqrt(FRAMES * 52))
    assert stated[0] == pytest.approx(0.875 * noise, rel=5 / np.sqrt(FRAMES * 52))


def test_noise_alone_makes_a_mismatch_of_one(wifi_transmitter: ModuleType) -> None:
    frame = wifi_transmitter.ht_frame(wifi_transmitter.data_mpdu(A, B), 3)
    values = np.array([training.mismatch for _, training in _trainings(frame, noise=1e-3)])
    # Chi-square of 102 degrees of freedom over one of 104: a standard deviation of 0.2.
    assert values.mean() == pytest.approx(1.02, abs=5 * 0.2 / np.sqrt(FRAMES))
    assert values.max() < 2.0


def test_a_cyclic_shift_of_the_ht_part_is_another_channel(wifi_transmitter: ModuleType) -> None:
    options = wifi_transmitter.HtOptions(ht_shift=3)
    frame = wifi_transmitter.ht_frame(wifi_transmitter.data_mpdu(A, B), 3, options)
    for _, training in _trainings(frame, noise=1e-3):
        assert not training.same_channel
        # The power is the same, by the noise of 56 and 52 values.
        assert training.gain_db == pytest.approx(0.0, abs=0.3)


def test_data_behind_a_cyclic_shift_are_decoded_by_the_ht_ltf(wifi_transmitter: ModuleType) -> None:
    options = wifi_transmitter.HtOptions(ht_shift=3)
    frame = wifi_transmitter.ht_frame(wifi_transmitter.data_mpdu(A, B), 3, options)
    iq = np.concatenate([np.zeros(300), frame, np.zeros(300)])
    rng = np.random.default_rng(0)
    iq = iq + 0.02 * (rng.standard_normal((len(iq), 2)) @ np.array([1.0, 1j]))
    iq = iq.astype(np.complex64)
    (preamble,) = detect_wifi_frames([iq], sample_rate_hz=RATE)
    reception = receive_wifi_frame(preamble, lambda start, n: iq[start : start + n])
    assert reception.content.fcs_ok is True
    assert len(reception.response.carriers) == 52
