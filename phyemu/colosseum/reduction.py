"""Any number of paths to the few taps of the emulator, with the least error over the band.

At each instant the response H(f) of the link is to be met by H'(f) = sum_k c_k exp(-j 2 pi f tau_k)
with at most four taps on the 10 ns grid. Over a band of width B the inner product of two delays is
sinc(B (tau - tau')), so the error is a quadratic form of the gains and the best gains of given
delays are the solution of a 4 x 4 system. The delays are found by orthogonal matching pursuit,
improved by exchange: each tap, then each two taps, are taken out and put where they serve best.
Taps closer together than 1 / B could cancel each other with large gains, which the emulator's range
forbids: a ridge of 1e-4 keeps them small, at the price of 0.0004 dB.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.limits import MAX_DELAY_S, MAX_TAPS, TAP_GRID_S
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.errors import ScenarioError

__all__ = ["Reduction", "reduce_paths"]

_NUM_CELLS = round(MAX_DELAY_S / TAP_GRID_S) + 1
_CELLS_PER_S = round(1 / TAP_GRID_S)
_RIDGE = 1e-4
# A tap moves only when the error shrinks by this share of the power.
_LEAST_IMPROVEMENT = 1e-6
_MOST_SWEEPS = 20
# Another tap must take this share of the power off the error; the ridge alone would split taps.
_WORTH_A_TAP = 1e-4
_NEARLY_MET = 1e-2
# Shares of the span over which the taps of further starts are spread.
_SPREADS = (0.25, 0.5, 1.0)
# Steps that are worked on together: a few megabytes of inner products.
_CHUNK_STEPS = 256
# Taps may lie this far beyond the paths [cells]: sinc has tails.
_MARGIN_CELLS = 3


@dataclass(frozen=True, eq=False, slots=True)
class Reduction:
    """The taps, and how far they are from the paths.

    Attributes:
        response: At most four taps on the grid at any instant; a tap whose gain is 0 is absent.
        residual_db: Error over the power of the response in the band, both as means over time
            [dB]; -inf: none.
        worst_residual_db: The same at the step where it is largest [dB].
    """

    response: ImpulseResponse
    residual_db: float
    worst_residual_db: float


def reduce_paths(
    paths: LinkPaths, *, bandwidth_hz: float, least_gain: float = 0.0, max_taps: int = MAX_TAPS
) -> Reduction:
    """Return the taps that meet the frequency response of a link best.

    Args:
        paths: The link.
        bandwidth_hz: Band over which the responses are compared, around the carrier [Hz].
        least_gain: Amplitude below which a tap cannot be emulated; the others are then fitted anew.
        max_taps: Taps at any instant.

    Raises:
        ScenarioError: `bandwidth_hz` or `max_taps` is out of range.
    """
    if not (math.isfinite(bandwidth_hz) and 0 < bandwidth_hz <= 1 / TAP_GRID_S):
        raise ScenarioError(
            f"bandwidth_hz must be above 0 and at most {1e-6 / TAP_GRID_S:g} MHz, got "
            f"{bandwidth_hz}"
        )
    if max_taps < 1:
        raise ScenarioError(f"max_taps must be at least 1, got {max_taps}")
    first, last = _cells(paths)
    cells = np.arange(first, last + 1)
    max_taps = min(max_taps, cells.size)
    table = np.sinc(bandwidth_hz * TAP_GRID_S * np.subtract.outer(cells, cells))
    gains = np.zeros((paths.num_steps, cells.size), np.complex128)
    error, power = np.empty(paths.num_steps), np.empty(paths.num_steps)
    for start in range(0, paths.num_steps, _CHUNK_STEPS):
        part = slice(start, start + _CHUNK_STEPS)
        products, power[part] = _products(paths, part, cells, bandwidth_hz)
        chosen, present = _choose(products, table, max_taps, power[part])
        solved = _solve(products, table, chosen, present, least_gain)
        rows = np.arange(solved.shape[0])[:, None]
        gains[start + rows, chosen] = solved
        inner = np.einsum("tk,tk->t", solved.conj(), np.take_along_axis(products, chosen, 1)).real
        own = np.einsum("ti,tij,tj->t", solved.conj(), _gram(table, chosen), solved).real
        error[part] = np.maximum(power[part] - 2.0 * inner + own, 0.0)
    used = np.flatnonzero((gains != 0).any(axis=0))
    if used.size == 0:
        used = np.array([0])
    response = ImpulseResponse(
        torch.from_numpy(gains[:, used]).to(torch.complex64),
        torch.from_numpy(cells[used] / _CELLS_PER_S),
        paths.interval_s,
    )
    live = power > 0
    worst = float((error[live] / power[live]).max()) if live.any() else 0.0
    return Reduction(
        response, _ratio_db(error.sum(), power.sum()), 10 * math.log10(max(worst, 1e-30))
    )


def _ratio_db(error: float, power: float) -> float:
    return 10 * math.log10(max(error / power, 1e-30)) if power > 0 else -math.inf


def _cells(paths: LinkPaths) -> tuple[int, int]:
    """Return the first and last cell of the grid that may serve the link."""
    present = np.broadcast_to(paths.delays_s, paths.gains.shape)[paths.gains != 0]
    if present.size == 0:
        return 0, 0
    first = math.floor(float(present.min()) / TAP_GRID_S) - _MARGIN_CELLS
    last = math.ceil(float(present.max()) / TAP_GRID_S) + _MARGIN_CELLS
    return min(max(first, 0), _NUM_CELLS - 1), min(max(last, 0), _NUM_CELLS - 1)


def _products(
    paths: LinkPaths, part: slice, cells: NDArray[np.int64], bandwidth_hz: float
) -> tuple[NDArray[np.complex128], NDArray[np.float64]]:
    """Return the inner products of the response with each cell, and its own power."""
    gains = paths.gains[part]
    grid_s = cells / _CELLS_PER_S
    if paths.delays_s.shape[0] == 1:
        delays_s = paths.delays_s[0]
        towards = np.sinc(bandwidth_hz * np.subtract.outer(delays_s, grid_s))
        among = np.sinc(bandwidth_hz * np.subtract.outer(delays_s, delays_s))
        return gains @ towards, np.einsum("tp,pq,tq->t", gains.conj(), among, gains).real
    delays_s = paths.delays_s[part]
    products = np.stack(
        [
            row @ np.sinc(bandwidth_hz * np.subtract.outer(delay_s, grid_s))
            for row, delay_s in zip(gains, delays_s, strict=True)
        ]
    )
    among = np.sinc(bandwidth_hz * (delays_s[:, :, None] - delays_s[:, None, :]))
    return products, np.einsum("tp,tpq,tq->t", gains.conj(), among, gains).real


def _gram(table: NDArray[np.float64], chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    return table[chosen[:, :, None], chosen[:, None, :]]


def _solve(
    products: NDArray[np.complex128],
    table: NDArray[np.float64],
    chosen: NDArray[np.int64],
    present: NDArray[np.bool_],
    least_gain: float,
) -> NDArray[np.complex128]:
    """Return the best gains of the chosen cells that are present, (time, tap), 0 elsewhere.

    Taps below `least_gain` go, too.
    """
    gram = _gram(table, chosen) + _RIDGE * np.eye(chosen.shape[1])
    wanted = np.take_along_axis(products, chosen, 1)
    present = present.copy()
    while True:
        both = present[:, :, None] & present[:, None, :]
        matrix = np.where(both, gram, 0.0)
        diagonal = np.arange(chosen.shape[1])
        matrix[:, diagonal, diagonal] = np.where(present, gram[:, diagonal, diagonal], 1.0)
        right = np.where(present, wanted, 0.0).astype(np.complex128)
        solved = _linear(matrix, right)
        weak = present & (np.abs(solved) <= least_gain)
        if not weak.any():
            return solved
        # One at a time: without the weakest, the next may be strong enough.
        size = np.where(weak, np.abs(solved), np.inf)
        rows = np.flatnonzero(weak.any(axis=1))
        present[rows, size[rows].argmin(axis=1)] = False


def _linear(matrix: NDArray[np.float64], right: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the solution of each step's system, matrix (time, tap, tap), right (time, tap)."""
    both = np.stack([right.real, right.imag], axis=-1)
    parts = np.linalg.solve(matrix, both)
    return parts[..., 0] + 1j * parts[..., 1]


