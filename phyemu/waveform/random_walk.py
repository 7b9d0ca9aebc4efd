"""Smoothing of a quantity that wanders: a random walk with a drift, seen through noise.

    theta_b = drift b + w_b,   w_b - w_(b-1) ~ N(0, q),   y_b = theta_b + N(0, 1 / J_b)

The smoother is the maximum a posteriori path, the same as a Kalman filter over [value, drift] and
a Rauch-Tung-Striebel pass back, but written as one banded system, so that no loop runs in Python.
The step variance q is that of the largest evidence on a grid.
"""

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
    # One banded system holds those of all candidates, with nothing between them.
    precisions = 1.0 / step_variances[:, None]
    diagonals = information + 2.0 * precisions
    diagonals[:, :1] -= precisions
    diagonals[:, -1:] -= precisions
    beside = np.repeat(-precisions, count, axis=1)
    beside[:, -1] = 0.0
    # L D L^T of a tridiagonal matrix; LAPACK itself, as SciPy's wrappers take longer than it does.
    pivots, factor, _ = dpttrf(
        diagonals.reshape(-1), beside.reshape(-1)[:-1], overwrite_d=1, overwrite_e=1
    )
    # L = D^T D / q applied to the ramp 0 1 2 ... leaves -1 at its start and +1 at its end.
    right = np.zeros((2, *diagonals.shape))
    right[0] = information * values
    right[1, :, :1], right[1, :, -1:] = -precisions, precisions
    solved, _ = dpttrs(pivots, factor, right.reshape(2, -1).T)
    offsets, slopes = solved.T.reshape(right.shape)
    inner = precisions[:, 0]
    curvatures = (count - 1) * inner - inner * (slopes[:, -1] - slopes[:, 0])
    curvatures = np.maximum(curvatures, 1e-30)
    drifts = inner * (offsets[:, -1] - offsets[:, 0]) / curvatures
    paths = offsets + drifts[:, None] * slopes
    steps = np.diff(paths, axis=1) - drifts[:, None]
    misfits = np.einsum("b,qb->q", information, np.square(values - paths))
    costs = misfits + inner * np.square(steps).sum(axis=1)
    evidence = -0.5 * (
        costs
        + np.log(pivots).reshape(diagonals.shape).sum(axis=1)
        + (count - 1) * np.log(step_variances)
        + np.log(curvatures)
    )
    best = int(evidence.argmax())
    return SmoothedWalk(
        values=paths[best],
        drift=float(drifts[best]),
        step_variance=float(step_variances[best]),
    )
