"""Phase noise and IQ imbalance are recovered with the errors that are stated."""

import numpy as np
import pytest

from phyemu.sounding.hardware import estimate_iq_imbalance, estimate_linewidth


@pytest.mark.parametrize("linewidth_hz", [0.0, 20.0, 500.0])
def test_linewidth_is_recovered_within_its_error(linewidth_hz: float) -> None:
    step_s, oversampling, count = 50e-6, 64, 8
    pulls = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        # A Wiener phase of variance 2 pi L T, averaged over each stretch, plus noise.
        sigma = np.sqrt(2 * np.pi * linewidth_hz * step_s / oversampling)
        walk = np.cumsum(sigma * rng.standard_normal((20, count * oversampling)), axis=1)
        phase = walk.reshape(20, count, oversampling).mean(axis=2)
        phase = phase + 0.01 * rng.standard_normal(phase.shape) + 0.3 * np.arange(count) + 1.0
        estimate = estimate_linewidth(phase, phase_variance=np.full(20, 1e-4), step_s=step_s)
        pulls.append((estimate.value - linewidth_hz) / estimate.std)
    if linewidth_hz > 0:
        assert abs(np.mean(pulls)) < 5 / np.sqrt(60)
        assert np.std(pulls) == pytest.approx(1.0, abs=5 / np.sqrt(120))
    else:
        assert max(pulls) < 5.0


def test_too_few_phases_leave_the_linewidth_unknown() -> None:
    estimate = estimate_linewidth(np.zeros((5, 3)), phase_variance=np.ones(5), step_s=1e-3)
    assert not estimate.is_known


@pytest.mark.parametrize(("gain_db", "phase_rad"), [(0.0, 0.0), (0.5, -0.03), (-1.0, 0.1)])
def test_imbalance_is_recovered_within_its_error(gain_db: float, phase_rad: float) -> None:
    rng = np.random.default_rng(5)
    u = rng.standard_normal(20_000) + 1j * rng.standard_normal(20_000)
    noisy = u + 0.1 * (rng.standard_normal(20_000) + 1j * rng.standard_normal(20_000))
    ratio = 10 ** (gain_db / 20)
    branch_q = ratio * (noisy.imag * np.cos(phase_rad) - noisy.real * np.sin(phase_rad))
    gain, phase = estimate_iq_imbalance(noisy.real + 1j * branch_q, 0.7 * np.exp(0.4j) * u)
    assert abs(gain.value - gain_db) < 5 * gain.std < 0.1
    assert abs(phase.value - phase_rad) < 5 * phase.std < 0.01


def test_silence_leaves_the_imbalance_unknown() -> None:
    gain, phase = estimate_iq_imbalance(np.zeros(10, complex), np.zeros(10, complex))
    assert not gain.is_known
    assert not phase.is_significant
