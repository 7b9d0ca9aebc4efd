"""Stretches of a frame whose noise stands out."""

import math

import numpy as np
import pytest
import torch

from phyemu.receiver import FrameStatus, ReceivedFrame, receive_frames
from phyemu.receiver.disturbance import NOISE_BLOCK, Disturbance, disturbance_of
from phyemu.waveform import FrameFormat, modulate, psk, transmit_waveform
from phyemu.waveform.modulation import squared_errors

SIZE = 8192


def _received(
    order: int, snr_db: float, seed: int, *, burst_db: float | None = None, burst_symbols: int = 900
) -> tuple[ReceivedFrame, np.ndarray]:
    """Return a frame in whose middle the noise is `burst_db` stronger, and its symbols."""
    symbols = torch.randint(order, (SIZE,), generator=torch.Generator().manual_seed(seed))
    iq, placements = transmit_waveform(
        modulate(symbols, psk(order)), frame_format=FrameFormat(), amplitude=1.0, gap_samples=600
    )
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((len(iq), 2)) @ [1, 1j] * math.sqrt(0.5 * 10 ** (-snr_db / 10))
    if burst_db is not None:
        begin = placements[0].sample_start + 7000
        noise[begin : begin + 2 * burst_symbols] *= 10 ** (burst_db / 20)
    received = (iq.numpy() + noise).astype(np.complex64)
    (frame,) = receive_frames([received], frame_format=FrameFormat(), constellation=psk(order))
    return frame, symbols.numpy()


def _disturbance(points: np.ndarray, order: int, noise_variance: float) -> Disturbance | None:
    errors = squared_errors(torch.from_numpy(points), psk(order)).numpy()
    return disturbance_of(points, errors, psk(order), noise_variance=noise_variance)


def _log_likelihood(frame: ReceivedFrame, symbols: np.ndarray, posteriors: np.ndarray) -> float:
    """Return the mean log2 of what the posteriors gave the symbols that were sent."""
    return float(np.log2(posteriors[np.arange(SIZE), symbols].clip(1e-30)).mean())


@pytest.mark.parametrize("burst_db", [10.0, 20.0, 30.0])
def test_a_burst_makes_its_own_posteriors_doubtful_and_no_others(burst_db: float) -> None:
    frame, symbols = _received(4, 14.0, seed=3, burst_db=burst_db)
    assert frame.status is FrameStatus.OK
    # The 900 symbols, to blocks at either end, and the reach of the equaliser.
    assert 900 - NOISE_BLOCK <= frame.disturbed_symbols <= 900 + 4 * NOISE_BLOCK
    # As good as posteriors that know the variance of every symbol.
    known = np.full(SIZE, 10**-1.4)
    begin = 3500 - 232 - 8 - 3500 // 300
    known[begin : begin + 900] *= 10 ** (burst_db / 10)
    distance = np.square(np.abs(frame.points[:, None] - psk(4).points.numpy()))
    logits = -distance / known[:, None]
    logits -= logits.max(1, keepdims=True)
    best = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ours = _log_likelihood(frame, symbols, frame.posteriors)
    assert ours > _log_likelihood(frame, symbols, best) - 0.01
    # With one variance for all of the frame, the mean of both, they are worse by far.
    logits = -distance / known.mean()
    logits -= logits.max(1, keepdims=True)
    flat = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert ours > _log_likelihood(frame, symbols, flat) + 0.02


@pytest.mark.parametrize(("order", "snr_db"), [(4, 2.0), (8, 12.0), (16, 20.0)])
def test_white_noise_does_not_stand_out(order: int, snr_db: float) -> None:
    rng = np.random.default_rng(order)
    points = psk(order).points.numpy()
    variance = 10 ** (-snr_db / 10)
    disturbed = 0
    for _ in range(20):
        sent = points[rng.integers(order, size=SIZE)]
        noise = rng.standard_normal((SIZE, 2)) @ [1, 1j] * math.sqrt(variance / 2)
        found = _disturbance((sent + noise).astype(np.complex64), order, variance)
        disturbed += 0 if found is None else int(found.disturbed.sum())
    # A block's mean error is about a Gamma(32) variable. The median of the blocks' variances is
    # some 0.75 of their mean, so that seven deviations are six: exceeded with probability 5e-7, by
    # one of 5120 blocks once in 400 runs.
    assert disturbed == 0


def test_payloads_that_use_few_symbols_are_not_taken_for_disturbed() -> None:
    # PhyDNNs do not send all symbols alike: here long runs of one symbol, then of two.
    rng = np.random.default_rng(5)
    sent = np.concatenate([np.zeros(4096, int), rng.integers(2, size=4096) * 2])
    noise = rng.standard_normal((SIZE, 2)) @ [1, 1j] * math.sqrt(0.05)
    points = (psk(8).points.numpy()[sent] + noise).astype(np.complex64)
    found = _disturbance(points, 8, 0.1)
    assert found is None or found.disturbed.sum() <= 2 * NOISE_BLOCK


def test_a_short_payload_shows_nothing() -> None:
    assert _disturbance(np.ones(100, np.complex64), 4, 0.1) is None


def test_a_signal_without_noise_has_no_disturbance() -> None:
    frame, symbols = _received(8, 62.0, seed=5)
    assert frame.disturbed_symbols == 0
    assert (frame.posteriors.argmax(-1) == symbols).all()
    for seed in range(3):
        assert _received(4, 90.0, seed=seed)[0].disturbed_symbols == 0
