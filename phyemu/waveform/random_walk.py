"""Smoothing of a quantity that wanders: a random walk with a drift, seen through noise.

    theta_b = drift b + w_b,   w_b - w_(b-1) ~ N(0, q),   y_b = theta_b + N(0, 1 / J_b)

The smoother is the maximum a posteriori path, the same as a Kalman filter over [value, drift] and
a Rauch-Tung-Striebel pass back, but written as one banded system, so that no loop runs in Python.
The step variance q is that of the largest evidence on a grid.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpttrf, dpttrs

__all__ = ["SmoothedWalk", "smooth_walk"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SmoothedWalk:
    """A smoothed path.

    Attributes:
        values: theta, (num_blocks,), float64.
        drift: Change per block.
        step_variance: q, per block.
    """

    values: NDArray[np.float64]
    drift: float
    step_variance: float


def smooth_walk(
    values: NDArray[np.float64],
    information: NDArray[np.float64],
    step_variances: NDArray[np.float64],
) -> SmoothedWalk:
    """Return the most probable path.

    Args:
        values: Observations y_b, (num_blocks,); not looked at where the information is 0.
        information: J_b >= 0, (num_blocks,), positive somewhere.
        step_variances: Candidates for q, each > 0.
    """
    count = len(values)
    if count < 3:
        mean = float((information * values).sum() / information.sum())
        return SmoothedWalk(
            values=np.full(count, mean), drift=0.0, step_variance=float(step_variances[0])
        )
    results = [_solve(values, information, float(q)) for q in step_variances]
    return max(results, key=lambda item: item[0])[1]


def _solve(
    values: NDArray[np.float64], information: NDArray[np.float64], step_variance: float
) -> tuple[float, SmoothedWalk]:
    """Return the log evidence, up to a constant, and the path for one q."""
    count = len(values)
    precision = 1.0 / step_variance
    diagonal = information + 2.0 * precision
    diagonal[0] -= precision
    diagonal[-1] -= precision
    beside = np.full(count - 1, -precision)
    # L D L^T of a tridiagonal matrix; LAPACK itself, as SciPy's wrappers take longer than it does.
    pivots, factor, _ = dpttrf(diagonal, beside, overwrite_d=1, overwrite_e=1)
    # L = D^T D / q applied to the ramp 0 1 2 ... leaves -1 at its start and +1 at its end.
    ramp = np.zeros((count, 2))
    ramp[:, 0] = information * values
    ramp[0, 1], ramp[-1, 1] = -precision, precision
    solved, _ = dpttrs(pivots, factor, ramp)
    offset, slope = solved[:, 0], solved[:, 1]
    curvature = (count - 1) * precision - precision * (slope[-1] - slope[0])
    drift = precision * (offset[-1] - offset[0]) / max(curvature, 1e-30)
    path = offset + drift * slope
    steps = np.diff(path) - drift
    cost = (information * (values - path) ** 2).sum() + precision * (steps**2).sum()
    evidence = (
        -0.5 * cost
        - 0.5 * np.log(pivots).sum()
        - 0.5 * (count - 1) * math.log(step_variance)
        - 0.5 * math.log(max(curvature, 1e-30))
    )
    walk = SmoothedWalk(values=path, drift=float(drift), step_variance=step_variance)
    return float(evidence), walk
