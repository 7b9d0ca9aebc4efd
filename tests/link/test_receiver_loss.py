import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from phyemu.channel import Impairments, ImpulseResponse, apply_converter
from phyemu.link.receiver_loss import (
    converter_noise,
    estimation_taps,
    image_ratio,
    phase_error_variance,
)
from phyemu.waveform import FrameFormat, matched_filter

FRAME = FrameFormat()


def impairments(**values: float) -> Impairments:
    none = Impairments.none(1)
    return replace(
        none,
        **{name: torch.full_like(getattr(none, name), value) for name, value in values.items()},
    )


def test_the_image_has_the_power_that_the_converter_gives_it(generator: torch.Generator) -> None:
    bad = impairments(iq_gain_db=0.8, iq_phase_rad=0.05)
    n = 4096
    tone = torch.polar(torch.ones(1, n), 2 * math.pi * 512 / n * torch.arange(n)[None])
    spectrum = torch.fft.fft(apply_converter(tone, bad))[0].abs().square()
    assert float(image_ratio(bad)) == pytest.approx(float(spectrum[-512] / spectrum[512]), rel=1e-3)
    assert float(image_ratio(Impairments.none(1))) == 0.0


def test_dc_reaches_a_symbol_as_computed() -> None:
    bad = impairments(dc_offset=0.01)
    samples = apply_converter(torch.zeros(1, 400, dtype=torch.complex64), bad)
    filtered = matched_filter(samples, FRAME.pulse_taps())[0, 200].abs().square()
    # The gain of the cut pulse at 0 Hz misses the ideal by under a percent.
    assert float(converter_noise(bad, FRAME)) == pytest.approx(float(filtered), rel=0.02)


def test_quantiser_noise_is_the_mean_squared_error(generator: torch.Generator) -> None:
    coarse = impairments(bits=6.0, clip_level=1.0)
    x = torch.view_as_complex(torch.rand(1, 50_000, 2, generator=generator) - 0.5)
    error = (apply_converter(x, coarse) - x).abs().square().mean()
    assert float(converter_noise(coarse, FRAME)) == pytest.approx(float(error), rel=0.02)


@pytest.mark.parametrize(("linewidth_hz", "sinr"), [(8.0, 6.0), (200.0, 100.0), (1.0, 0.5)])
def test_the_phase_error_is_that_of_a_smoother_of_many_pilots(
    linewidth_hz: float, sinr: float
) -> None:
    walk = 2 * math.pi * linewidth_hz * FRAME.pilot_interval / FRAME.symbol_rate_hz
    noise = 1 / (2 * sinr)
    # All 1201 phases at once: the posterior covariance of a random walk seen in noise.
    n = 1201
    step = np.diff(np.eye(n), axis=0)
    precision = step.T @ step / walk + np.eye(n) / noise
    middle = np.linalg.inv(precision)[n // 2, n // 2]
    found = phase_error_variance(
        torch.tensor([linewidth_hz]).double(), torch.tensor([sinr]).double(), FRAME
    )
    assert float(found) - walk / 6 == pytest.approx(middle, rel=1e-3)


def test_without_phase_noise_no_phase_error_is_left() -> None:
    found = phase_error_variance(torch.zeros(2), torch.tensor([1.0, 100.0]), FRAME)
    assert found.tolist() == [0.0, 0.0]


def test_taps_in_the_noise_cost_their_energy_and_others_a_constant() -> None:
    gains = torch.tensor([[[0.9 + 0j, 0.01 + 0j]]], dtype=torch.complex64)
    channel = ImpulseResponse(gains, torch.tensor([0.0, 3e-7], dtype=torch.float64), 1e-3)
    snr = torch.tensor([10.0], dtype=torch.float64)
    weak = FRAME.preamble_symbols * 10.0 * 0.01**2
    assert float(estimation_taps(channel, snr, FRAME)) == pytest.approx(0.5 * (1 + weak), rel=1e-4)
    assert float(estimation_taps(channel, 1000 * snr, FRAME)) == pytest.approx(1.0)
