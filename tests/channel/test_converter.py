"""IQ imbalance, DC, clipping and quantiser, against their definitions."""

import math

import numpy as np
import pytest
import torch

from phyemu.channel import Distribution, FrontEnd, Impairments, apply_converter
from phyemu.errors import ConfigError, SignalError


def drawn(batch_size: int = 1, **settings: object) -> Impairments:
    return FrontEnd(**settings).draw(batch_size, generator=torch.Generator().manual_seed(2))


def test_no_impairments_change_nothing(generator: torch.Generator) -> None:
    iq = torch.randn(2, 100, dtype=torch.complex64, generator=generator)
    assert torch.equal(apply_converter(iq, Impairments.none(2)), iq)


def test_iq_imbalance_makes_the_image_of_its_closed_form() -> None:
    gain_db, phase_rad = 0.5, 0.03
    values = drawn(
        iq_gain_db=Distribution.constant(gain_db), iq_phase_rad=Distribution.constant(phase_rad)
    )
    n = np.arange(1024)
    tone = np.exp(2j * np.pi * 100 / 1024 * n).astype(np.complex64)
    spectrum = np.fft.fft(apply_converter(torch.from_numpy(tone)[None], values)[0].numpy()) / 1024
    g = 10 ** (gain_db / 20)
    wanted = (1 + g * np.exp(-1j * phase_rad)) / 2
    image = (1 - g * np.exp(1j * phase_rad)) / 2
    assert spectrum[100] == pytest.approx(wanted, abs=1e-5)
    assert spectrum[-100] == pytest.approx(image, abs=1e-5)


def test_dc_clipping_and_quantiser_act_in_this_order() -> None:
    values = drawn(dc_offset=Distribution.constant(0.1), clip_level=0.5, bits=4)
    dc_offset = complex(values.dc_offset[0])
    iq = torch.tensor([[0.0, 2 + 2j, -2 - 2j, 0.3 - 0.2j]], dtype=torch.complex64)
    step = 2 * 0.5 / 2**4

    def expected(value: float) -> float:
        return round(min(max(value, -0.5), 0.5) / step) * step

    received = apply_converter(iq, values)[0].tolist()
    for sent, got in zip(iq[0].tolist(), received, strict=True):
        moved = sent + dc_offset
        assert got == pytest.approx(complex(expected(moved.real), expected(moved.imag)), abs=1e-6)


def test_quantisation_noise_is_a_twelfth_of_a_step_squared(generator: torch.Generator) -> None:
    iq = torch.view_as_complex(torch.rand(1, 50_000, 2, generator=generator) * 1.8 - 0.9)
    error = apply_converter(iq, drawn(bits=8)) - iq
    step = 2 / 2**8
    assert error.abs().square().mean().item() == pytest.approx(2 * step**2 / 12, rel=0.02)


def test_gradient_is_straight_through_the_quantiser_and_zero_where_clipped() -> None:
    iq = torch.tensor([[0.3 + 0.1j, 5.0 + 0.1j]], dtype=torch.complex64, requires_grad=True)
    apply_converter(iq, drawn(clip_level=1.0, bits=6)).real.sum().backward()
    assert iq.grad is not None
    assert iq.grad[0].real.tolist() == [1.0, 0.0]


def test_settings_no_radio_has_are_refused() -> None:
    for settings, message in (
        ({"bits": 1}, "bits"),
        ({"clip_level": 0.0}, "clip_level"),
        ({"center_frequency_hz": -1.0}, "center_frequency_hz"),
    ):
        with pytest.raises(ConfigError, match=message):
            FrontEnd(**settings)
    with pytest.raises(SignalError, match="like the batch"):
        apply_converter(torch.zeros(2, 3), Impairments.none(2))


def test_one_oscillator_ties_the_clock_to_the_carrier() -> None:
    values = drawn(cfo_hz=Distribution.constant(4800.0), center_frequency_hz=2.4e9)
    assert values.sfo_ppm.item() == pytest.approx(2.0)
    assert math.isinf(values.clip_level.item())
