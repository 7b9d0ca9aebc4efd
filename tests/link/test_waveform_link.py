import pytest
import torch
from torch.nn.functional import one_hot

from phyemu.channel import Awgn, load_channel
from phyemu.errors import ConfigError
from phyemu.link import Fidelity, SymbolLink, WaveformLink, build_link
from phyemu.waveform import FrameFormat, psk

FRAME = FrameFormat()


def test_symbols_arrive_in_order_also_in_a_last_smaller_frame(generator: torch.Generator) -> None:
    symbols = torch.randint(8, (7, 50), generator=generator)
    link = WaveformLink(load_channel("tgn-b:35"), psk(8), FRAME, images_per_frame=3)
    posteriors = link(one_hot(symbols, 8).float(), generator)
    assert posteriors.shape == (7, 50, 8)
    assert posteriors.dtype == torch.float32
    assert (posteriors.argmax(-1) == symbols).float().mean() > 0.98
    assert torch.allclose(posteriors.sum(-1), torch.ones(7, 50), atol=1e-5)


def test_gradients_come_back_through_samples_and_equaliser() -> None:
    symbols = torch.arange(4).repeat(2, 40)
    link = WaveformLink(load_channel("tgn-b:8"), psk(4), FRAME)
    sent = one_hot(symbols, 4).float().requires_grad_(True)
    posteriors = link(sent, torch.Generator().manual_seed(6))
    posteriors.gather(-1, symbols[..., None]).sum().backward()
    assert sent.grad is not None
    assert bool(torch.isfinite(sent.grad).all())
    assert sent.grad.gather(-1, symbols[..., None]).mean() > sent.grad.mean()


def test_a_frame_that_is_not_found_says_nothing_and_teaches_nothing(
    generator: torch.Generator,
) -> None:
    sent = one_hot(torch.zeros(2, 64, dtype=torch.int64), 4).float().requires_grad_(True)
    posteriors = WaveformLink(Awgn(-25.0), psk(4), FRAME)(sent, generator)
    assert torch.equal(posteriors, torch.full_like(posteriors, 0.25))
    posteriors.sum().backward()
    assert sent.grad is not None
    assert not sent.grad.any()


def test_the_same_seed_gives_the_same_posteriors() -> None:
    sent = one_hot(torch.arange(4).repeat(2, 10), 4).float()
    link = WaveformLink(load_channel("world:office-nlos"), psk(4), FRAME)
    first = link(sent, torch.Generator().manual_seed(3))
    assert torch.equal(first, link(sent, torch.Generator().manual_seed(3)))


def test_links_are_built_by_fidelity() -> None:
    assert isinstance(build_link(Awgn(9), psk(4), FRAME, fidelity=Fidelity.SYMBOL), SymbolLink)
    assert isinstance(build_link(Awgn(9), psk(4), FRAME, fidelity=Fidelity.WAVEFORM), WaveformLink)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="images_per_frame"):
        WaveformLink(Awgn(3.0), psk(4), FRAME, images_per_frame=0)
    with pytest.raises(ConfigError, match="amplitude"):
        WaveformLink(Awgn(3.0), psk(4), FRAME, amplitude=2.0)
