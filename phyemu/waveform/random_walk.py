"""Smoothing of a quantity that wanders: a random walk with a drift, seen through noise.

    theta_b = drift b + w_b,   w_b - w_(b-1) ~ N(0, q),   y_b = theta_b + N(0, 1 / J_b)

The smoother is the maximum a posteriori path, the same as a Kalman filter over [value, drift] and
a Rauch-Tung-Striebel pass back, but written as one tridiagonal system, in compiled code.
The step variance q is that of the largest evidence on a grid.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["smooth_walk"]


@numba.njit(cache=True, nogil=True)
def smooth_walk(
    values: NDArray[np.float64],
    information: NDArray[np.float64],
    step_variances: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the most probable path of each row, its drift per block and its step variance q.

    Args:
        values: Observations y_b, (rows, num_blocks); not looked at where the information is 0.
        information: J_b >= 0, like `values`, positive somewhere in each row.
        step_variances: Candidates for q, each > 0.

    Returns:
        theta, (rows, num_blocks); drift, (rows,); q, per block, (rows,).
    """
    rows, count = values.shape
    paths = np.empty((rows, count))
    drifts = np.zeros(rows)
    chosen = np.full(rows, step_variances[0])
    if count < 3:
        for row in range(rows):
            total = information[row].sum()
            paths[row, :] = (information[row] * values[row]).sum() / total
        return paths, drifts, chosen
    # A x = b of a tridiagonal A = L D L^T, for two right sides: the observations, and L = D^T D / q
    # applied to the ramp 0 1 2 ..., which leaves -1 at its start and +1 at its end.
    pivots, factors = np.empty(count), np.empty(count)
    offsets, slopes = np.empty(count), np.empty(count)
    for row in range(rows):
        largest = -np.inf
        for candidate in range(len(step_variances)):
            precision = 1.0 / step_variances[candidate]
            logarithms = 0.0
            for block in range(count):
                edge = block == 0 or block == count - 1
                pivot = information[row, block] + (precision if edge else 2.0 * precision)
                offset = information[row, block] * values[row, block]
                slope = 0.0
                if block == count - 1:
                    slope = precision
                if block == 0:
                    slope = -precision
                else:
                    factor = -precision / pivots[block - 1]
                    factors[block] = factor
                    pivot += factor * precision
                    offset -= factor * offsets[block - 1]
                    slope -= factor * slopes[block - 1]
                pivots[block], offsets[block], slopes[block] = pivot, offset, slope
                logarithms += math.log(pivot)
            offsets[count - 1] /= pivots[count - 1]
            slopes[count - 1] /= pivots[count - 1]
            for block in range(count - 2, -1, -1):
                offsets[block] = (
                    offsets[block] / pivots[block] - factors[block + 1] * (offsets[block + 1])
                )
                slopes[block] = (
                    slopes[block] / pivots[block] - factors[block + 1] * (slopes[block + 1])
                )
            curvature = (count - 1 - slopes[count - 1] + slopes[0]) * precision
            curvature = max(curvature, 1e-30)
            drift = precision * (offsets[count - 1] - offsets[0]) / curvature
            cost = 0.0
            previous = 0.0
            for block in range(count):
                place = offsets[block] + drift * slopes[block]
                offsets[block] = place
                cost += information[row, block] * (values[row, block] - place) ** 2
                if block > 0:
                    cost += precision * (place - previous - drift) ** 2
                previous = place
            evidence = -0.5 * (
                cost
                + logarithms
                + (count - 1) * math.log(step_variances[candidate])
                + math.log(curvature)
            )
            if evidence > largest:
                largest = evidence
                paths[row] = offsets
                drifts[row] = drift
                chosen[row] = step_variances[candidate]
    return paths, drifts, chosen
