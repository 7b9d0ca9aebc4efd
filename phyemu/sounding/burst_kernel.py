"""Kernels over the samples of sounder bursts: carrier undone, periods laid over one another.

Each reads its samples once and works in the caches of a core; complex numbers are pairs of float32.
"""

from typing import Any

import numba
import numpy as np

from phyemu.channel.kernel_math import F4

__all__ = ["derotate", "gram", "mean_and_scatter"]

_BLOCK = 64  # samples of one table of phasors


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def derotate(iq: Any, turns_per_sample: Any, first: Any, length: int, out: Any) -> None:
    """Write windows of bursts with their carrier undone.

    e^(-j a n), n = 64 p + q, is e^(-j 64 a p) in double precision times a table over q.

    Args:
        iq: Bursts as (re, im), (M, 2 S), float32.
        turns_per_sample: Carrier of each burst [cycles per sample], (M,), float64.
        first: First sample of each window, (W,), int64.
        length: N, samples of a window.
        out: Windows as (re, im), (M, W, 2 N), float32.
    """
    table_re = np.empty(_BLOCK, np.float32)
    table_im = np.empty(_BLOCK, np.float32)
    for burst in range(len(iq)):
        turn = turns_per_sample[burst]
        for q in range(_BLOCK):
            angle = -2.0 * np.pi * (turn * q)
            table_re[q] = F4(np.cos(angle))
            table_im[q] = F4(np.sin(angle))
        for window in range(len(first)):
            for start in range(0, length, _BLOCK):
                at = first[window] + start
                whole = turn * at
                angle = -2.0 * np.pi * (whole - np.floor(whole))
                base_re, base_im = F4(np.cos(angle)), F4(np.sin(angle))
                count = min(_BLOCK, length - start)
                source = iq[burst, 2 * at : 2 * (at + count)]
                target = out[burst, window, 2 * start : 2 * (start + count)]
                for q in range(count):
                    re = base_re * table_re[q] - base_im * table_im[q]
                    im = base_re * table_im[q] + base_im * table_re[q]
                    x, y = source[2 * q], source[2 * q + 1]
                    target[2 * q] = x * re - y * im
                    target[2 * q + 1] = x * im + y * re


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def gram(rows: Any, out: Any) -> None:
    """Write the products of all rows of a burst with one another, sum x_r conj(x_q).

    Args:
        rows: (M, R, 2 N) as (re, im), float32.
        out: (M, R, R), complex128.
    """
    num_rows, size = rows.shape[1], rows.shape[2] // 2
    for burst in range(len(rows)):
        for row in range(num_rows):
            first = rows[burst, row]
            for other in range(row + 1):
                second = rows[burst, other]
                re, im = F4(0.0), F4(0.0)
                for k in range(size):
                    x, y = first[2 * k], first[2 * k + 1]
                    u, v = second[2 * k], second[2 * k + 1]
                    re += x * u + y * v
                    im += y * u - x * v
                out[burst, row, other] = complex(re, im)
                out[burst, other, row] = complex(re, -im)


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def mean_and_scatter(rows: Any, turn: Any, mean: Any, scatter: Any) -> None:
    """Write the mean of turned rows and the energy of what deviates from it.

    Args:
        rows: (M, R, 2 N) as (re, im), float32.
        turn: Factor of each row, (M, R, 2) as (re, im), float32.
        mean: (M, 2 N) as (re, im), float32.
        scatter: Sum over rows and samples of |turned - mean|^2, (M,), float64.
    """
    num_rows, size = rows.shape[1], rows.shape[2] // 2
    scale = F4(1.0) / F4(num_rows)
    for burst in range(len(rows)):
        own = mean[burst]
        own[:] = F4(0.0)
        for row in range(num_rows):
            re, im = turn[burst, row, 0] * scale, turn[burst, row, 1] * scale
            values = rows[burst, row]
            for k in range(size):
                x, y = values[2 * k], values[2 * k + 1]
                own[2 * k] += x * re - y * im
                own[2 * k + 1] += x * im + y * re
        total = 0.0
        for row in range(num_rows):
            re, im = turn[burst, row, 0], turn[burst, row, 1]
            values = rows[burst, row]
            energy = F4(0.0)
            for k in range(size):
                x, y = values[2 * k], values[2 * k + 1]
                left = x * re - y * im - own[2 * k]
                up = x * im + y * re - own[2 * k + 1]
                energy += left * left + up * up
            total += float(energy)
        scatter[burst] = total
