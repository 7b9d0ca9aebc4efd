"""Orthogonal matching pursuit over the taps of a channel, compiled.

Each step takes the tap that explains most of what is left. Instead of solving the taken taps anew,
the correlations of all taps with the residual are kept orthogonal to them (Batch-OMP: Rubinstein,
Zibulevsky, Elad, Technion CS-2008-08): with c_k = S^H q_k for the k-th orthonormal direction q_k,

    norm_t^2 = G_tt - sum_k |c_k[t]|^2,  c = (G[:, t] - sum_k c_k conj(c_k[t])) / norm_t,
    a = rest[t] / norm_t,  rest <- rest - c a,   energy <- energy - |a|^2

The taps taken then solve the triangular system sum_(j >= k) conj(c_k[t_j]) h_j = a_k.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Pursuit", "pursue_taps"]


@dataclass(frozen=True, eq=False, slots=True)
class Pursuit:
    """What a pursuit found.

    Attributes:
        response: Least squares over the taps taken, 0 elsewhere, (rows, num_taps), complex128.
        energy: What they leave of |r|^2, (rows,), float64.
        counts: Taps taken, (rows,), int64; at least one each.
    """

    response: NDArray[np.complex128]
    energy: NDArray[np.float64]
    counts: NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def _pursue(
    projected: NDArray[np.complex128],
    energy: NDArray[np.float64],
    gram: NDArray[np.complex128],
    part: NDArray[np.complex128],
    degrees_of_freedom: int,
    threshold: float,
    most_taps: int,
    response: NDArray[np.complex128],
    remaining: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Write what `Pursuit` holds to the last three arguments."""
    num_rows, num_taps = projected.shape
    taken = np.empty(most_taps, np.int64)
    amplitudes = np.empty(most_taps, np.complex128)
    directions = np.empty((most_taps, num_taps), np.complex128)
    rest = np.empty(num_taps, np.complex128)
    norms = np.empty(num_taps, np.float64)
    free = np.empty(num_taps, np.bool_)
    for row in range(num_rows):
        for tap in range(num_taps):
            rest[tap] = projected[row, tap]
            other = part[row, tap]
            norms[tap] = gram[tap, tap].real - (other.real**2 + other.imag**2)
            free[tap] = True
        left = energy[row]
        least = 1e-12 * energy[row] + 2.2250738585072014e-308
        count = 0
        while count < most_taps:
            best = -1
            best_score = -1.0
            for tap in range(num_taps):
                if free[tap]:
                    value = rest[tap]
                    score = (value.real**2 + value.imag**2) / norms[tap]
                    if score > best_score:
                        best_score = score
                        best = tap
            noise = max(left, least) / (degrees_of_freedom - count)
            if best < 0 or (count > 0 and not best_score > threshold * noise):
                break
            # The direction of this tap that no earlier one covers.
            square = norms[best]
            conjugate = np.conj(part[row, best])
            direction = directions[count]
            for tap in range(num_taps):
                direction[tap] = gram[tap, best] - part[row, tap] * conjugate
            for index in range(count):
                value = directions[index, best]
                square -= value.real**2 + value.imag**2
                conjugate = np.conj(value)
                for tap in range(num_taps):
                    direction[tap] -= directions[index, tap] * conjugate
            if square <= 1e-12 * norms[best]:
                break
            scale = 1.0 / np.sqrt(square)
            amplitude = rest[best] * scale
            amplitudes[count] = amplitude
            for tap in range(num_taps):
                direction[tap] *= scale
                rest[tap] -= direction[tap] * amplitude
            left -= amplitude.real**2 + amplitude.imag**2
            free[best] = False
            taken[count] = best
            count += 1
        counts[row] = count
        remaining[row] = max(left, least)
        for index in range(count - 1, -1, -1):
            value = amplitudes[index]
            for later in range(index + 1, count):
                value -= np.conj(directions[index, taken[later]]) * response[row, taken[later]]
            response[row, taken[index]] = value / directions[index, taken[index]].real


def pursue_taps(
    projected: NDArray[np.complex128],
    energy: NDArray[np.float64],
    gram: NDArray[np.complex128],
    part: NDArray[np.complex128],
    *,
    degrees_of_freedom: int,
    threshold: float,
    most_taps: int,
) -> Pursuit:
    """Return the taps that stand out of the noise, at least one of each row.

    Args:
        projected: S^H r, (rows, num_taps).
        energy: |r|^2, (rows,).
        gram: S^H S, (num_taps, num_taps).
        part: S^H of what else is fitted with unit energy, (rows, num_taps); 0: nothing. It is
            taken off the Gram matrix: G - p p^H.
        degrees_of_freedom: Of r: its length.
        threshold: Least ratio of what a tap explains to the noise.
        most_taps: Taps taken at most, >= 1.
    """
    response = np.zeros(projected.shape, np.complex128)
    remaining = np.empty(len(projected))
    counts = np.empty(len(projected), np.int64)
    _pursue(
        np.ascontiguousarray(projected),
        np.ascontiguousarray(energy),
        np.ascontiguousarray(gram),
        np.ascontiguousarray(part),
        degrees_of_freedom,
        threshold,
        most_taps,
        response,
        remaining,
        counts,
    )
    return Pursuit(response, remaining, counts)
