"""Mixtures: shares, separation of the parts, refusals."""

import pytest
import torch

from phyemu.channel import Awgn, Mixture, tgn
from phyemu.errors import ConfigError


def test_links_follow_one_model_each_in_the_stated_shares(generator: torch.Generator) -> None:
    mixture = Mixture((Awgn(3.0), tgn("B", snr_db=9.0)), (1.0, 3.0))
    draw = mixture.draw(2000, num_steps=1, interval_s=1e-3, symbol_rate_hz=1e7, generator=generator)
    first = draw.snr_db == 3.0
    assert first.double().mean().item() == pytest.approx(0.25, abs=5 * (0.1875 / 2000) ** 0.5)
    gains = draw.response.gains[:, 0]
    assert bool((gains[first][:, 1:] == 0).all())
    assert bool((gains[~first][:, 0] == 0).all())
    assert bool((draw.snr_db[~first] == 9.0).all())


@pytest.mark.parametrize(
    ("models", "weights"),
    [((), ()), ((Awgn(1.0),), (1.0, 2.0)), ((Awgn(1.0),), (0.0,)), ((Awgn(1.0),), (-1.0,))],
)
def test_bad_weights_are_refused(models: tuple[Awgn, ...], weights: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError):
        Mixture(models, weights)
