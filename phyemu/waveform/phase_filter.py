"""A Kalman filter over [phase, frequency], compiled: the unwrapped phases of known symbols.

The steady carrier is tried first: the frequency at which all of a frame adds up best, which no slip
of a single pilot disturbs. Where its squared innovations say that the phase wanders, the most
likely of several step variances counts.
"""

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["unwrapped_phases"]

_DOUBT = 1.0  # standard deviations of the misfit
_PER_CANDIDATE = 1.0  # log odds against each next larger step variance
_STEADY = 1e-12  # variance of a frequency that is as good as known
_MOST_FREQUENCIES = 4096  # candidates, either way


@numba.njit(cache=True, nogil=True)
def _steady_frequency(
    times: NDArray[np.float64], sums: NDArray[np.complex128], deviation: float
) -> float:
    """Return the frequency, within four deviations, at which the sums add up best."""
    length = times[-1] - times[0]
    # An eighth of a turn over the frame between candidates.
    step = 2.0 * math.pi / (8.0 * max(length, 1.0))
    count = min(math.ceil(4.0 * deviation / step), _MOST_FREQUENCIES)
    num_times = len(times)
    turned = np.empty(num_times, np.complex128)
    turns = np.empty(num_times, np.complex128)
    for index in range(num_times):
        start = count * step * times[index]
        turned[index] = sums[index] * complex(math.cos(start), math.sin(start))
        turns[index] = complex(math.cos(step * times[index]), -math.sin(step * times[index]))
    powers = np.empty(2 * count + 1, np.float64)
    best = 0
    for candidate in range(2 * count + 1):
        total = complex(0.0, 0.0)
        for index in range(num_times):
            total += turned[index]
            turned[index] *= turns[index]
        powers[candidate] = abs(total)
        if powers[candidate] > powers[best]:
            best = candidate
    frequency: float = (best - count) * step
    if best == 0 or best == 2 * count:
        return frequency
    left, middle, right = powers[best - 1], powers[best], powers[best + 1]
    curvature = left - 2.0 * middle + right
    if curvature < 0:
        frequency += 0.5 * (left - right) / curvature * step
    return frequency


@numba.njit(cache=True, nogil=True)
def _follow(
    times: NDArray[np.float64],
    angles: NDArray[np.float64],
    variances: NDArray[np.float64],
    step_variance: float,
    frequency: float,
    frequency_variance: float,
    unwrapped: NDArray[np.float64],
) -> tuple[float, float]:
    """Return log likelihood and mean square innovation; write the phases to `unwrapped`."""
    phase = 0.0
    p00, p01, p11 = 10.0, 0.0, frequency_variance
    likelihood = misfit = 0.0
    last = times[0]
    for index in range(len(times)):
        gap = times[index] - last
        last = times[index]
        phase += frequency * gap
        p00 += gap * (2.0 * p01 + gap * p11) + step_variance * gap
        p01 += gap * p11
        innovation = angles[index] - phase
        innovation -= 2.0 * math.pi * np.rint(innovation / (2.0 * math.pi))
        unwrapped[index] = phase + innovation
        total = p00 + variances[index]
        square = innovation * innovation / total
        misfit += square
        likelihood -= 0.5 * (square + math.log(total))
        gain0, gain1 = p00 / total, p01 / total
        phase += gain0 * innovation
        frequency += gain1 * innovation
        p11 -= gain1 * p01
        p01 -= gain0 * p01
        p00 -= gain0 * p00
    return likelihood, misfit / len(times)


@numba.njit(cache=True, nogil=True)
def unwrapped_phases(
    times: NDArray[np.float64],
    sums: NDArray[np.complex128],
    variances: NDArray[np.float64],
    step_variances: NDArray[np.float64],
    frequency_variances: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the unwrapped phases of each frame, (frames, times) [rad].

    Args:
        times: Of the phases [symbols], (times,), ascending.
        sums: Known symbols against their values, added up around each time, (frames, times).
        variances: Of each phase [rad^2], (frames, times).
        step_variances: Candidates for the phase noise [rad^2 per symbol], ascending.
        frequency_variances: Of each frame's carrier offset [(rad per symbol)^2], (frames,).
    """
    frames, num_times = sums.shape
    phases = np.empty((frames, num_times), np.float64)
    path = np.empty(num_times, np.float64)
    for frame in range(frames):
        angles = np.angle(sums[frame])
        frequency_variance = frequency_variances[frame]
        steady = _steady_frequency(times, sums[frame], math.sqrt(frequency_variance))
        best, misfit = _follow(times, angles, variances[frame], 0.0, steady, _STEADY, phases[frame])
        # Squared innovations are one on average if noise is all there is; else the phase wanders.
        if misfit <= 1.0 + _DOUBT * math.sqrt(2.0 / num_times):
            continue
        for candidate in range(len(step_variances)):
            likelihood, _ = _follow(
                times,
                angles,
                variances[frame],
                step_variances[candidate],
                0.0,
                frequency_variance,
                path,
            )
            likelihood -= _PER_CANDIDATE * (candidate + 1)
            if likelihood > best:
                best = likelihood
                phases[frame] = path
    return phases
