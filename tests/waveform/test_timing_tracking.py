"""Sampling clock offset, against frames resampled by the formula of the pulse."""

import numpy as np
import pytest
import torch

from phyemu.waveform import FrameFormat, psk
from phyemu.waveform.equalisation import block_spectra, mmse_equaliser
from phyemu.waveform.timing_tracking import clock_offset_ppm

FORMAT = FrameFormat()


def _pulse(t: np.ndarray) -> np.ndarray:
    a = FORMAT.rolloff
    t = np.where(np.abs(t) < 1e-6, 1e-6, t)
    t = np.where(np.abs(np.abs(4 * a * t) - 1) < 1e-6, t + 1e-5, t)
    top = np.sin(np.pi * t * (1 - a)) + 4 * a * t * np.cos(np.pi * t * (1 + a))
    return top / (np.pi * t * (1 - (4 * a * t) ** 2)) / np.sqrt(2)


def _frame(count: int, offset_ppm: float, delay_samples: float, snr_db: float) -> np.ndarray:
    rng = np.random.default_rng(int(offset_ppm) + 100)
    sent = psk(4).points.numpy()[rng.integers(4, size=count)]
    iq = np.zeros(2 * count + 200, complex)
    for symbol, value in enumerate(sent):
        centre = (16 + delay_samples + 2 * symbol) * (1 + offset_ppm * 1e-6)
        instants = np.arange(int(centre) - 20, int(centre) + 21)
        inside = instants[(instants >= 0) & (instants < len(iq))]
        iq[inside] += value * _pulse((inside - centre) / 2)
    noise = rng.standard_normal(len(iq)) + 1j * rng.standard_normal(len(iq))
    return iq + np.sqrt(0.5 * 10 ** (-snr_db / 10)) * noise


@pytest.mark.parametrize("offset_ppm", [-40.0, 0.0, 17.0, 40.0])
@pytest.mark.parametrize(("snr_db", "tolerance"), [(3.0, 4.0), (20.0, 1.5)])
def test_the_offset_of_a_long_frame_is_found(
    offset_ppm: float, snr_db: float, tolerance: float
) -> None:
    iq = _frame(8192, offset_ppm, 0.4, snr_db)
    equaliser = mmse_equaliser(
        torch.ones(1, dtype=torch.complex128),
        first_delay=0,
        noise_variance=torch.tensor(10 ** (-snr_db / 10)),
        symbol_power=1.0,
        frame_format=FORMAT,
    )
    spectra = block_spectra(torch.from_numpy(iq), first_peak=16, num_symbols=8192, sps=2)
    found = clock_offset_ppm(
        spectra.to(torch.complex64).numpy()[None],
        equaliser.weights.to(torch.complex64).numpy()[None],
        delay_samples=np.array([0.4]),
        frame_format=FORMAT,
        max_offset_ppm=60.0,
    )
    # 5 ppm over 8192 symbols are 0.04 symbols at the end: -33 dB of interference on average.
    assert found[0] == pytest.approx(offset_ppm, abs=tolerance)


def test_short_frames_are_left_alone() -> None:
    spectra = np.ones((1, 3, 1024), np.complex64)
    found = clock_offset_ppm(
        spectra,
        spectra[:, 0],
        delay_samples=np.zeros(1),
        frame_format=FORMAT,
        max_offset_ppm=60.0,
    )
    assert found == 0.0
