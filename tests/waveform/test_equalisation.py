"""The equaliser, against the Wiener solution in the time domain."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform import FrameFormat, modulate, psk, shape_pulses
from phyemu.waveform.equalisation import block_spectra, equalise, mmse_equaliser

FORMAT = FrameFormat()
RESPONSE = torch.tensor([0.1j, 1.0, 0.0, 0.5, 0.0, 0.0, -0.3 + 0.2j], dtype=torch.complex128)
FIRST = -1


def _received(points: torch.Tensor, generator: torch.Generator, variance: float) -> torch.Tensor:
    sent = shape_pulses(points, FORMAT.pulse_taps(), samples_per_symbol=2)
    channel = torch.from_numpy(np.convolve(sent.numpy(), RESPONSE.numpy())[-FIRST:])
    noise = torch.randn(len(channel), dtype=torch.complex128, generator=generator)
    return channel + variance**0.5 * noise


@pytest.mark.parametrize("variance", [0.02, 0.5])
def test_error_is_that_of_the_wiener_filter(variance: float, generator: torch.Generator) -> None:
    points = modulate(torch.randint(4, (20_000,), generator=generator), psk(4))
    iq = _received(points.to(torch.complex128), generator, variance)
    equaliser = mmse_equaliser(
        RESPONSE,
        first_delay=FIRST,
        noise_variance=torch.tensor(variance),
        symbol_power=1.0,
        frame_format=FORMAT,
    )
    out = equalise(iq, equaliser, first_peak=FORMAT.pulse_delay_samples, num_symbols=20_000, sps=2)
    error = (out - points).abs().square().mean().item()
    # The Wiener filter over 161 samples, unbiased: error = (1 - gain) / gain.
    shape = np.convolve(FORMAT.pulse_taps().numpy(), RESPONSE.numpy())
    columns = [np.zeros(161, complex) for _ in range(120)]
    for index, column in enumerate(columns):
        # Symbol `index - 60` begins at sample 2 (index - 60) of a window of 161 around sample 80.
        begin = 80 - len(shape) // 2 + 2 * (index - 60)
        for k, value in enumerate(shape):
            if 0 <= begin + k < 161:
                column[begin + k] += value
    stacked = np.stack(columns, axis=1)
    covariance = stacked @ stacked.conj().T + variance * np.eye(161)
    target = stacked[:, 60]
    gain = float((target.conj() @ solve(covariance, target)).real)
    expected = (1 - gain) / gain
    # 20000 errors, nearly exponential powers: five standard deviations, and 2 % for the window.
    assert error == pytest.approx(expected, rel=0.02 + 5 / 20_000**0.5)
    assert equaliser.error_variance.item() == pytest.approx(expected, rel=0.02)


def test_matched_snr_counts_all_paths() -> None:
    equaliser = mmse_equaliser(
        torch.tensor([0.6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.8]) + 0j,
        first_delay=0,
        noise_variance=torch.tensor(0.1),
        symbol_power=1.0,
        frame_format=FORMAT,
    )
    # Two paths five symbols apart: powers 0.36 + 0.64 over 0.1; pulses cut at -45 dB.
    assert equaliser.matched_snr.item() == pytest.approx(10.0, rel=0.01)


def test_batches_equal_singles_and_gradients_are_right(generator: torch.Generator) -> None:
    iq = torch.randn(2, 60, dtype=torch.complex128, generator=generator, requires_grad=True)
    variance = torch.tensor([0.1, 0.2], dtype=torch.float64)
    both = mmse_equaliser(
        torch.stack([RESPONSE, RESPONSE.conj()]),
        first_delay=FIRST,
        noise_variance=variance,
        symbol_power=1.0,
        frame_format=FORMAT,
    )
    one = mmse_equaliser(
        RESPONSE,
        first_delay=FIRST,
        noise_variance=variance[0],
        symbol_power=1.0,
        frame_format=FORMAT,
    )
    batch = equalise(iq, both, first_peak=16, num_symbols=8, sps=2)
    torch.testing.assert_close(batch[0], equalise(iq[0], one, first_peak=16, num_symbols=8, sps=2))
    assert torch.autograd.gradcheck(
        lambda r: equalise(r, both, first_peak=16, num_symbols=3, sps=2), (iq,), fast_mode=True
    )


def test_what_lies_outside_the_samples_counts_as_zero() -> None:
    iq = torch.ones(10, dtype=torch.complex64)
    assert torch.isfinite(block_spectra(iq, first_peak=-50, num_symbols=900, sps=2).abs()).all()
    assert block_spectra(iq, first_peak=5000, num_symbols=3, sps=2).abs().max() == 0


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="taps"):
        mmse_equaliser(
            torch.zeros(600) + 0j,
            first_delay=0,
            noise_variance=torch.tensor(1.0),
            symbol_power=1.0,
            frame_format=FORMAT,
        )
    with pytest.raises(SignalError, match="complex"):
        block_spectra(torch.zeros(4), first_peak=0, num_symbols=1, sps=2)
