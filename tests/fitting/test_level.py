"""C/N0 and drift."""

import dataclasses

import numpy as np
import pytest
import torch

from phyemu.channel import FadingProcess
from phyemu.fitting.level import level_out, measure_level
from phyemu.fitting.link_frames import pool_soundings
from phyemu.fitting.path_gains import project_frames
from phyemu.fitting.rician_link import fit_rician_link

DELAYS_S = (0.0, 200e-9)
FADING = FadingProcess(powers=(0.6, 0.4), k_factor=(0.0, 0.0), doppler_hz=(0.0, 0.0))


def _link(frames):
    paths = project_frames(frames, np.array(DELAYS_S))
    return fit_rician_link(paths, specular=np.zeros(2, bool), correlated=False)


def test_the_interval_of_cn0_holds_the_truth_in_most_records(make_sounding) -> None:
    inside = 0
    for seed in range(40):
        frames = pool_soundings(
            [make_sounding(FADING, DELAYS_S, num_frames=60, independent=True, seed=seed)]
        )
        level = measure_level(
            frames, _link(frames), delays_s=np.array(DELAYS_S), effective_frames=60
        )
        inside += level.cn0_dbhz.contains(100.0)
    # Binomial(40, 0.95): 32 or fewer has a chance of 1e-3.
    assert inside > 32


def test_fading_alone_is_no_drift(make_sounding) -> None:
    drifts = []
    for seed in range(20):
        frames = pool_soundings(
            [make_sounding(FADING, DELAYS_S, num_frames=200, independent=True, seed=seed)]
        )
        level = level_out(frames, _link(frames), delays_s=np.array(DELAYS_S), effective_frames=200)
        drifts.append(level.drift_db)
    # Three block lengths of significance 1e-3 each; two false alarms in 20 are past chance.
    assert np.count_nonzero(drifts) < 2


def test_a_step_of_the_power_is_a_drift(make_sounding) -> None:
    step_db = np.where(np.arange(200) < 100, 0.0, 6.0)
    frames = pool_soundings(
        [
            make_sounding(
                FADING, DELAYS_S, num_frames=200, independent=True, drift_db=step_db, seed=1
            )
        ]
    )
    level = level_out(frames, _link(frames), delays_s=np.array(DELAYS_S), effective_frames=200)
    assert level.drift_db == pytest.approx(3.0, rel=0.4)
    assert level.amplitude[:80].mean() > 1 > level.amplitude[120:].mean()
    assert level.distribution().is_constant
    # Where time is not to be trusted, the drift goes from draw to draw, at the same mean power.
    cut = dataclasses.replace(frames, real_time=False)
    level = level_out(cut, _link(frames), delays_s=np.array(DELAYS_S), effective_frames=200)
    assert level.memory is None
    assert level.distribution().std == level.drift_db
    drawn_db = level.distribution().draw(50_000, generator=torch.Generator().manual_seed(0))
    mean_db = 10 * np.log10(np.mean(10 ** (drawn_db.numpy() / 10)))
    assert mean_db == pytest.approx(level.cn0_dbhz.value + level.unit_power_offset_db, abs=0.1)
