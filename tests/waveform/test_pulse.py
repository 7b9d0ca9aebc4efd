"""Pulses, against naive loops."""

import numpy as np
import pytest
import torch

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform import matched_filter, rrc_taps, shape_pulses


@pytest.mark.parametrize("rolloff", [0.1, 0.25, 0.5, 1.0])
def test_pulse_and_matched_filter_leave_no_interference(rolloff: float) -> None:
    taps = rrc_taps(4, rolloff, 64).numpy()
    both = np.convolve(taps, taps[::-1])
    at_symbols = both[len(taps) - 1 :: 4]
    assert at_symbols[0] == pytest.approx(1.0)
    # The pulse falls off as 1 / (a t^2) beyond t = 1 / 4a; what is cut at 32 symbols is less.
    assert np.abs(at_symbols[1:]).max() < 0.05 / (rolloff * 32)


def test_shaping_adds_up_shifted_pulses(generator: torch.Generator) -> None:
    points = torch.randn(2, 3, 5, dtype=torch.complex128, generator=generator)
    taps = rrc_taps(2, 0.25, 4)
    ours = shape_pulses(points, taps, samples_per_symbol=2)
    expected = torch.zeros(2, 3, 4 * 2 + 9, dtype=torch.complex128)
    for symbol in range(5):
        expected[..., 2 * symbol : 2 * symbol + 9] += points[..., symbol, None] * taps
    torch.testing.assert_close(ours, expected)


def test_the_matched_filter_keeps_places(generator: torch.Generator) -> None:
    taps = rrc_taps(2, 0.25, 8)
    iq = torch.randn(40, dtype=torch.complex128, generator=generator)
    expected = np.correlate(iq.numpy(), taps.numpy(), mode="same")
    np.testing.assert_allclose(matched_filter(iq, taps).numpy(), expected, atol=1e-12)


def test_gradients_are_right(generator: torch.Generator) -> None:
    points = torch.randn(2, 4, dtype=torch.complex128, generator=generator, requires_grad=True)
    taps = rrc_taps(2, 0.25, 4)
    assert torch.autograd.gradcheck(
        lambda x: matched_filter(shape_pulses(x, taps, samples_per_symbol=2), taps), (points,)
    )


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="rolloff"):
        rrc_taps(2, 0.0, 8)
    with pytest.raises(SignalError, match="points must be complex"):
        shape_pulses(torch.zeros(4), rrc_taps(2, 0.25, 8), samples_per_symbol=2)
    with pytest.raises(ConfigError, match="samples_per_symbol"):
        shape_pulses(torch.zeros(4) + 0j, rrc_taps(2, 0.25, 8), samples_per_symbol=0)
    with pytest.raises(SignalError, match="odd"):
        matched_filter(torch.zeros(4) + 0j, torch.ones(4))
