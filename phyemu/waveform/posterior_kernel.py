"""Posteriors of received points, compiled: what phase tracking asks of each symbol.

With sixteen points a constellation fills one vector register, so a symbol costs some ten
nanoseconds; by torch, whose softmax passes over memory several times, it costs five times that.
"""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["block_scores", "mean_errors", "moments"]

_LOG2_E = np.float32(1.4426950408889634)
# 2^f on [-1/2, 1/2], Taylor: the error is below 2e-7.
_C1, _C2, _C3 = np.float32(0.6931471806), np.float32(0.2402265070), np.float32(0.0555041087)
_C4, _C5, _C6 = np.float32(0.0096181291), np.float32(0.0013333558), np.float32(0.0001540353)
_LEAST = np.float32(-126.0)
_HALF, _ONE, _TWO, _ZERO = (np.float32(value) for value in (0.5, 1.0, 2.0, 0.0))


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
    order = len(x)
    logits = np.empty(order, np.float32)
    exponents = np.empty(order, np.int32)
    scales = exponents.view(np.float32)
    squares = x * x + y * y
    for frame in range(points.shape[0]):
        factor = _LOG2_E / noise_variance[frame]
        for symbol in range(points.shape[1]):
            zx, zy = points[frame, symbol].real, points[frame, symbol].imag
            highest = np.float32(-np.inf)
            for m in range(order):
                logits[m] = (_TWO * (zx * x[m] + zy * y[m]) - squares[m]) * factor
                highest = max(highest, logits[m])
            for m in range(order):
                logits[m] = max(logits[m] - highest, _LEAST)
                exponents[m] = (np.int32(logits[m] - _HALF) + np.int32(127)) << np.int32(23)
            total = mean_x = mean_y = mean_square = mean_turned = mean_turned_square = _ZERO
            for m in range(order):
                f = logits[m] - np.float32(np.int32(logits[m] - _HALF))
                power = _C3 + f * (_C4 + f * (_C5 + f * _C6))
                weight = scales[m] * (_ONE + f * (_C1 + f * (_C2 + f * power)))
                turned = zy * x[m] - zx * y[m]
                total += weight
                mean_x += weight * x[m]
                mean_y += weight * y[m]
                mean_square += weight * squares[m]
                mean_turned += weight * turned
                mean_turned_square += weight * turned * turned
            share = _ONE / total
            turned = mean_turned * share
            means[frame, symbol] = complex(mean_x * share, mean_y * share)
            energy[frame, symbol] = mean_square * share
            uncertainty[frame, symbol] = max(mean_turned_square * share - turned * turned, _ZERO)


@numba.njit(cache=True, nogil=True, fastmath=True)
def block_scores(
    points: NDArray[np.complex64],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    known: NDArray[np.bool_],
    scale: NDArray[np.float64],
    block_symbols: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return each block's score and curvature, (frames, blocks), and the sum of squared scores.

    The score of a symbol is s Im(z c*), its curvature s Re(z c*) - s^2 var Im(z c*), with c the
    mean of its point and s the scale; the squares, (frames,), are those of unknown symbols.

    Args:
        points: z, (frames, num_symbols).
        means: c, (frames, num_symbols).
        uncertainty: var Im(z c*), (frames, num_symbols).
        known: Which symbols are known, (num_symbols,).
        scale: s, (frames,).
        block_symbols: Symbols of a block.
    """
    frames, num_symbols = points.shape
    num_blocks = -(-num_symbols // block_symbols)
    gradient, bend = np.empty((frames, num_blocks)), np.empty((frames, num_blocks))
    squares = np.zeros(frames)
    for frame in range(frames):
        factor = np.float32(scale[frame])
        for block in range(num_blocks):
            score_sum = curvature_sum = square_sum = _ZERO
            end = min((block + 1) * block_symbols, num_symbols)
            for symbol in range(block * block_symbols, end):
                zx, zy = points[frame, symbol].real, points[frame, symbol].imag
                cx, cy = means[frame, symbol].real, means[frame, symbol].imag
                score = factor * (zy * cx - zx * cy)
                score_sum += score
                curvature_sum += (zx * cx + zy * cy) - factor * uncertainty[frame, symbol]
                if not known[symbol]:
                    square_sum += score * score
            gradient[frame, block] = score_sum
            bend[frame, block] = factor * curvature_sum
            squares[frame] += square_sum
    return gradient, bend, squares


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
        for symbol in range(num_symbols):
            zx, zy = points[frame, symbol].real, points[frame, symbol].imag
            cx, cy = means[frame, symbol].real, means[frame, symbol].imag
            total += zx * (zx - _TWO * cx) + zy * (zy - _TWO * cy) + energy[frame, symbol]
        result[frame] = total / num_symbols
    return result
