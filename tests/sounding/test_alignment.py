"""Frames are laid on one time axis, by clock or by content."""

import numpy as np
import pytest
from numpy.typing import NDArray

from phyemu.sounding.alignment import align_by_clock, align_by_content, relative_delays
from phyemu.sounding.probe_frames import ProbeFrames

RATE = 20e6
FREQUENCIES = np.arange(-200, 201) * (RATE / 512)


def _frames(
    gains: NDArray[np.complex128],
    delays_s: NDArray[np.float64],
    *,
    reference_start: NDArray[np.float64],
    lateness_samples: NDArray[np.float64],
    interval: int | None,
    noise: float = 1e-4,
) -> ProbeFrames:
    """Return N frames whose first path arrives `lateness_samples` after their reference."""
    rng = np.random.default_rng(9)
    count = len(gains)
    turns = np.exp(-2j * np.pi * np.outer(delays_s, FREQUENCIES))
    late = np.exp(-2j * np.pi * np.outer(lateness_samples / RATE, FREQUENCIES))
    clean = (gains @ turns) * late
    added = rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape)
    return ProbeFrames(
        probe="sounder",
        bandwidth_hz=401 * RATE / 512,
        frequencies_hz=FREQUENCIES,
        period_s=512 / RATE,
        sample_start=np.round(reference_start).astype(np.int64),
        reference_start=reference_start,
        interval_samples=interval,
        transfer=(clean + np.sqrt(noise / 2) * added).astype(np.complex64),
        noise_variance=np.full(clean.shape, noise),
        noise_density=np.full(count, 1e-12),
        noise_floor=np.full(count, 1e-5),
        cfo_hz=np.zeros(count),
        cfo_std_hz=np.ones(count),
        confidence=np.ones(count),
    )


def test_lateness_is_measured_to_a_hundredth_of_a_sample() -> None:
    lateness = np.array([0.0, 0.3, -2.7, 11.45])
    frames = _frames(
        np.ones((4, 2), complex),
        np.array([0.0, 3e-7]),
        reference_start=np.zeros(4),
        lateness_samples=lateness,
        interval=None,
    )
    delays, coherence = relative_delays(frames, frames.transfer[0])
    np.testing.assert_allclose(delays * RATE, lateness, atol=0.01)
    assert coherence.min() > 0.99


def test_frames_at_any_time_are_aligned_whatever_their_phase() -> None:
    rng = np.random.default_rng(2)
    gains = np.exp(2j * np.pi * rng.random((25, 1))) * np.array([1.0, 0.6j])
    frames = _frames(
        gains,
        np.array([0.0, 2.2e-7]),
        reference_start=np.arange(25) * 7777.0,
        lateness_samples=rng.uniform(-3, 3, 25),
        interval=None,
    )
    aligned = align_by_content(frames, sample_rate_hz=RATE)
    assert np.isnan(aligned.sfo_ppm)
    phases = np.exp(-1j * np.angle(aligned.frames.transfer @ aligned.frames.transfer[0].conj()))
    same = aligned.frames.transfer * phases[:, None]
    assert np.mean(np.abs(same - same.mean(axis=0)) ** 2) < 2 * 1e-4


@pytest.mark.parametrize("sfo_ppm", [-20.0, 0.0, 3.3])
def test_clock_gives_the_sampling_offset_though_the_paths_fade(sfo_ppm: float) -> None:
    rng = np.random.default_rng(4)
    count, interval = 200, 6144
    gains = (rng.standard_normal((count, 3)) + 1j * rng.standard_normal((count, 3))) / 2
    delays = np.array([0.0, 2e-7, 5e-7])
    # A fast transmitter is early by sfo x time; detection takes the strongest path of each frame.
    arrival = 1000.0 + np.arange(count) * interval * (1 - sfo_ppm * 1e-6)
    strongest = np.round(delays[np.abs(gains).argmax(axis=1)] * RATE)
    reference = np.round(arrival) + strongest
    frames = _frames(
        gains,
        delays,
        reference_start=reference,
        lateness_samples=arrival - reference,
        interval=interval,
    )
    aligned = align_by_clock(frames, sample_rate_hz=RATE)
    assert aligned is not None
    # Independent fading moves the profile of a frame by several samples, 200 frames average it.
    assert aligned.sfo_ppm == pytest.approx(sfo_ppm, abs=1.0)
    late = aligned.frames.reference_start - arrival
    assert np.ptp(late) < 1.5


def test_frames_without_a_common_clock_are_refused_one() -> None:
    rng = np.random.default_rng(4)
    start = np.sort(rng.uniform(0, 1e6, 30))
    frames = _frames(
        np.ones((30, 1), complex),
        np.zeros(1),
        reference_start=start,
        lateness_samples=np.zeros(30),
        interval=6144,
    )
    assert align_by_clock(frames, sample_rate_hz=RATE) is None
    assert align_by_clock(frames.select(np.arange(2)), sample_rate_hz=RATE) is None
