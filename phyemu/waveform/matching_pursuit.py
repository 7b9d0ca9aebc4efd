"""Orthogonal matching pursuit over the taps of a channel, compiled: which taps stand out of noise.

Each step takes the tap that explains most of what is left. Instead of solving the taken taps anew,
the correlations of all taps with the residual are kept orthogonal to them (Batch-OMP: Rubinstein,
Zibulevsky, Elad, Technion CS-2008-08): with c_k = S^H q_k for the k-th orthonormal direction q_k,

    norm_t^2 = G_tt - sum_k |c_k[t]|^2,  c = (G[:, t] - sum_k c_k conj(c_k[t])) / norm_t,
    rest <- rest - c rest[t] / norm_t,   energy <- energy - |rest[t]|^2 / norm_t^2
"""

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["choose_taps"]


@numba.njit(cache=True, nogil=True)
def _pursue(
    projected: NDArray[np.complex128],
    energy: NDArray[np.float64],
    gram: NDArray[np.complex128],
    part: NDArray[np.complex128],
    degrees_of_freedom: int,
    threshold: float,
    taken: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """Write the taps of each row to `taken`, in order, and their numbers to `counts`."""
    num_rows, num_taps = projected.shape
    most_taps = taken.shape[1]
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
            for tap in range(num_taps):
                direction[tap] *= scale
                rest[tap] -= direction[tap] * amplitude
            left -= amplitude.real**2 + amplitude.imag**2
            free[best] = False
            taken[row, count] = best
            count += 1
        counts[row] = count


def choose_taps(
    projected: Tensor,
    energy: Tensor,
    gram: Tensor,
    part: Tensor,
    *,
    degrees_of_freedom: int,
    threshold: float,
    most_taps: int,
) -> tuple[Tensor, Tensor]:
    """Return the taps taken, in order, (rows, most), and how many, (rows,); at least one each.

    Behind its last tap a row repeats the tap 0. The work is done on the CPU: it is a few kilobytes
    a row.

    Args:
        projected: S^H r, (rows, num_taps), complex.
        energy: |r|^2, (rows,).
        gram: S^H S, (num_taps, num_taps), complex.
        part: S^H of what else is fitted with unit energy, (rows, num_taps); 0: nothing. It is
            taken off the Gram matrix: G - p p^H.
        degrees_of_freedom: Of r: its length.
        threshold: Least ratio of what a tap explains to the noise.
        most_taps: Taps taken at most, >= 1.
    """
    rows = len(projected)
    most_taps = max(most_taps, 1)
    taken = np.zeros((rows, most_taps), np.int64)
    counts = np.empty(rows, np.int64)
    _pursue(
        _numbers(projected),
        energy.detach().cpu().double().numpy(),
        _numbers(gram),
        _numbers(part),
        degrees_of_freedom,
        threshold,
        taken,
        counts,
    )
    used = int(counts.max(initial=1))
    device = projected.device
    return torch.from_numpy(taken[:, :used]).to(device), torch.from_numpy(counts).to(device)


def _numbers(values: Tensor) -> NDArray[np.complex128]:
    return np.ascontiguousarray(values.detach().cpu().to(torch.complex128).numpy())
