"""Frames put together."""

import math

import numpy as np
import pytest

from phyemu.errors import ConfigError, SignalError
from phyemu.receiver import FrameStatus, ReceivedFrame, assemble


def _frame(
    index: int | None,
    size: int,
    *,
    start: int,
    received: int | None = None,
    noise: float = 0.1,
    order: int = 4,
) -> ReceivedFrame:
    there = size if received is None else received
    status = FrameStatus.OK if received is None else FrameStatus.TRUNCATED
    if index is None:
        status, size, there = FrameStatus.HEADER_ERROR, 0, 0
    posteriors = np.full((size, order), 1 / order, np.float32)
    posteriors[:there] = np.eye(order)[0]
    points = np.zeros(size, np.complex64)
    points[:there] = start
    return ReceivedFrame(
        sample_start=start,
        sample_count=100,
        status=status,
        frame_index=index,
        erased=np.arange(size) >= there,
        points=points,
        posteriors=posteriors,
        disturbed_symbols=0,
        noise_variance=noise,
        snr_db=10.0,
        cfo_hz=0.0,
        cfo_drift_hz=0.0,
        sfo_ppm=0.0,
        evm_db=math.nan,
        timing_samples=0.0,
        amplitude=1.0,
        response=np.ones(1, np.complex64),
        response_offset_samples=0,
    )


def test_frames_are_ordered_and_what_is_missing_is_erased() -> None:
    frames = [
        _frame(2, 3, start=10),
        _frame(None, 0, start=20),
        _frame(0, 4, start=30),
        _frame(3, 3, start=40, received=1),
    ]
    reception = assemble(frames, [4, 3, 3, 3], order=4)
    assert reception.points.real.tolist() == [30] * 4 + [0] * 3 + [10] * 3 + [40, 0, 0]
    assert reception.received.tolist() == [True] * 4 + [False] * 3 + [True] * 4 + [False] * 2
    np.testing.assert_allclose(reception.posteriors[~reception.received], 0.25)
    assert reception.frames_sent == 4
    assert reception.lost_frames == (1,)
    assert reception.frames_lost == 1
    assert reception.header_error_samples == (20,)
    assert reception.truncated_samples == (40,)
    assert reception.unexpected_samples == ()


def test_of_repetitions_the_best_counts() -> None:
    frames = [
        _frame(0, 4, start=1, received=2, noise=0.01),
        _frame(0, 4, start=2, noise=0.2),
        _frame(0, 4, start=3, noise=0.1),
        _frame(0, 4, start=4, noise=0.3),
    ]
    reception = assemble(frames, [4], order=4)
    assert reception.points.real.tolist() == [3] * 4
    assert reception.repeated_samples == (1, 2, 4)


def test_frames_that_do_not_fit_are_counted() -> None:
    reception = assemble([_frame(0, 5, start=1), _frame(7, 4, start=2)], [4], order=4)
    assert reception.unexpected_samples == (1, 2)
    assert reception.lost_frames == (0,)


def test_indices_that_begin_again_are_followed() -> None:
    plan = [1] * 5000
    sent = [n for n in range(5000) if n % 7]
    frames = [_frame(n % 4096, 1, start=n) for n in sent]
    reception = assemble(frames, plan, order=4)
    assert reception.points.real[sent].tolist() == sent
    assert reception.lost_frames == tuple(range(0, 5000, 7))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ConfigError, match="payload_plan"):
        assemble([], [], order=4)
    with pytest.raises(SignalError, match="expected 8"):
        assemble([_frame(0, 4, start=0)], [4], order=8)