def _choose(
    products: NDArray[np.complex128],
    table: NDArray[np.float64],
    max_taps: int,
    power: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the cells of the taps at each step, (time, max_taps), and which are needed.

    A step has as few taps as come within `_WORTH_A_TAP` of what most taps reach, so that one path
    on the grid stays one tap.
    """
    chosen = _search(products, table, max_taps, power)
    present = np.ones(chosen.shape, bool)
    met = _met(products, table, chosen)
    enough = met - _WORTH_A_TAP * power
    # Where even all taps leave an error, the last one is worth having.
    open_steps = np.flatnonzero(power - met <= _NEARLY_MET * power)
    for count in range(1, max_taps):
        fewer = _search(products[open_steps], table, count, power[open_steps])
        done = _met(products[open_steps], table, fewer) >= enough[open_steps]
        steps = open_steps[done]
        chosen[steps, :count] = fewer[done]
        present[steps, count:] = False
        open_steps = open_steps[~done]
    # Cells that are not needed must still differ from those that are.
    for step in np.flatnonzero(~present[:, -1]):
        count = int(present[step].sum())
        free = np.setdiff1d(np.arange(table.shape[0]), chosen[step, :count])
        chosen[step, count:] = free[: max_taps - count]
    return chosen, present


def _search(
    products: NDArray[np.complex128],
    table: NDArray[np.float64],
    max_taps: int,
    power: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the best `max_taps` cells that were found at each step, all different."""
    least = _LEAST_IMPROVEMENT * power
    chosen = np.empty((products.shape[0], 0), np.int64)
    for _ in range(max_taps):
        best, _ = _best_addition(products, table, chosen)
        chosen = np.concatenate([chosen, best[:, None]], axis=1)
    chosen = _exchange(products, table, chosen, least)
    # Pursuit may begin between two paths; taps spread over windows of the span do not.
    for share in _SPREADS:
        spread = np.linspace(0, share * (table.shape[0] - 1), max_taps).round().astype(np.int64)
        if np.unique(spread).size == max_taps:
            other = np.broadcast_to(spread, (products.shape[0], max_taps))
            other = _exchange(products, table, other, least)
            better = _met(products, table, other) > _met(products, table, chosen) + least
            chosen = np.where(better[:, None], other, chosen)
    # Two taps at a time leave the wrong optima that single moves end in.
    for pair in itertools.combinations(range(max_taps), 2):
        other = np.delete(chosen, pair, axis=1)
        for _ in pair:
            best, _ = _best_addition(products, table, other)
            other = np.concatenate([other, best[:, None]], axis=1)
        other = _exchange(products, table, other, least)
        better = _met(products, table, other) > _met(products, table, chosen) + least
        chosen = np.where(better[:, None], other, chosen)
    return chosen


def _exchange(
    products: NDArray[np.complex128],
    table: NDArray[np.float64],
    chosen: NDArray[np.int64],
    least: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Return the cells after each tap was moved to where it serves best, until none moves."""
    chosen = chosen.copy()
    live = np.arange(chosen.shape[0])  # steps in which a tap moved in the last round
    for _ in range(_MOST_SWEEPS):
        moved = np.zeros(live.size, bool)
        rows = np.arange(live.size)
        for tap in range(chosen.shape[1]):
            others = np.delete(chosen[live], tap, axis=1)
            best, gain = _best_addition(products[live], table, others)
            better = gain[rows, best] > gain[rows, chosen[live, tap]] + least[live]
            chosen[live[better], tap] = best[better]
            moved |= better
        live = live[moved]
        if live.size == 0:
            break
    return chosen


def _met(
    products: NDArray[np.complex128], table: NDArray[np.float64], chosen: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the power that the chosen taps take off the error at each step."""
    gram = _gram(table, chosen) + _RIDGE * np.eye(chosen.shape[1])
    wanted = np.take_along_axis(products, chosen, 1)
    solved = _linear(gram, wanted)
    met: NDArray[np.float64] = np.einsum("tk,tk->t", wanted.conj(), solved).real
    return met


def _best_addition(
    products: NDArray[np.complex128], table: NDArray[np.float64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the cell that helps most beside the chosen ones, and how much each cell would."""
    rest, norm = products, np.full(products.shape, 1.0 + _RIDGE)
    if chosen.shape[1]:
        gram = _gram(table, chosen) + _RIDGE * np.eye(chosen.shape[1])
        towards = table[chosen]  # (time, tap, cell)
        mixed = np.linalg.solve(gram, towards)
        wanted = np.take_along_axis(products, chosen, 1)
        rest = products - np.einsum("tk,tkj->tj", wanted, mixed)
        norm = norm - np.einsum("tkj,tkj->tj", towards, mixed)
    gain = np.square(np.abs(rest)) / np.maximum(norm, _RIDGE)
    np.put_along_axis(gain, chosen, -np.inf, axis=1)
    return gain.argmax(axis=1), gain
