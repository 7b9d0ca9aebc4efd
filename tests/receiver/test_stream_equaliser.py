"""The stream's equaliser against the one that training takes its gradients through."""

import math

import numpy as np
import pytest
import torch

from phyemu.receiver.stream_equaliser import frame_spectra, stream_equaliser
from phyemu.waveform import FrameFormat, mmse_equaliser
from phyemu.waveform.channel_estimation import ChannelEstimate
from phyemu.waveform.equalisation import block_spectra, symbols_of_spectra
from phyemu.waveform.synchronisation import Synchronisation, carrier


@pytest.mark.parametrize("samples_per_symbol", [2, 3, 4])
@pytest.mark.parametrize(("sample_start", "num_symbols"), [(0, 200), (150, 200), (400, 2000)])
def test_symbols_are_those_of_the_tensors(
    samples_per_symbol: int, sample_start: int, num_symbols: int
) -> None:
    frame_format = FrameFormat(samples_per_symbol=samples_per_symbol)
    rng = np.random.default_rng(sample_start + num_symbols)
    iq = (rng.standard_normal(5000) + 1j * rng.standard_normal(5000)).astype(np.complex64)
    response = torch.zeros(57, dtype=torch.complex128)
    response[[17, 20, 31]] = torch.tensor([0.1j, 1.0, 0.4 - 0.3j], dtype=torch.complex128)
    found = Synchronisation(
        cfo_hz=7.3e4,
        timing_samples=0.37,
        channel=ChannelEstimate(response, torch.tensor(0.02, dtype=torch.float64)),
        first_delay=-20,
        dc_offset=0.03 - 0.1j,
    )
    ours = stream_equaliser(found, symbol_power=0.7, frame_format=frame_format)
    spectra = frame_spectra(
        iq, found, sample_start=sample_start, num_symbols=num_symbols, frame_format=frame_format
    )
    delays = 0.37 + 0.1 * np.arange(len(spectra))
    symbols = ours.symbols(spectra, delays=delays, num_symbols=num_symbols)

    theirs = mmse_equaliser(
        response,
        first_delay=-20,
        noise_variance=found.channel.noise_variance,
        symbol_power=0.7,
        frame_format=frame_format,
    )
    assert ours.error_variance == pytest.approx(float(theirs.error_variance), rel=1e-9)
    assert ours.matched_snr == pytest.approx(float(theirs.matched_snr), rel=1e-9)
    turns = carrier(len(iq), -7.3e4 / 20e6, origin=sample_start)
    tensors = block_spectra(
        torch.from_numpy((iq - found.dc_offset) * turns),
        first_peak=sample_start + frame_format.pulse_delay_samples,
        num_symbols=num_symbols,
        sps=samples_per_symbol,
    )
    expected = symbols_of_spectra(
        tensors * theirs.weights,
        num_symbols=num_symbols,
        sps=samples_per_symbol,
        delays=torch.from_numpy(delays),
    )
    # Single precision, FFTs of some thousand values: rounding of ten steps, each relative to
    # the largest value.
    size = float(expected.abs().max())
    tolerance = math.log2(512 * samples_per_symbol) * 1e-6 * size
    np.testing.assert_allclose(symbols, expected.numpy(), atol=tolerance)
