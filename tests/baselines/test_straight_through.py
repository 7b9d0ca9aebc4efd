import torch
from torch import Tensor

from phyemu.baselines import DecidingLink
from phyemu.channel import Awgn
from phyemu.link import SymbolLink
from phyemu.waveform import FrameFormat, constellation


def one_hot(symbols: Tensor, order: int = 4) -> Tensor:
    return torch.nn.functional.one_hot(symbols, order).float()


def test_the_decision_goes_forward_and_the_gradient_back_as_it_is(
    generator: torch.Generator,
) -> None:
    def swap(probabilities: Tensor, _: torch.Generator) -> Tensor:
        return 0.7 * probabilities.roll(1, dims=-1) + 0.1 * torch.ones(4)

    sent = one_hot(torch.tensor([[0, 1, 3]])).requires_grad_(True)
    received = DecidingLink(swap)(sent, generator)
    assert torch.equal(received, one_hot(torch.tensor([[1, 2, 0]])))
    weights = torch.arange(12.0).view(1, 3, 4)
    (received * weights).sum().backward()
    assert torch.equal(sent.grad, weights)


def test_symbols_of_a_lost_frame_stay_undecided(generator: torch.Generator) -> None:
    def lose(probabilities: Tensor, _: torch.Generator) -> Tensor:
        return torch.full_like(probabilities, 0.25)

    received = DecidingLink(lose)(one_hot(torch.tensor([[0, 1]])), generator)
    assert torch.equal(received, torch.full((1, 2, 4), 0.25))


def test_it_errs_as_often_as_the_link_does(generator: torch.Generator) -> None:
    link = SymbolLink(Awgn(6.0), constellation("psk", 4), FrameFormat())
    symbols = torch.randint(4, (8, 500), generator=generator)
    sent = one_hot(symbols)
    state = generator.get_state()
    posteriors = link(sent, generator)
    generator.set_state(state)
    received = DecidingLink(link)(sent, generator)
    assert torch.equal(received.argmax(-1), posteriors.argmax(-1))
    assert set(received.unique().tolist()) == {0.0, 1.0}
    assert bool((received.argmax(-1) != symbols).any())
