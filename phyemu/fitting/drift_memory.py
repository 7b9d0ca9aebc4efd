"""How long the level of a link remembers itself: the correlation time of its large-scale drift.

The levels of blocks of time, y_b = s(t_b) + e_b, are normal: s has a common mean, the variance
sigma^2 and the correlation exp(-|t_b - t_c| / T) (Gudmundson 1991), recordings being independent;
e_b is what small-scale fading leaves of itself in a block's mean, of known variance. With the mean
integrated out, the likelihood is searched over sigma and T.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DriftMemory", "measure_drift"]

_MIN_BLOCKS = 6
_NUM_TIMES = 24
_NUM_SPREADS = 32
_EVIDENCE = 2.0  # [nat] by which a memory must beat levels that are new in every block
_CONFIDENCE = 1.92  # [nat] below the peak: half the 95 % quantile of chi-square with 1 degree


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftMemory:
    """The drift as a process in time.

    Attributes:
        std_db: Standard deviation of the level [dB].
        std_low_db: Lower end of its 95 % confidence interval [dB].
        std_high_db: Upper end [dB].
        correlation_s: Correlation time T [s].
        level_db: Most likely level of each frame beside the mean one, (N,) [dB]: kriging, the mean
            of s given the blocks.
        at_least: Whether the level changes so slowly that the record only bounds T from below.
    """

    std_db: float
    std_low_db: float
    std_high_db: float
    correlation_s: float
    level_db: NDArray[np.float64]
    at_least: bool


def measure_drift(
    levels_db: NDArray[np.float64],
    *,
    error_db: NDArray[np.float64],
    time_s: NDArray[np.float64],
    recording: NDArray[np.int64],
    frame_time_s: NDArray[np.float64],
    frame_recording: NDArray[np.int64],
) -> DriftMemory | None:
    """Return the drift that block levels show; None where they tell no memory.

    Args:
        levels_db: Level of each block, (B,) [dB].
        error_db: Standard deviation that fading alone gives each, (B,) [dB].
        time_s: Centre of each block within its recording, (B,) [s].
        recording: Index of the recording of each, (B,).
        frame_time_s: Time of each frame within its recording, (N,) [s].
        frame_recording: Index of the recording of each, (N,).
    """
    lags_s = np.abs(time_s[:, None] - time_s)
    same = recording[:, None] == recording
    steps = np.diff(time_s)[np.diff(recording) == 0]
    if len(levels_db) < _MIN_BLOCKS or len(steps) < _MIN_BLOCKS - 1:
        return None
    step_s, span_s = float(np.median(steps)), float(lags_s[same].max())
    times_s = np.geomspace(0.5 * step_s, 2.0 * span_s, _NUM_TIMES)
    total = max(float(levels_db.std()), 1e-3)
    spreads_db = total * np.geomspace(0.2, 4.0, _NUM_SPREADS)
    noise = np.diag(np.square(error_db))

    def likelihoods(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([_likelihood(levels_db, s**2 * correlation + noise) for s in spreads_db])

    fresh = float(likelihoods(np.eye(len(levels_db))).max())
    surface = np.array([likelihoods(np.where(same, np.exp(-lags_s / t), 0.0)) for t in times_s])
    peak = float(surface.max())
    if peak - fresh < _EVIDENCE:
        return None
    row, column = np.unravel_index(int(surface.argmax()), surface.shape)
    within = spreads_db[surface.max(axis=0) > peak - _CONFIDENCE]
    variance, correlation_s = float(spreads_db[column]) ** 2, float(times_s[row])
    covariance = variance * np.where(same, np.exp(-lags_s / correlation_s), 0.0) + noise
    weights = np.linalg.solve(covariance, np.column_stack([levels_db, np.ones(len(levels_db))]))
    mean = float(weights[:, 0].sum() / weights[:, 1].sum())
    across = np.abs(frame_time_s[:, None] - time_s)
    shared = np.where(frame_recording[:, None] == recording, np.exp(-across / correlation_s), 0.0)
    return DriftMemory(
        std_db=float(spreads_db[column]),
        std_low_db=float(within.min()),
        std_high_db=float(within.max()),
        correlation_s=correlation_s,
        level_db=variance * shared @ (weights[:, 0] - mean * weights[:, 1]),
        at_least=bool(times_s[row] > 0.5 * span_s),
    )


def _likelihood(values: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """Return ln of the normal density of values with an unknown common mean, up to a constant."""
    factor = np.linalg.cholesky(covariance + 1e-9 * np.eye(len(values)))
    white = np.linalg.solve(factor, np.column_stack([values, np.ones(len(values))]))
    strength = float(white[:, 1] @ white[:, 1])
    rest = white[:, 0] - white[:, 1] * float(white[:, 1] @ white[:, 0]) / strength
    half_log_det = float(np.log(np.diag(factor)).sum())
    return -half_log_det - 0.5 * math.log(strength) - 0.5 * float(rest @ rest)
