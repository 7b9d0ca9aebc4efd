"""The torch executor as a whole: gradients, batches, seeds, SNR."""

import dataclasses

import pytest
import torch

from phyemu.channel import Awgn, ChannelLayer, Distribution, FrontEnd, apply_draw, tgn
from phyemu.errors import SignalError

RATES = {"sample_rate_hz": 20e6, "symbol_rate_hz": 10e6, "reference_power": 0.5}


def test_same_seed_gives_the_same_samples_and_another_one_others() -> None:
    layer = ChannelLayer(tgn("C", snr_db=10.0), **RATES)
    iq = torch.ones(3, 500, dtype=torch.complex64)
    outputs = [layer(iq, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_awgn_layer_adds_noise_of_the_stated_snr(generator: torch.Generator) -> None:
    iq = torch.ones(4, 50_000, dtype=torch.complex64)
    noise = ChannelLayer(Awgn(12.0), **RATES)(iq, generator) - iq
    variance = noise.abs().square().mean().item()
    assert variance == pytest.approx(0.5 * 2 / 10**1.2, rel=5 / 200_000**0.5)


def test_gradient_to_the_samples_is_right_through_everything_but_the_quantiser() -> None:
    front_end = FrontEnd(
        cfo_hz=Distribution.constant(5e3),
        sfo_ppm=Distribution.constant(20.0),
        linewidth_hz=Distribution.constant(50.0),
        iq_gain_db=Distribution.constant(0.5),
        iq_phase_rad=Distribution.constant(0.05),
        dc_offset=Distribution.constant(0.01),
    )
    model = dataclasses.replace(tgn("B", snr_db=20.0, doppler_hz=100.0), front_end=front_end)
    iq = torch.randn(2, 24, dtype=torch.complex128, requires_grad=True)

    def through(x: torch.Tensor) -> torch.Tensor:
        layer = ChannelLayer(model, **RATES, interval_s=5e-7)
        return layer(x, torch.Generator().manual_seed(4))

    assert torch.autograd.gradcheck(through, (iq,))


def test_input_is_not_written_to(generator: torch.Generator) -> None:
    iq = torch.ones(2, 100, dtype=torch.complex64)
    ChannelLayer(tgn("B", snr_db=5.0), **RATES)(iq, generator)
    assert torch.equal(iq, torch.ones_like(iq))


def test_rows_that_do_not_match_the_draw_are_refused(generator: torch.Generator) -> None:
    draw = Awgn(3.0).draw(2, num_steps=1, interval_s=1e-3, symbol_rate_hz=1e7, generator=generator)
    with pytest.raises(SignalError, match="one row per link"):
        apply_draw(torch.zeros(3, 4) + 0j, draw, **RATES, generator=generator)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_it_runs_on_a_gpu() -> None:
    generator = torch.Generator("cuda").manual_seed(1)
    iq = torch.ones(4, 1000, dtype=torch.complex64, device="cuda", requires_grad=True)
    received = ChannelLayer(tgn("D", snr_db=10.0), **RATES)(iq, generator)
    received.abs().sum().backward()
    assert received.device.type == "cuda"
    assert iq.grad is not None
