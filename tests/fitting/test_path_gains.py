"""Path gains by least squares and how many paths the record supports."""

import numpy as np

from phyemu.channel import FadingProcess
from phyemu.fitting.link_frames import pool_soundings
from phyemu.fitting.path_gains import find_paths, project_frames

FADING = FadingProcess(
    powers=(0.69, 0.3, 0.01), k_factor=(0.0, 0.0, 0.0), doppler_hz=(0.0, 0.0, 0.0)
)
DELAYS_S = (0.0, 100e-9, 300e-9)


def test_the_error_covariance_is_that_of_the_errors(make_sounding) -> None:
    sounding = make_sounding(FADING, DELAYS_S, num_frames=3000, independent=True, cn0_dbhz=80.0)
    frames = pool_soundings([sounding])
    paths = project_frames(frames, np.array(DELAYS_S))
    error = paths.gains - sounding.paths.gains.numpy()
    covariance = error.T @ error.conj() / len(error)
    expected = paths.noise_shape * paths.noise_level.mean()
    # Each entry of a sample covariance deviates by sqrt(c_ii c_jj / N); allow five of these.
    scale = float(np.diag(expected).real.max())
    np.testing.assert_allclose(covariance, expected, atol=5 * scale / np.sqrt(3000))


def test_paths_of_the_world_are_found_and_no_others(make_sounding) -> None:
    for seed in range(5):
        sounding = make_sounding(FADING, DELAYS_S, num_frames=100, independent=True, seed=seed)
        paths = find_paths(pool_soundings([sounding]), max_paths=20)
        np.testing.assert_allclose(paths.delays_s, DELAYS_S, atol=1e-9)


def test_a_path_below_the_noise_is_not_invented(make_sounding) -> None:
    sounding = make_sounding(FADING, DELAYS_S, num_frames=20, independent=True, cn0_dbhz=62.0)
    assert find_paths(pool_soundings([sounding]), max_paths=20).num_paths <= 2
