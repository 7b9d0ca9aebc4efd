"""The search for the cells of the taps, compiled: one step after the other, a link at a time.

With the inner products p of the response with each cell, the Gram matrix G of the cells (ridge
included) and a set S of cells, the best gains take p_S^H G_SS^-1 p_S off the error. Everything
here compares such sets.
"""

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["choose_cells"]


@numba.njit(cache=True, nogil=True)
def _invert(table, ridge, cells, count, inverse):  # type: ignore[no-untyped-def]
    """Write the inverse of the cells' Gram matrix by Gauss and Jordan; it is positive definite."""
    work = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            work[i, j] = table[cells[i], cells[j]]
            inverse[i, j] = 0.0
        work[i, i] += ridge
        inverse[i, i] = 1.0
    for k in range(count):
        scale = 1.0 / work[k, k]
        for j in range(count):
            work[k, j] *= scale
            inverse[k, j] *= scale
        for i in range(count):
            if i != k:
                share = work[i, k]
                for j in range(count):
                    work[i, j] -= share * work[k, j]
                    inverse[i, j] -= share * inverse[k, j]


@numba.njit(cache=True, nogil=True)
def _met(re, im, table, ridge, cells, count):  # type: ignore[no-untyped-def]
    """Return the power that the first `count` cells take off the error."""
    inverse = np.empty((count, count))
    _invert(table, ridge, cells, count, inverse)
    met = 0.0
    for i in range(count):
        for j in range(count):
            a, b = cells[i], cells[j]
            met += inverse[i, j] * (re[a] * re[b] + im[a] * im[b])
    return met


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _weigh(re, im, table, ridge, cells, count, gain):  # type: ignore[no-untyped-def]
    """Write what each cell takes off the error beside the given ones; return the best cell."""
    inverse = np.empty((count, count))
    _invert(table, ridge, cells, count, inverse)
    num_cells = re.size
    rest_re, rest_im, norm = re.copy(), im.copy(), np.full(num_cells, 1.0 + ridge)
    for i in range(count):
        row = table[cells[i]]
        a_re = a_im = 0.0
        for j in range(count):
            a_re += inverse[i, j] * re[cells[j]]
            a_im += inverse[i, j] * im[cells[j]]
        for c in range(num_cells):
            rest_re[c] -= a_re * row[c]
            rest_im[c] -= a_im * row[c]
        for j in range(i + 1):
            other = table[cells[j]]
            share = inverse[i, j] if i == j else 2.0 * inverse[i, j]
            for c in range(num_cells):
                norm[c] -= share * row[c] * other[c]
    for c in range(num_cells):
        gain[c] = (rest_re[c] ** 2 + rest_im[c] ** 2) / max(norm[c], ridge)
    for i in range(count):
        gain[cells[i]] = -np.inf
    return np.argmax(gain)


@numba.njit(cache=True, nogil=True)
def _exchange(re, im, table, ridge, cells, count, least, most_sweeps, gain):  # type: ignore[no-untyped-def]
    """Move each of the first `count` cells to where it serves best, until none moves."""
    others = np.empty(count, np.int64)
    for _ in range(most_sweeps):
        moved = False
        for tap in range(count):
            place = 0
            for i in range(count):
                if i != tap:
                    others[place] = cells[i]
                    place += 1
            best = _weigh(re, im, table, ridge, others, count - 1, gain)
            if gain[best] > gain[cells[tap]] + least:
                cells[tap] = best
                moved = True
        if not moved:
            break


@numba.njit(cache=True, nogil=True)
def _search(re, im, table, ridge, count, starts, least, most_sweeps, cells):  # type: ignore[no-untyped-def]
    """Write the best `count` cells that were found; return what they take off the error."""
    gain = np.empty(re.size)
    other = np.empty(count, np.int64)
    for place in range(count):
        cells[place] = _weigh(re, im, table, ridge, cells, place, gain)
    _exchange(re, im, table, ridge, cells, count, least, most_sweeps, gain)
    met = _met(re, im, table, ridge, cells, count)
    # Pursuit may begin between two paths; taps spread over windows of the span do not.
    for start in range(starts.shape[0]):
        if starts[start, 0] < 0:
            continue
        for i in range(count):
            other[i] = starts[start, i]
        _exchange(re, im, table, ridge, other, count, least, most_sweeps, gain)
        found = _met(re, im, table, ridge, other, count)
        if found > met + least:
            cells[:count] = other
            met = found
    # Two taps at a time leave the wrong optima that single moves end in.
    for first in range(count):
        for second in range(first + 1, count):
            place = 0
            for i in range(count):
                if i not in (first, second):
                    other[place] = cells[i]
                    place += 1
            for i in range(count - 2, count):
                other[i] = _weigh(re, im, table, ridge, other, i, gain)
            _exchange(re, im, table, ridge, other, count, least, most_sweeps, gain)
            found = _met(re, im, table, ridge, other, count)
            if found > met + least:
                cells[:count] = other
                met = found
    return met


@numba.njit(cache=True, nogil=True)
def _choose(re, im, power, table, ridge, starts, shares, most_sweeps, chosen, present):  # type: ignore[no-untyped-def]
    least_share, worth_share, open_share = shares
    max_taps = chosen.shape[1]
    fewer = np.empty(max_taps, np.int64)
    for t in range(re.shape[0]):
        least = least_share * power[t]
        met = _search(
            re[t], im[t], table, ridge, max_taps, starts[max_taps], least, most_sweeps, chosen[t]
        )
        needed = max_taps
        if power[t] - met <= open_share * power[t]:
            for count in range(1, max_taps):
                found = _search(
                    re[t], im[t], table, ridge, count, starts[count], least, most_sweeps, fewer
                )
                if found >= met - worth_share * power[t]:
                    needed = count
                    chosen[t, :count] = fewer[:count]
                    break
        for i in range(max_taps):
            present[t, i] = i < needed
        # Cells that are not needed must still differ from those that are.
        free = 0
        for i in range(needed, max_taps):
            while free in chosen[t, :i]:
                free += 1
            chosen[t, i] = free


def choose_cells(
    products: NDArray[np.complex128],
    power: NDArray[np.float64],
    table: NDArray[np.float64],
    *,
    ridge: float,
    starts: NDArray[np.int64],
    least_share: float,
    worth_share: float,
    open_share: float,
    most_sweeps: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the cells of the taps at each step, (time, max_taps), and which are needed.

    A step has as few taps as come within `worth_share` of what most taps reach, so that one path
    on the grid stays one tap.

    Args:
        products: Inner products of the response with the cells, (time, cell).
        power: Power of the response, (time,).
        table: Inner products of the cells, (cell, cell).
        ridge: Added to the diagonal of a set's Gram matrix.
        starts: Further starts of the search for a number of taps, (max_taps + 1, start, max_taps);
            a start that begins with -1 is none.
        least_share: A tap moves only when the error shrinks by this share of the power.
        worth_share: Another tap must take this share of the power off the error.
        open_share: Where all taps leave more than this share, none is left out.
        most_sweeps: Rounds in which taps may move.
    """
    max_taps = starts.shape[2]
    chosen = np.empty((products.shape[0], max_taps), np.int64)
    present = np.empty(chosen.shape, np.bool_)
    _choose(
        np.ascontiguousarray(products.real),
        np.ascontiguousarray(products.imag),
        power,
        np.ascontiguousarray(table),
        ridge,
        starts,
        (least_share, worth_share, open_share),
        most_sweeps,
        chosen,
        present,
    )
    return chosen, present
