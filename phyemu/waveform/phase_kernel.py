"""Symbols against a phase that is linear between the middles of blocks, compiled."""

import math

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["known_gain", "known_sums", "scored_blocks", "turned_back"]

_TWO, _ZERO, _ONE = np.float32(2.0), np.float32(0.0), np.float32(1.0)
_S3, _S5, _S7 = np.float32(-1.0 / 6.0), np.float32(1.0 / 120.0), np.float32(-1.0 / 5040.0)
_C2, _C4, _C6 = np.float32(-0.5), np.float32(1.0 / 24.0), np.float32(-1.0 / 720.0)
_SMALL = 0.4  # the series above are exact to single precision up to here


@numba.njit(cache=True, nogil=True, fastmath=True)
def turned_back(
    symbols: NDArray[np.complex64],
    values: NDArray[np.float64],
    drift: NDArray[np.float64],
    gain: NDArray[np.float64],
    block_symbols: int,
    correction: NDArray[np.complex64],
    points: NDArray[np.complex64],
) -> None:
    """Write exp(-j phase) / gain, and the symbols times that, to the last two arguments.

    Args:
        symbols: (frames, num_symbols).
        values: Phase in the middle of each block, (frames, blocks) [rad].
        drift: Beyond the outer middles it goes on by this a block, (frames,) [rad].
        gain: (frames,).
        block_symbols: Symbols of a block, even, at most 64.
        correction: (frames, num_symbols).
        points: (frames, num_symbols).
    """
    frames, num_symbols = symbols.shape
    blocks = values.shape[1]
    half = block_symbols // 2
    cosines, sines = np.empty(64, np.float32), np.empty(64, np.float32)
    for frame in range(frames):
        scale = 1.0 / gain[frame]
        for knot in range(blocks + 1):
            begin = max(knot * block_symbols - half, 0)
            end = min(knot * block_symbols + half, num_symbols)
            if knot == 0:
                left = values[frame, 0] - drift[frame]
            else:
                left = values[frame, knot - 1]
            if knot == blocks:
                right = values[frame, blocks - 1] + drift[frame]
            else:
                right = values[frame, knot]
            slope = (right - left) / block_symbols
            middle = 0.5 * (left + right)
            offset = begin - knot * block_symbols + 0.5
            if abs(slope) * half > _SMALL:
                for lane in range(end - begin):
                    angle = middle + (offset + lane) * slope
                    cosines[lane] = math.cos(angle) * scale
                    sines[lane] = math.sin(angle) * scale
            else:
                cosine = np.float32(math.cos(middle) * scale)
                sine = np.float32(math.sin(middle) * scale)
                step, first = np.float32(slope), np.float32(offset * slope)
                for lane in range(end - begin):
                    a = first + np.float32(lane) * step
                    s = a * a
                    co = _ONE + s * (_C2 + s * (_C4 + s * _C6))
                    si = a * (_ONE + s * (_S3 + s * (_S5 + s * _S7)))
                    cosines[lane] = cosine * co - sine * si
                    sines[lane] = sine * co + cosine * si
            for lane in range(end - begin):
                zx, zy = symbols[frame, begin + lane].real, symbols[frame, begin + lane].imag
                co, si = cosines[lane], sines[lane]
                correction[frame, begin + lane] = complex(co, -si)
                points[frame, begin + lane] = complex(zx * co + zy * si, zy * co - zx * si)


@numba.njit(cache=True, nogil=True)
def known_gain(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    values: NDArray[np.complex64],
    phase: NDArray[np.float64],
    drift: NDArray[np.float64],
    block_symbols: int,
) -> NDArray[np.float64]:
    """Return the gain of the known symbols along a phase, (frames,): near 1, 1/2 to 2.

    Args:
        symbols: (frames, num_symbols).
        positions: Of the known ones, (num_known,).
        values: What they are, (num_known,).
        phase: In the middle of each block, (frames, blocks) [rad].
        drift: Beyond the outer middles it goes on by this a block, (frames,) [rad].
        block_symbols: Symbols of a block, even.
    """
    frames, blocks = phase.shape
    gain = np.empty(frames)
    for frame in range(frames):
        total = energy = 0.0
        for index in range(len(positions)):
            place = positions[index] + block_symbols // 2
            knot = place // block_symbols
            fraction = (place - knot * block_symbols + 0.5) / block_symbols
            left = phase[frame, knot - 1] if knot > 0 else phase[frame, 0] - drift[frame]
            right = phase[frame, knot] if knot < blocks else left + drift[frame]
            angle = left + fraction * (right - left)
            value = np.conj(values[index]) * symbols[frame, positions[index]]
            total += value.real * math.cos(angle) + value.imag * math.sin(angle)
            energy += values[index].real ** 2 + values[index].imag ** 2
        gain[frame] = min(max(total / energy, 0.5), 2.0)
    return gain


