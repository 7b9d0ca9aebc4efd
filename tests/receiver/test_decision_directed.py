"""A channel that changes within a frame, with and without decisions to follow it."""

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch

from phyemu.receiver import ReceiverConfig, receive_frames
from phyemu.receiver.decision_directed import refine_symbols
from phyemu.waveform import (
    HEADER_SYMBOLS,
    Constellation,
    FrameFormat,
    decide,
    modulate,
    psk,
    transmit_waveform,
)

RATE = 20e6


class _Sent(NamedTuple):
    iq: np.ndarray
    symbols: np.ndarray


def _sent(order: int, size: int, seed: int, used: int | None = None) -> _Sent:
    generator = torch.Generator().manual_seed(seed)
    symbols = torch.randint(used or order, (size,), generator=generator)
    iq, _ = transmit_waveform(
        modulate(symbols, psk(order)), frame_format=FrameFormat(), amplitude=1.0, gap_samples=600
    )
    return _Sent(iq.numpy(), symbols.numpy())


def _faded(iq: np.ndarray, doppler_hz: float, seed: int) -> np.ndarray:
    """Return the samples over a direct path and two that turn against it by up to the Doppler."""
    rng = np.random.default_rng(seed)
    times = np.arange(len(iq)) / RATE
    out = iq.astype(complex)
    for delay, power in ((2, 0.3), (5, 0.1)):
        gain = np.zeros(len(iq), complex)
        for _ in range(8):
            turn = 2 * np.pi * doppler_hz * np.cos(rng.uniform(0, 2 * np.pi))
            gain += np.exp(1j * (turn * times + rng.uniform(0, 2 * np.pi))) * math.sqrt(power / 8)
        out[delay:] += gain[delay:] * iq[:-delay]
    return out


def _noisy(iq: np.ndarray, snr_db: float, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal((len(iq), 2)) @ [1, 1j]
    return (iq + math.sqrt(0.5 * 10 ** (-snr_db / 10)) * noise).astype(np.complex64)


def _errors(received: np.ndarray, sent: _Sent, table: Constellation, *, follow: bool) -> int:
    (frame,) = receive_frames(
        [received],
        frame_format=FrameFormat(),
        constellation=table,
        config=ReceiverConfig(decision_directed=follow),
    )
    decided = decide(torch.from_numpy(frame.points), table).numpy()
    return int((decided != sent.symbols).sum())


def test_a_channel_that_changes_within_a_frame_is_followed() -> None:
    plain = followed = 0
    for seed in range(3):
        sent = _sent(8, 16000, seed)
        received = _noisy(_faded(sent.iq, 100.0, seed), 22.0, seed)
        plain += _errors(received, sent, psk(8), follow=False)
        followed += _errors(received, sent, psk(8), follow=True)
    # Of the order of thousands against hundreds: far from what counting could do.
    assert plain > 1000
    assert followed < 0.5 * plain


@pytest.mark.parametrize(("order", "snr_db"), [(4, 4.0), (8, 12.0)])
def test_white_noise_loses_next_to_nothing_by_it(order: int, snr_db: float) -> None:
    plain = followed = 0
    for seed in range(3):
        sent = _sent(order, 16000, seed)
        received = _noisy(sent.iq, snr_db, seed)
        plain += _errors(received, sent, psk(order), follow=False)
        followed += _errors(received, sent, psk(order), follow=True)
    # The same noise in both: they differ in few symbols. 2 % of errors are 0.03 dB here.
    assert followed <= 1.02 * plain


def test_payloads_of_few_symbols_are_not_bent() -> None:
    # Two neighbouring points of eight: their mean is far from zero, and what a filter could make
    # of it is not in the channel.
    sent = _sent(8, 12000, 5, used=2)
    received = _noisy(sent.iq, 13.0, 5)
    plain = _errors(received, sent, psk(8), follow=False)
    assert _errors(received, sent, psk(8), follow=True) <= 1.05 * plain + 5
    faded = _noisy(_faded(sent.iq, 100.0, 6), 22.0, 6)
    assert _errors(faded, sent, psk(8), follow=True) <= _errors(faded, sent, psk(8), follow=False)


def test_symbols_that_were_not_heard_do_not_matter() -> None:
    rng = np.random.default_rng(8)
    known = 128 + HEADER_SYMBOLS
    points = psk(4).points.numpy()[rng.integers(4, size=6000)]
    # An echo that grows from nothing.
    growing = np.linspace(0, 0.7, 6000) * 1j
    received = points + growing * np.roll(points, 1)
    received += 0.05 * (rng.standard_normal((6000, 2)) @ [1, 1j])
    heard = np.ones(6000, bool)
    heard[2000:2500] = False
    results = []
    for filler in (0.0, 100.0):
        symbols = np.where(heard, received, filler).astype(np.complex64)
        refined = refine_symbols(
            symbols,
            np.arange(known),
            points[:known].astype(np.complex64),
            heard,
            psk(4),
            noise_variance=0.3,
        )
        assert refined is not None
        results.append(refined.symbols[heard])
    np.testing.assert_array_equal(*results)
    errors = np.square(np.abs(results[0] - points[heard]))
    # What is left: the noise of 0.005, what inverting the echo makes of it, the ends of the filter.
    assert errors.mean() < 0.1 * np.square(np.abs(received - points)[heard]).mean()


def test_a_short_frame_is_left_alone() -> None:
    symbols = np.ones(50, np.complex64)
    heard = np.ones(50, bool)
    none = refine_symbols(symbols, np.arange(20), symbols[:20], heard, psk(4), noise_variance=0.1)
    assert none is None
