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
    """A smoothed path, or several.

    Attributes:
        values: theta, (..., num_blocks), float64.
        drift: Change per block, (...).
        step_variance: q, per block, (...).
    """

    values: NDArray[np.float64]
    drift: NDArray[np.float64]
    step_variance: NDArray[np.float64]


def smooth_walk(
    values: NDArray[np.float64],
    information: NDArray[np.float64],
    step_variances: NDArray[np.float64],
) -> SmoothedWalk:
    """Return the most probable path of each row.

    Args:
        values: Observations y_b, (..., num_blocks); not looked at where the information is 0.
        information: J_b >= 0, like `values`, positive somewhere in each row.
        step_variances: Candidates for q, each > 0.
    """
    count = values.shape[-1]
    if count < 3:
        mean = (information * values).sum(-1) / information.sum(-1)
        return SmoothedWalk(
            values=np.repeat(mean[..., None], count, axis=-1),
            drift=np.zeros_like(mean),
            step_variance=np.full_like(mean, step_variances[0]),
        )
    shape = values.shape
    values, information = values.reshape(-1, count), information.reshape(-1, count)
    rows = len(values)
    # One banded system holds those of all rows and candidates, with nothing between them.
    precisions = 1.0 / step_variances[:, None]
    diagonals = information[:, None, :] + 2.0 * precisions
    diagonals[..., :1] -= precisions
    diagonals[..., -1:] -= precisions
    beside = np.repeat(-precisions, count, axis=1)
    beside[:, -1] = 0.0
    beside = np.tile(beside.reshape(-1), rows)
    # L D L^T of a tridiagonal matrix; LAPACK itself, as SciPy's wrappers take longer than it does.
    pivots, factor, _ = dpttrf(diagonals.reshape(-1), beside[:-1], overwrite_d=1, overwrite_e=1)
    # L = D^T D / q applied to the ramp 0 1 2 ... leaves -1 at its start and +1 at its end.
    right = np.zeros((2, rows, len(step_variances), count))
    right[0] = (information * values)[:, None, :]
    right[1, ..., :1], right[1, ..., -1:] = -precisions, precisions
    solved, _ = dpttrs(pivots, factor, right.reshape(2, -1).T)
    offsets, slopes = solved.T.reshape(right.shape)
    inner = precisions[:, 0]
    curvatures = (count - 1) * inner - inner * (slopes[..., -1] - slopes[..., 0])
    curvatures = np.maximum(curvatures, 1e-30)
    drifts = inner * (offsets[..., -1] - offsets[..., 0]) / curvatures
    paths = offsets + drifts[..., None] * slopes
    steps = np.diff(paths, axis=-1) - drifts[..., None]
    misfits = np.einsum("rb,rqb->rq", information, np.square(values[:, None, :] - paths))
    costs = misfits + inner * np.square(steps).sum(axis=-1)
    evidence = -0.5 * (
        costs
        + np.log(pivots).reshape(diagonals.shape).sum(axis=-1)
        + (count - 1) * np.log(step_variances)
        + np.log(curvatures)
    )
    best = evidence.argmax(-1)
    each = np.arange(rows)
    return SmoothedWalk(
        values=paths[each, best].reshape(shape),
        drift=drifts[each, best].reshape(shape[:-1]),
        step_variance=step_variances[best].reshape(shape[:-1]),
    )
