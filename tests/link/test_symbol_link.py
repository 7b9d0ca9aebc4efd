import math

import pytest
import torch
from torch.nn.functional import one_hot

from phyemu.channel import Awgn, AwgnRange, load_channel
from phyemu.errors import ConfigError
from phyemu.link import ReceiverModel, SymbolLink
from phyemu.waveform import FrameFormat, constellation, modulate, psk, psk_symbol_error_rate

FRAME = FrameFormat()


def rows(symbols: torch.Tensor, order: int) -> torch.Tensor:
    return one_hot(symbols, order).float()


def test_awgn_is_exactly_y_equals_x_plus_n() -> None:
    symbols = torch.arange(8).repeat(3, 2)
    link = SymbolLink(Awgn(12.0), psk(8), FRAME)
    found = link(rows(symbols, 8), torch.Generator().manual_seed(2))
    # By hand: the model draws its gains and SNR first, then comes the noise.
    generator = torch.Generator().manual_seed(2)
    link.draw(3, generator)
    noise = torch.empty(3, 16, dtype=torch.complex64).normal_(generator=generator)
    variance = 10 ** (-12 / 10)
    y = modulate(symbols, psk(8)) + math.sqrt(variance) * noise
    distances = (y[..., None] - psk(8).points).abs().square()
    assert torch.allclose(found, torch.softmax(-distances / variance, -1), atol=1e-5)


@pytest.mark.parametrize(("order", "snr_db"), [(4, 6.0), (8, 10.0), (16, 12.0)])
def test_awgn_makes_the_errors_of_theory(
    order: int, snr_db: float, generator: torch.Generator
) -> None:
    symbols = torch.randint(order, (20, 2000), generator=generator)
    link = SymbolLink(Awgn(snr_db), psk(order), FRAME)
    posteriors = link(rows(symbols, order), generator)
    rate = (posteriors.argmax(-1) != symbols).float().mean().item()
    expected = psk_symbol_error_rate(order, snr_db)
    spread = math.sqrt(expected * (1 - expected) / symbols.numel())
    assert rate == pytest.approx(expected, abs=5 * spread)


def test_a_range_of_snr_gives_each_image_noise_of_its_own(generator: torch.Generator) -> None:
    num_images = 400
    symbols = torch.randint(4, (num_images, 500), generator=generator)
    link = SymbolLink(AwgnRange(4.0, 12.0), psk(4), FRAME)
    assert link.receiver is ReceiverModel.IDEAL
    posteriors = link(rows(symbols, 4), generator)
    rates = (posteriors.argmax(-1) != symbols).double().mean(-1)
    # The mean of the theory over the range, by the midpoint rule; images differ as it does.
    theory = torch.tensor(
        [psk_symbol_error_rate(4, 4 + 8 * (step + 0.5) / 200) for step in range(200)]
    )
    tolerance = 5 * theory.std().item() / math.sqrt(num_images)
    assert rates.mean().item() == pytest.approx(theory.mean().item(), abs=tolerance)
    within = (theory * (1 - theory)).mean() / symbols.shape[1]
    spread = (theory.var() + within).sqrt().item()  # of 400 images, to some 5 %
    assert rates.std().item() == pytest.approx(spread, rel=0.2)
    again = [link(rows(symbols, 4), torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(*again)


def test_posteriors_are_calibrated_on_a_fading_channel(generator: torch.Generator) -> None:
    symbols = torch.randint(8, (400, 64), generator=generator)
    link = SymbolLink(load_channel("world:office-nlos"), psk(8), FRAME)
    posteriors = link(rows(symbols, 8), generator)
    assert torch.allclose(posteriors.sum(-1), torch.ones(400, 64), atol=1e-5)
    sure = posteriors.max(-1)
    picked = (sure.values > 0.6) & (sure.values < 0.8)
    right = (sure.indices == symbols)[picked].float().mean().item()
    assert right == pytest.approx(sure.values[picked].mean().item(), abs=0.03)


def test_gradients_lead_to_the_symbols_that_were_right(generator: torch.Generator) -> None:
    symbols = torch.randint(4, (4, 200), generator=generator)
    sent = rows(symbols, 4).requires_grad_(True)
    link = SymbolLink(load_channel("tgn-b:10"), psk(4), FRAME)
    posteriors = link(sent, generator)
    posteriors.gather(-1, symbols[..., None]).sum().backward()
    assert sent.grad is not None
    own = sent.grad.gather(-1, symbols[..., None])
    assert own.mean() > sent.grad.mean()


def test_gradient_is_the_numerical_one() -> None:
    link = SymbolLink(load_channel("tgn-b:3"), psk(4), FRAME)
    sent = torch.rand(2, 3, 4, dtype=torch.float64, requires_grad=True)

    def received(x: torch.Tensor) -> torch.Tensor:
        return link(x, torch.Generator().manual_seed(1))

    assert torch.autograd.gradcheck(received, sent)


def test_images_of_one_draw_share_its_sinr() -> None:
    model = load_channel("tgn-d:6")
    sent = rows(torch.zeros(6, 4000, dtype=torch.int64), 4)
    link = SymbolLink(model, psk(4), FRAME, receiver=ReceiverModel.IDEAL, images_per_draw=3)
    spread = 1 - link(sent, torch.Generator().manual_seed(3))[..., 0]
    sure = spread.mean(-1)  # smaller where the SINR is higher
    own = link.draw(2, torch.Generator().manual_seed(3)).sinr
    assert (sure[:3].mean() < sure[3:].mean()) == bool(own[0] > own[1])
    assert sure[:3].std() < 0.1 * (sure[:3].mean() - sure[3:].mean()).abs()


def test_the_same_seed_gives_the_same_posteriors() -> None:
    sent = rows(torch.arange(8).repeat(2, 1), 8)
    link = SymbolLink(load_channel("world:conference-nlos"), psk(8), FRAME)
    first = link(sent, torch.Generator().manual_seed(3))
    assert torch.equal(first, link(sent, torch.Generator().manual_seed(3)))
    assert not torch.equal(first, link(sent, torch.Generator().manual_seed(4)))


def test_qam_below_peak_power_has_the_noise_of_its_peak(generator: torch.Generator) -> None:
    link = SymbolLink(Awgn(15.0), constellation("qam", 16), FRAME)
    assert link.draw(3, generator).sinr_db.tolist() == pytest.approx([15.0] * 3, abs=1e-4)


def test_no_noise_is_finite(generator: torch.Generator) -> None:
    symbols = torch.arange(16).repeat(2, 1)
    link = SymbolLink(Awgn(math.inf), psk(16), FRAME)
    assert torch.equal(link(rows(symbols, 16), generator).argmax(-1), symbols)


def test_estimation_and_impairments_only_cost(generator: torch.Generator) -> None:
    model = load_channel("world:office-los")
    draw = model.draw(200, num_steps=1, interval_s=1e-3, symbol_rate_hz=1e7, generator=generator)
    ideal = SymbolLink(model, psk(4), FRAME, receiver=ReceiverModel.IDEAL)
    real = SymbolLink(model, psk(4), FRAME)
    assert bool((real.effective_channel(draw).sinr < ideal.effective_channel(draw).sinr).all())
    assert bool((real.effective_channel(draw).phase_variance > 0).all())


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="images_per_draw"):
        SymbolLink(Awgn(3.0), psk(4), FRAME, images_per_draw=0)
    with pytest.raises(ConfigError, match="amplitude"):
        SymbolLink(Awgn(3.0), psk(4), FRAME, amplitude=0.0)
