"""Channels as links: their SNR from their impulse responses, and what places do to a transfer."""

import dataclasses
import statistics
from types import ModuleType

import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse, MeasuredChannel, NoiseLevel, load_channel
from phyemu.errors import ConfigError
from phyemu.fullstack import Protocol, WifiLink, effective_snr_db, phy_rate, transfer, wifi_link
from phyemu.fullstack.channel_link import SOFT_DECISION_GAIN_DB
from phyemu.wifi import detect_wifi_frames, receive_wifi_frame

CARRIERS = np.array([*range(-26, 0), *range(1, 27)])


def test_a_flat_channel_has_its_snr_on_every_modulation() -> None:
    link = wifi_link(load_channel("awgn:12.5"), seed=0)
    assert link.snr.snr_db == pytest.approx(12.5 + SOFT_DECISION_GAIN_DB, abs=1e-6)
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
        found = link.snr.snr_db[:, column] - SOFT_DECISION_GAIN_DB
        assert found == pytest.approx(expected, abs=1e-3)
    mean_db = 10 * np.log10(np.mean(10 ** (carriers_db / 10)))
    assert link.snr.mean_snr_db == pytest.approx(mean_db, abs=1e-3)
    assert link.snr.snr_db.max() < mean_db + SOFT_DECISION_GAIN_DB


def test_places_without_sight_take_more_time_and_repetitions() -> None:
    def of(spec: str) -> tuple[float, float]:
        model = load_channel(spec)
        links = [wifi_link(model, seed=seed) for seed in range(3)]
        found = [
            transfer(64 * 1024, link, Protocol.TCP, seed=seed) for seed, link in enumerate(links)
        ]
        assert all(item.delivered_bytes == 64 * 1024 for item in found)
        # Where the rate may not fall, frames are repeated instead.
        fixed = [
            transfer(64 * 1024, dataclasses.replace(link, rate_mbps=18), Protocol.UDP, seed=0)
            for link in links
        ]
        return (
            statistics.mean(item.duration_s for item in found),
            statistics.mean(item.overhead_bytes["retransmission"] for item in fixed),
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


def _is_received(heard: np.ndarray) -> bool:
    frames = detect_wifi_frames([heard], sample_rate_hz=20e6)
    return any(
        receive_wifi_frame(frame, lambda start, count: heard[start : start + count]).content.fcs_ok
        for frame in frames
    )


@pytest.mark.slow
@pytest.mark.parametrize("num_taps", [1, 4])
def test_a_real_receiver_loses_frames_where_the_link_does(
    num_taps: int, wifi_transmitter: ModuleType
) -> None:
    """phyemu's 802.11 receiver, which decides softly, at 24 Mbit/s with frames of 300 bytes."""
    rng = np.random.default_rng(5)
    psdu = wifi_transmitter.with_fcs(b"\x08\x00" + rng.bytes(294))
    clean = wifi_transmitter.legacy_frame(psdu, 24)
    silence = np.zeros(300)

    def share_lost(snr_db: float, count: int) -> tuple[float, float]:
        arrived, expected = 0, []
        for _ in range(count):
            taps = rng.standard_normal(num_taps) + 1j * rng.standard_normal(num_taps)
            taps *= np.exp(-np.arange(num_taps) / 3)
            taps /= np.linalg.norm(taps)
            sent = np.convolve(np.concatenate([silence, clean, silence]), taps)
            # A frame's power is in 52 of 64 carriers, the noise in all of them.
            deviation = np.sqrt(10 ** (-snr_db / 10) * 64 / 52 / 2)
            noise = rng.standard_normal(len(sent)) + 1j * rng.standard_normal(len(sent))
            heard = (sent + deviation * noise).astype(np.complex64)
            arrived += _is_received(heard)
            turns = CARRIERS[:, None] * np.arange(num_taps) / 64
            response = (taps * np.exp(-2j * np.pi * turns)).sum(axis=1)
            carriers_db = snr_db + 20 * np.log10(np.abs(response))
            own_db = float(effective_snr_db(carriers_db[None], 4)[0]) + SOFT_DECISION_GAIN_DB
            expected.append(1 - phy_rate(24).success_rate(own_db, len(psdu)))
        return 1 - arrived / count, float(np.mean(expected))

    # Both see the same channels. From most lost to most received takes 3 dB in white noise; what
    # the model puts there, the receiver must put within 1.5 dB.
    low_db, high_db = (9.0, 12.5) if num_taps == 1 else (9.5, 16.0)
    lost, expected = share_lost(low_db, 10)
    assert lost > 0.5
    assert expected > 0.5
    lost, expected = share_lost(high_db, 10)
    assert lost < 0.4
    assert expected < 0.4
