"""Posteriors of received points, compiled: what phase tracking and the receiver ask of each symbol.

A stretch of 64 symbols passes through each step together, so that vector registers hold symbols,
whatever the size of the constellation: some ten nanoseconds a symbol for eight points. By torch,
whose softmax passes over memory several times, it costs ten times that.
"""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["least_errors", "mean_errors", "moments", "posteriors", "with_known"]

_LANES = 64
_LOG2_E = np.float32(1.4426950408889634)
# 2^f on [-1/2, 1/2], Taylor: the error is below 2e-7.
_C1, _C2, _C3 = np.float32(0.6931471806), np.float32(0.2402265070), np.float32(0.0555041087)
_C4, _C5, _C6 = np.float32(0.0096181291), np.float32(0.0013333558), np.float32(0.0001540353)
_LEAST = np.float32(-126.0)
_HALF, _ONE, _TWO, _ZERO = (np.float32(value) for value in (0.5, 1.0, 2.0, 0.0))
_FAR = np.float32(3e38)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _nearest(
    zx: NDArray[np.float32],
    zy: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    least: NDArray[np.float32],
) -> None:
    """Write min_m |z - c_m|^2 of each lane to the last argument."""
    for lane in range(_LANES):
        least[lane] = _FAR
    for m in range(len(x)):
        cx, cy = x[m], y[m]
        for lane in range(_LANES):
            dx, dy = zx[lane] - cx, zy[lane] - cy
            least[lane] = min(least[lane], dx * dx + dy * dy)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _weigh(
    zx: NDArray[np.float32],
    zy: NDArray[np.float32],
    cx: np.float32,
    cy: np.float32,
    least: NDArray[np.float32],
    factors: NDArray[np.float32],
    exponents: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> None:
    """Write 2^(factor (least - |z - c|^2)) of each lane to the last argument."""
    for lane in range(_LANES):
        dx, dy = zx[lane] - cx, zy[lane] - cy
        logit = max(factors[lane] * (least[lane] - (dx * dx + dy * dy)), _LEAST)
        whole = np.int32(logit - _HALF)
        f = logit - np.float32(whole)
        power = _C3 + f * (_C4 + f * (_C5 + f * _C6))
        exponents[lane] = (whole + np.int32(127)) << np.int32(23)
        weights[lane] = _ONE + f * (_C1 + f * (_C2 + f * power))
    scales = exponents.view(np.float32)
    for lane in range(_LANES):
        weights[lane] *= scales[lane]


@numba.njit(cache=True, nogil=True, fastmath=True)
def moments(
    points: NDArray[np.complex64],
    noise_variance: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    energy: NDArray[np.float32],
) -> None:
    """Write E[c], var Im(z c*) and E|c|^2 of each point z to the last three arguments.

    Args:
        points: z, (frames, num_symbols).
        noise_variance: Total complex variance of the noise, (frames,).
        x: Real parts of the constellation points c, (M,).
        y: Imaginary parts.
        means: (frames, num_symbols).
        uncertainty: (frames, num_symbols).
        energy: (frames, num_symbols).
    """
    num_symbols = points.shape[1]
    zx, zy = np.zeros(_LANES, np.float32), np.zeros(_LANES, np.float32)
    least, weights = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    exponents, factors = np.empty(_LANES, np.int32), np.empty(_LANES, np.float32)
    total, mean_x = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    mean_y, mean_square = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    turned, turned_square = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    for frame in range(points.shape[0]):
        factors[:] = _LOG2_E / noise_variance[frame]
        for begin in range(0, num_symbols, _LANES):
            count = min(_LANES, num_symbols - begin)
            for lane in range(count):
                zx[lane] = points[frame, begin + lane].real
                zy[lane] = points[frame, begin + lane].imag
            _nearest(zx, zy, x, y, least)
            for lane in range(_LANES):
                total[lane] = mean_x[lane] = mean_y[lane] = _ZERO
            for lane in range(_LANES):
                mean_square[lane] = turned[lane] = turned_square[lane] = _ZERO
            for m in range(len(x)):
                cx, cy = x[m], y[m]
                square = cx * cx + cy * cy
                _weigh(zx, zy, cx, cy, least, factors, exponents, weights)
                for lane in range(_LANES):
                    total[lane] += weights[lane]
                    mean_x[lane] += weights[lane] * cx
                    mean_y[lane] += weights[lane] * cy
                for lane in range(_LANES):
                    turn = zy[lane] * cx - zx[lane] * cy
                    mean_square[lane] += weights[lane] * square
                    turned[lane] += weights[lane] * turn
                    turned_square[lane] += weights[lane] * turn * turn
            for lane in range(count):
                share = _ONE / total[lane]
                mean = turned[lane] * share
                means[frame, begin + lane] = complex(mean_x[lane] * share, mean_y[lane] * share)
                energy[frame, begin + lane] = mean_square[lane] * share
                variance = turned_square[lane] * share - mean * mean
                uncertainty[frame, begin + lane] = max(variance, _ZERO)


@numba.njit(cache=True, nogil=True, fastmath=True)
def least_errors(
    points: NDArray[np.complex64],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    errors: NDArray[np.float32],
) -> None:
    """Write |z - c|^2 to the nearest constellation point of each point z to the last argument.

    Args:
        points: z, (num_symbols,).
        x: Real parts of the constellation points c, (M,).
        y: Imaginary parts.
        errors: (num_symbols,).
    """
    zx, zy = np.zeros(_LANES, np.float32), np.zeros(_LANES, np.float32)
    least = np.empty(_LANES, np.float32)
    for begin in range(0, len(points), _LANES):
        count = min(_LANES, len(points) - begin)
        for lane in range(count):
            zx[lane], zy[lane] = points[begin + lane].real, points[begin + lane].imag
        _nearest(zx, zy, x, y, least)
        for lane in range(count):
            errors[begin + lane] = least[lane]


@numba.njit(cache=True, nogil=True, fastmath=True)
def posteriors(
    points: NDArray[np.complex64],
    noise_variance: NDArray[np.float32],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    probabilities: NDArray[np.float32],
) -> None:
    """Write what `symbol_posteriors` says of each point to the last argument.

    Args:
        points: z, (num_symbols,).
        noise_variance: Total complex variance of the noise, of each or of all, (num_symbols,) or
            (1,).
        x: Real parts of the constellation points c, (M,).
        y: Imaginary parts.
        probabilities: (num_symbols, M).
    """
    order = len(x)
    zx, zy = np.zeros(_LANES, np.float32), np.zeros(_LANES, np.float32)
    factors = np.full(_LANES, _LOG2_E / noise_variance[0])
    least, total = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    weights = np.empty((order, _LANES), np.float32)
    exponents = np.empty(_LANES, np.int32)
    for begin in range(0, len(points), _LANES):
        count = min(_LANES, len(points) - begin)
        for lane in range(count):
            zx[lane], zy[lane] = points[begin + lane].real, points[begin + lane].imag
        if len(noise_variance) > 1:
            for lane in range(count):
                factors[lane] = _LOG2_E / noise_variance[begin + lane]
        _nearest(zx, zy, x, y, least)
        for lane in range(_LANES):
            total[lane] = _ZERO
        for m in range(order):
            row = weights[m]
            _weigh(zx, zy, x[m], y[m], least, factors, exponents, row)
            for lane in range(_LANES):
                total[lane] += row[lane]
        for lane in range(_LANES):
            total[lane] = _ONE / total[lane]
        for m in range(order):
            row = weights[m]
            for lane in range(count):
                probabilities[begin + lane, m] = row[lane] * total[lane]


@numba.njit(cache=True, nogil=True, fastmath=True)
def mean_errors(
    points: NDArray[np.complex64], means: NDArray[np.complex64], energy: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the mean of |z|^2 + E|c|^2 - 2 Re(z E[c]*) of each frame, (frames,).

    Args:
        points: z, (frames, num_symbols).
        means: E[c], (frames, num_symbols).
        energy: E|c|^2, (frames, num_symbols).
    """
    frames, num_symbols = points.shape
    result = np.zeros(frames)
    for frame in range(frames):
        total = 0.0
        for begin in range(0, num_symbols, _LANES):
            part = _ZERO
            for symbol in range(begin, min(begin + _LANES, num_symbols)):
                zx, zy = points[frame, symbol].real, points[frame, symbol].imag
                cx, cy = means[frame, symbol].real, means[frame, symbol].imag
                part += zx * (zx - _TWO * cx) + zy * (zy - _TWO * cy) + energy[frame, symbol]
            total += np.float64(part)
        result[frame] = total / num_symbols
    return result


@numba.njit(cache=True, nogil=True, fastmath=True)
def with_known(
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    energy: NDArray[np.float32],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
) -> NDArray[np.float64]:
    """Write what is known to moments; return the mean uncertainty of each frame, (frames,).

    Args:
        means: E[c], (frames, num_symbols).
        uncertainty: var Im(z c*), (frames, num_symbols).
        energy: E|c|^2, (frames, num_symbols).
        positions: Of the known symbols, (num_known,).
        values: Of the known symbols, (num_known,).
    """
    frames, num_symbols = means.shape
    result = np.empty(frames)
    for frame in range(frames):
        for index in range(len(positions)):
            place, value = positions[index], values[index]
            means[frame, place] = value
            uncertainty[frame, place] = _ZERO
            energy[frame, place] = value.real * value.real + value.imag * value.imag
        total = 0.0
        for begin in range(0, num_symbols, _LANES):
            part = _ZERO
            for symbol in range(begin, min(begin + _LANES, num_symbols)):
                part += uncertainty[frame, symbol]
            total += np.float64(part)
        result[frame] = total / num_symbols
    return result
