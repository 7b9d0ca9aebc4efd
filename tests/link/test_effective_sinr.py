"""The closed form against an equaliser that is built tap by tap."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.errors import ConfigError
from phyemu.link import folded_power, mmse_sinr
from phyemu.waveform import FrameFormat

SYMBOL_RATE_HZ = 10e6


def response(delays_symbols: list[float], gains: list[complex]) -> ImpulseResponse:
    return ImpulseResponse(
        torch.tensor(gains, dtype=torch.complex64)[None],
        torch.tensor(delays_symbols, dtype=torch.float64) / SYMBOL_RATE_HZ,
        1e-3,
    )


def sinr_of(channel: ImpulseResponse, snr: float, num_frequencies: int = 64) -> float:
    folded = folded_power(
        channel, symbol_rate_hz=SYMBOL_RATE_HZ, rolloff=0.25, num_frequencies=num_frequencies
    )
    return float(mmse_sinr(folded[0].double(), torch.tensor(snr, dtype=torch.float64)))


def finite_length_sinr(delays_samples: list[int], gains: list[complex], snr: float) -> float:
    """Return the unbiased SINR of the best fractionally spaced filter of 161 taps."""
    pulse = FrameFormat(pulse_span_symbols=32).pulse_taps().numpy()
    g: NDArray[np.complex128] = np.zeros(len(pulse) + max(delays_samples), complex)
    for delay, gain in zip(delays_samples, gains, strict=True):
        g[delay : delay + len(pulse)] += gain * pulse
    taps, centre = 161, 0
    # Sample n of the window holds g[n - 2 k - shift] of symbol k.
    shift = taps // 2 - len(g) // 2
    columns = []
    for k in range(-80, 81):
        column = np.zeros(taps, complex)
        for n in range(taps):
            index = n - 2 * k - shift
            if 0 <= index < len(g):
                column[n] = g[index]
        columns.append(column)
        if k == 0:
            centre = len(columns) - 1
    matrix = np.array(columns).T
    covariance = matrix @ matrix.conj().T + np.eye(taps) / snr
    weights = np.linalg.solve(covariance, matrix[:, centre])
    gain = float((weights.conj() @ matrix[:, centre]).real)
    return gain / (1 - gain)


@pytest.mark.parametrize("snr_db", [-40.0, 0.0, 12.0, 60.0])
def test_a_flat_channel_keeps_the_snr(snr_db: float) -> None:
    snr = 10 ** (snr_db / 10)
    assert sinr_of(response([0.0], [1.0]), snr) == pytest.approx(snr, rel=1e-5)


@pytest.mark.parametrize("snr_db", [3.0, 12.0, 20.0])
@pytest.mark.parametrize(
    ("delays", "gains"),
    [([0, 2], [0.8, 0.6]), ([0, 3, 8], [0.7, 0.5j, -0.51]), ([0, 1], [0.6, 0.8j])],
)
def test_it_is_what_a_long_equaliser_reaches(
    delays: list[int], gains: list[complex], snr_db: float
) -> None:
    snr = 10 ** (snr_db / 10)
    expected = finite_length_sinr(delays, gains, snr)
    found = sinr_of(response([d / 2 for d in delays], gains), snr)
    # The pulse is cut to 32 symbols and the filter to 80: some hundredths of a decibel.
    assert 10 * math.log10(found / expected) == pytest.approx(0.0, abs=0.05)


def test_sixty_four_frequencies_are_enough_indoors() -> None:
    channel = response([0.0, 1.37, 6.1], [0.7, 0.5j, -0.51])
    coarse, fine = sinr_of(channel, 16.0), sinr_of(channel, 16.0, 1024)
    assert coarse == pytest.approx(fine, rel=0.01)  # 0.04 dB


def test_images_of_a_flat_spectrum_add_up_to_one() -> None:
    folded = folded_power(response([0.3], [1.0]), symbol_rate_hz=SYMBOL_RATE_HZ, rolloff=0.25)
    assert torch.allclose(folded, torch.ones_like(folded), atol=1e-5)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="rolloff in"):
        folded_power(response([0.0], [1.0]), symbol_rate_hz=1e7, rolloff=0.0)
