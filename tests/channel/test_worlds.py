"""The emulated worlds: as hard as they are meant to be, and what they say of themselves."""

import numpy as np
import pytest
import torch

from phyemu.channel import world, world_names
from phyemu.errors import ConfigError


def equalised_snr_db(name: str) -> np.ndarray:
    """Return the symbol SNR after an ideal MMSE equaliser at 10 Msym/s, one value per frame.

    1 + SNR = 1 / mean over the band of 1 / (1 + snr |H(f)|^2)  (Proakis, MMSE linear equaliser).
    """
    draw = world(name).model.draw(
        3000,
        num_steps=1,
        interval_s=1e-3,
        symbol_rate_hz=10e6,
        generator=torch.Generator().manual_seed(0),
    )
    frequencies_hz = torch.linspace(-5e6, 5e6, 101, dtype=torch.float64)
    power = draw.response.frequency_response(frequencies_hz)[:, 0].abs().double().square()
    snr = 10 ** (draw.snr_db[:, None] / 10)
    equalised = 1 / (1 / (1 + snr * power)).mean(dim=1) - 1
    return 10 * np.log10(equalised.numpy())


@pytest.mark.parametrize(
    ("name", "low_db", "high_db"),
    [
        ("office-los", 14.0, 18.0),
        ("office-nlos", 6.0, 10.0),
        ("conference-los", 14.0, 18.0),
        ("conference-nlos", 5.0, 10.0),
    ],
)
def test_symbol_snr_after_equalisation_is_where_it_should_be(
    name: str, low_db: float, high_db: float
) -> None:
    snr_db = equalised_snr_db(name)
    assert low_db < np.median(snr_db) < high_db
    assert 1.0 < snr_db.std() < 4.0


def test_worlds_are_at_the_papers_distances() -> None:
    distances = {name: world(name).distance_m for name in world_names()}
    assert distances == {
        "office-los": 3.6,
        "office-nlos": 7.8,
        "conference-los": 7.0,
        "conference-nlos": 7.0,
    }


@pytest.mark.parametrize("name", world_names())
def test_radios_share_one_oscillator_and_have_every_impairment(name: str) -> None:
    place = world(name)
    values = place.model.front_end.draw(50, generator=torch.Generator().manual_seed(1))
    assert bool((values.cfo_hz.abs() > 1e3).all())
    torch.testing.assert_close(values.sfo_ppm, values.cfo_hz / 2.4e9 * 1e6)
    for name_of in ("linewidth_hz", "iq_gain_db", "iq_phase_rad"):
        assert bool((getattr(values, name_of) != 0).all())
    assert place.derivation
    assert place.parameters["cn0_dbhz"] == pytest.approx(place.model.cn0_dbhz.mean)


def test_unknown_worlds_are_refused_with_the_list() -> None:
    with pytest.raises(ConfigError, match="office-los, office-nlos"):
        world("moon")
