"""Channels as links: their SNR from their impulse responses, and what places do to a transfer."""

import statistics

import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse, MeasuredChannel, NoiseLevel, load_channel
from phyemu.errors import ConfigError
from phyemu.fullstack import Protocol, WifiLink, effective_snr_db, transfer, wifi_link

CARRIERS = np.array([*range(-26, 0), *range(1, 27)])


def test_a_flat_channel_has_its_snr_on_every_modulation() -> None:
    link = wifi_link(load_channel("awgn:12.5"), seed=0)
    assert link.snr.snr_db == pytest.approx(12.5, abs=1e-6)
    assert link.snr.mean_snr_db == pytest.approx(12.5)


def test_a_density_of_noise_is_spread_over_the_carriers() -> None:
    # The worlds state C/N0; 52 carriers of 312.5 kHz take 16.25 MHz of it.
    model = load_channel("world:office-los")
    links = [wifi_link(model, seed=seed) for seed in range(6)]
    power = statistics.mean(float(np.mean(10 ** (link.snr.mean_snr_db / 10))) for link in links)
    generator = torch.Generator().manual_seed(0)
    steps = {"num_steps": 1, "interval_s": 1e-3, "generator": generator}
    draws = model.draw(2000, symbol_rate_hz=1.0, **steps)
    expected_db = float(draws.snr_db.mean()) - 10 * np.log10(16.25e6)
    # Fading over 1 s and shadowing of 0.5 dB, over 6 draws; paths within the band add up.
    assert 10 * np.log10(power) == pytest.approx(expected_db, abs=1.5)


def test_two_paths_fade_the_carriers_between_them() -> None:
    # Both stay, and make a notch in the band.
    gains, delays_s, snr_db = np.array([0.8, 0.6j]), np.array([0.0, 150e-9]), 20.0
    held = torch.tensor(np.repeat(gains[None], 4, axis=0), dtype=torch.complex64)
    response = ImpulseResponse(held, torch.tensor(delays_s, dtype=torch.float64), 1e-3)
    noise = NoiseLevel.of_snr_db(snr_db)
    link = wifi_link(MeasuredChannel(name="two", responses=response, noise=noise), seed=3)
    transfer_function = (gains * np.exp(-2j * np.pi * 312.5e3 * CARRIERS[:, None] * delays_s)).sum(
        axis=1
    )
    carriers_db = 20 * np.log10(np.abs(transfer_function)) + snr_db
    for column, bits in enumerate((1, 2, 4, 6)):
        expected = effective_snr_db(carriers_db[None], bits)[0]
        assert link.snr.snr_db[:, column] == pytest.approx(expected, abs=1e-3)
    mean_db = 10 * np.log10(np.mean(10 ** (carriers_db / 10)))
    assert link.snr.mean_snr_db == pytest.approx(mean_db, abs=1e-3)
    assert link.snr.snr_db.max() < mean_db


def test_places_without_sight_take_more_time_and_repetitions() -> None:
    def of(spec: str) -> tuple[float, float]:
        model = load_channel(spec)
        links = [wifi_link(model, seed=seed) for seed in range(3)]
        found = [
            transfer(64 * 1024, link, Protocol.TCP, seed=seed) for seed, link in enumerate(links)
        ]
        assert all(item.delivered_bytes == 64 * 1024 for item in found)
        return (
            statistics.mean(item.duration_s for item in found),
            statistics.mean(item.overhead_bytes["retransmission"] for item in found),
        )

    sight, none = of("world:office-los"), of("world:office-nlos")
    assert none[0] > sight[0]
    assert none[1] > sight[1]


def test_the_seed_draws_the_channel() -> None:
    model = load_channel("tgn-d:20")
    first, again, other = (wifi_link(model, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.snr.snr_db, again.snr.snr_db)
    assert not np.array_equal(first.snr.snr_db, other.snr.snr_db)
    with pytest.raises(ConfigError, match="seed"):
        wifi_link(model, seed=-1)


def test_a_link_without_noise_is_one() -> None:
    link = wifi_link(load_channel("awgn:inf"), seed=0, rate_mbps=54)
    assert isinstance(link, WifiLink)
    assert transfer(1000, link, Protocol.UDP, seed=0).delivered_bytes == 1000
