"""Points that are trained keep the peak power, and carry a gradient."""

import math

import pytest
import torch

from phyemu.dnn import LearnedConstellation, start_constellation
from phyemu.waveform import modulate_probabilities, psk, qam, symbol_posteriors


@pytest.mark.parametrize(("order", "name"), [(4, "psk"), (6, "psk"), (8, "psk"), (16, "qam")])
def test_it_starts_as_the_family_whose_points_lie_farther_apart(order: int, name: str) -> None:
    start = start_constellation(order)
    assert start.name == name
    learned = LearnedConstellation(start)()
    torch.testing.assert_close(learned.points, start.points)
    if order == 16:  # 2 / (3 sqrt 2) of the lattice against 2 sin(pi / 16) of the ring
        assert 2 / (3 * math.sqrt(2)) > 2 * math.sin(math.pi / 16)


def test_training_spreads_points_under_a_peak_power_of_one() -> None:
    """Ascending the information through noise parts two points that lay close together."""
    generator = torch.Generator().manual_seed(0)
    start = psk(4)
    crowded = start.points * torch.polar(
        torch.ones(4), torch.tensor([0.0, -1.2, 0.0, 0.0])
    )  # 1 next to 0
    model = LearnedConstellation(type(start)("custom", crowded, start.labels))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    symbols = torch.arange(4).repeat(250)
    sent = torch.nn.functional.one_hot(symbols, 4).float()

    def cross_entropy() -> torch.Tensor:
        points = model()
        received = modulate_probabilities(sent, points)
        noise = torch.empty_like(received).normal_(generator=generator)
        posteriors = symbol_posteriors(received + 0.3 * noise, points, noise_variance=0.09)
        return -posteriors.gather(1, symbols[:, None]).log().mean()

    before = float(cross_entropy().detach())
    for _ in range(60):
        loss = cross_entropy()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(model().points.detach().abs().max()) == pytest.approx(1.0, abs=1e-6)
    assert float(cross_entropy().detach()) < 0.3 * before
    distances = torch.pdist(torch.view_as_real(model().points.detach()))
    assert float(distances.min()) > 1.2  # QPSK has 1.41, the start had 0.37


def test_a_learned_constellation_is_one_like_any_other() -> None:
    learned = LearnedConstellation(qam(16))()
    assert (learned.name, learned.order) == ("custom", 16)
    assert learned.points.requires_grad
    assert not learned.detach().points.requires_grad
    assert not learned.to("cpu").detach().points.requires_grad