@numba.njit(cache=True, nogil=True)
def known_sums(
    symbols: NDArray[np.complex64],
    positions: NDArray[np.int64],
    known: NDArray[np.complex64],
    group: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.complex128]]:
    """Return mean places, counts and sums of known symbols against their values.

    Neighbours are added up: runs without a gap, in the first of them `group` symbols at most.

    Args:
        symbols: (frames, num_symbols).
        positions: Of the known ones, (num_known,), ascending.
        known: What they are, (num_known,).
        group: >= 1.
    """
    count = len(positions)
    starts = np.empty(count + 1, np.int64)
    groups = 0
    first_run = True
    for index in range(count):
        fresh = index == 0 or positions[index] != positions[index - 1] + 1
        first_run = first_run and (index == 0 or not fresh)
        if fresh or (first_run and index % group == 0):
            starts[groups] = index
            groups += 1
    starts[groups] = count
    times, counts = np.zeros(groups), np.empty(groups)
    sums = np.zeros((len(symbols), groups), np.complex128)
    for place in range(groups):
        counts[place] = starts[place + 1] - starts[place]
        for index in range(starts[place], starts[place + 1]):
            times[place] += positions[index]
            for frame in range(len(symbols)):
                sums[frame, place] += symbols[frame, positions[index]] * np.conj(known[index])
        times[place] /= counts[place]
    return times, counts, sums


@numba.njit(cache=True, nogil=True, fastmath=True)
def scored_blocks(
    points: NDArray[np.complex64],
    means: NDArray[np.complex64],
    uncertainty: NDArray[np.float32],
    known: NDArray[np.bool_],
    noise_variance: NDArray[np.float64],
    block_symbols: int,
    most_step: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a scoring step of each block's phase and its information, (frames, blocks).

    The score of a symbol is s Im(z c*), its curvature s Re(z c*) - s^2 var Im(z c*), with c the
    mean of its point and s = 2 / noise. Fisher's information of a symbol is the mean square of its
    score; a known symbol has s. A block counts as far as its curvature reaches that, and not where
    it is negative: there the phase is between two locks.

    Args:
        points: z, (frames, num_symbols).
        means: c, (frames, num_symbols).
        uncertainty: var Im(z c*), (frames, num_symbols).
        known: Which symbols are known, (num_symbols,).
        noise_variance: Total complex variance of the noise on the points, (frames,).
        block_symbols: Symbols of a block.
        most_step: Largest step, either way [rad].
    """
    frames, num_symbols = points.shape
    num_blocks = -(-num_symbols // block_symbols)
    steps, information = np.empty((frames, num_blocks)), np.empty((frames, num_blocks))
    known_counts = np.zeros(num_blocks)
    strange = np.empty(num_symbols, np.float32)
    for symbol in range(num_symbols):
        strange[symbol] = _ZERO if known[symbol] else _ONE
        if known[symbol]:
            known_counts[symbol // block_symbols] += 1.0
    unknown = max(num_symbols - known_counts.sum(), 1.0)
    for frame in range(frames):
        scale = 2.0 / noise_variance[frame]
        factor = np.float32(scale)
        squares = 0.0
        for block in range(num_blocks):
            score_sum = curvature_sum = square_sum = _ZERO
            end = min((block + 1) * block_symbols, num_symbols)
            for symbol in range(block * block_symbols, end):
                zx, zy = points[frame, symbol].real, points[frame, symbol].imag
                cx, cy = means[frame, symbol].real, means[frame, symbol].imag
                score = factor * (zy * cx - zx * cy)
                score_sum += score
                curvature_sum += (zx * cx + zy * cy) - factor * uncertainty[frame, symbol]
                square_sum += strange[symbol] * score * score
            steps[frame, block] = score_sum
            information[frame, block] = factor * curvature_sum
            squares += np.float64(square_sum)
        fisher = min(squares / unknown, scale)
        for block in range(num_blocks):
            size = min(block_symbols, num_symbols - block * block_symbols)
            mine = known_counts[block]
            full = mine * scale + (size - mine) * fisher
            information[frame, block] = min(max(information[frame, block], 0.0), full)
            step = steps[frame, block] / max(full, 1e-12)
            steps[frame, block] = min(max(step, -most_step), most_step)
    return steps, information
