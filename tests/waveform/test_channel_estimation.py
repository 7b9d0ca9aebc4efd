"""The channel estimate, against SciPy's least squares and the bound of theory."""

import numpy as np
import pytest
import torch
from scipy.linalg import lstsq

from phyemu.errors import ConfigError, SignalError
from phyemu.waveform.channel_estimation import KnownWaveform, estimate_channel, known_waveform


def _known(generator: torch.Generator) -> KnownWaveform:
    waveform = torch.randn(300, dtype=torch.complex128, generator=generator)
    return known_waveform(waveform, first_row=0, num_rows=280, first_delay=-10, num_delays=40)


def test_the_matrix_is_a_convolution_as_documented() -> None:
    waveform = torch.tensor([1, 2, 3]) + 0j
    known = known_waveform(waveform, first_row=0, num_rows=4, first_delay=-1, num_delays=3)
    expected = [[2, 1, 0], [3, 2, 1], [0, 3, 2], [0, 0, 3]]
    assert known.matrix.real.int().tolist() == expected
    torch.testing.assert_close(known.gram, known.matrix.mH @ known.matrix)


def test_taps_and_noise_are_found_and_the_rest_is_zero(generator: torch.Generator) -> None:
    known = _known(generator)
    response = torch.zeros(40, dtype=torch.complex128)
    response[[10, 13, 20]] = torch.tensor([1.0, 0.5j, -0.3]).to(torch.complex128)
    trials, variance = 200, 0.05
    noise = torch.randn(trials, 280, dtype=torch.complex128, generator=generator)
    iq = known.matrix @ response + variance**0.5 * noise
    found = estimate_channel(iq, known)
    error = (found.response - response).abs().square().sum(-1).mean().item()
    # Least squares over the three taps has 3 variance / 280; a false tap, one in e per trial,
    # adds some ln(40) + 2 times variance / 280.
    assert error < (3 + 6 / np.e + 1) * variance / 280
    assert found.noise_variance.mean().item() == pytest.approx(variance, rel=0.03)
    # The same taps by SciPy.
    taps = found.response[0].abs() > 0
    expected, *_ = lstsq(known.matrix[:, taps].numpy(), iq[0].numpy())
    np.testing.assert_allclose(found.response[0][taps].numpy(), expected, atol=1e-10)


def test_batches_equal_singles(generator: torch.Generator) -> None:
    known = _known(generator)
    sent = torch.randn(3, 40, dtype=torch.complex128, generator=generator)
    sent[0, 3:] = 0
    noise = torch.randn(3, 280, dtype=torch.complex128, generator=generator)
    iq = sent @ known.matrix.mT + 0.3 * noise
    batch = estimate_channel(iq, known)
    for row in range(3):
        single = estimate_channel(iq[row], known)
        torch.testing.assert_close(batch.response[row], single.response)
        torch.testing.assert_close(batch.noise_variance[row], single.noise_variance)


def test_a_nuisance_is_fitted_jointly(generator: torch.Generator) -> None:
    known = _known(generator)
    tone = torch.polar(torch.ones(280).double(), 0.3 * torch.arange(280).double()) / 280**0.5
    noise = torch.randn(280, dtype=torch.complex128, generator=generator)
    iq = known.matrix[:, 12] - 0.4j * known.matrix[:, 17] + 7.0 * tone + 0.1 * noise
    found = estimate_channel(iq, known, nuisance=tone)
    taps = found.response.abs() > 0
    assert taps[[12, 17]].all()
    # SciPy's least squares with the tone as a column more, and what it leaves.
    system = np.column_stack([known.matrix[:, taps].numpy(), tone.numpy()])
    expected, _, rank, _ = lstsq(system, iq.numpy())
    np.testing.assert_allclose(found.response[taps].numpy(), expected[:-1], atol=1e-10)
    left = np.square(np.abs(iq.numpy() - system @ expected)).sum()
    assert found.noise_variance.item() == pytest.approx(left / (280 - rank), rel=1e-9)


def test_bad_input_is_refused(generator: torch.Generator) -> None:
    with pytest.raises(SignalError, match="280"):
        estimate_channel(torch.zeros(279, dtype=torch.complex128), _known(generator))
    with pytest.raises(SignalError, match="complex"):
        known_waveform(torch.zeros(4), first_row=0, num_rows=4, first_delay=0, num_delays=1)
    with pytest.raises(ConfigError, match="fewer delays"):
        known_waveform(torch.zeros(4) + 0j, first_row=0, num_rows=4, first_delay=0, num_delays=4)
