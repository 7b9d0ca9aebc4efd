"""Intervals of delays."""

import numpy as np

from phyemu.channel import FadingProcess
from phyemu.fitting.delay_uncertainty import delay_intervals
from phyemu.fitting.link_frames import pool_soundings
from phyemu.fitting.path_gains import find_paths

FADING = FadingProcess(powers=(0.8, 0.2), k_factor=(0.0, 0.0), doppler_hz=(0.0, 0.0))
DELAYS_S = (0.0, 160e-9)


def test_they_hold_the_true_delay_in_most_records(make_sounding) -> None:
    inside, widths = 0, []
    for seed in range(50):
        sounding = make_sounding(
            FADING,
            DELAYS_S,
            num_frames=60,
            independent=True,
            num_frequencies=32,
            cn0_dbhz=85.0,
            seed=seed,
        )
        frames = pool_soundings([sounding])
        paths = find_paths(frames, max_paths=4)
        first, second = delay_intervals(frames, paths)
        assert first.low == first.high == 0
        inside += second.contains(DELAYS_S[1])
        widths.append(second.high - second.low)
    # Binomial(50, 0.95): 41 or fewer has a chance of 1e-3.
    assert inside >= 42
    # Cramer-Rao for one path: 1 / (2 pi B_rms sqrt(2 N F snr)), snr of one value of a path's
    # response = 0.2 P / (N0 20 kHz 32); the other path has a share in the relative delay.
    snr = 10 ** (85.0 / 10) * 0.2 / (20e3 * 32)
    bound = 1 / (2 * np.pi * 16e6 / np.sqrt(12) * np.sqrt(2 * 60 * 32 * snr))
    assert 3.9 * bound < np.median(widths) < 2 * 3.9 * bound
