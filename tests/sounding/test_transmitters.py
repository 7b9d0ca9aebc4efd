"""Transmitters are told apart by offset and power, and one is never split by fading or drift."""

import numpy as np
from numpy.typing import NDArray

from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.transmitters import separate_transmitters


def _frames(
    cfo_hz: NDArray[np.float64], power_db: NDArray[np.float64], cfo_std_hz: float = 100.0
) -> ProbeFrames:
    count = len(cfo_hz)
    amplitude = 10 ** (power_db / 20)
    return ProbeFrames(
        probe="wifi",
        bandwidth_hz=1e6,
        frequencies_hz=np.arange(4) * 1e5,
        period_s=1e-5,
        sample_start=np.arange(count),
        reference_start=np.arange(count, dtype=float),
        interval_samples=None,
        transfer=(amplitude[:, None] * np.ones((count, 4))).astype(np.complex64),
        noise_variance=np.full((count, 4), 1e-9),
        noise_density=np.full(count, 1e-12),
        noise_floor=np.full(count, 1e-5),
        cfo_hz=cfo_hz,
        cfo_std_hz=np.full(count, cfo_std_hz),
        confidence=np.ones(count),
    )


def test_two_radios_become_two_links_the_stronger_first() -> None:
    rng = np.random.default_rng(0)
    far = rng.random(60) < 0.3
    cfo = np.where(far, -15e3, -35e3) + rng.normal(0, 700, 60)
    power = np.where(far, -40.0, -29.0) + rng.normal(0, 1, 60)
    links = separate_transmitters(_frames(cfo, power))
    assert [index.tolist() for index in links] == [
        np.flatnonzero(~far).tolist(),
        np.flatnonzero(far).tolist(),
    ]


def test_a_fading_drifting_radio_stays_one_link() -> None:
    rng = np.random.default_rng(1)
    cfo = np.linspace(-10e3, 30e3, 200) + rng.normal(0, 300, 200)
    power = -30 + 10 * np.log10(rng.exponential(size=200))
    assert len(separate_transmitters(_frames(cfo, power))) == 1


def test_noisy_offsets_do_not_split_a_link() -> None:
    cfo = np.random.default_rng(2).normal(0, 5e3, 100)
    assert len(separate_transmitters(_frames(cfo, np.zeros(100), cfo_std_hz=5e3))) == 1


def test_small_clusters_are_dropped_unless_nothing_is_left() -> None:
    cfo = np.array([0.0, 10.0, 20.0, 90e3])
    frames = _frames(cfo, np.zeros(4))
    assert [len(index) for index in separate_transmitters(frames, min_frames=2)] == [3]
    single = frames.select(np.array([3]))
    assert [len(index) for index in separate_transmitters(single, min_frames=2)] == [1]
