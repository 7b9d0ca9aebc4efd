"""Any number of paths to the few taps of the emulator, with the least error over the band.

At each instant the response H(f) of the link is to be met by H'(f) = sum_k c_k exp(-j 2 pi f tau_k)
with at most four taps on the 10 ns grid. Over a band of width B the inner product of two delays is
sinc(B (tau - tau')), so the error is a quadratic form of the gains and the best gains of given
delays are the solution of a 4 x 4 system. The delays are found by orthogonal matching pursuit,
improved by exchange: each tap, then each two taps, are taken out and put where they serve best.
Taps closer together than 1 / B could cancel each other with large gains, which the emulator's range
forbids: a ridge of 1e-4 keeps them small, at the price of 0.0004 dB.

Paths beyond the emulator's delays have no part in the choice: a tap far from them could take up but
the tail of their sinc. They are error, and the residual has them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.limits import MAX_DELAY_S, MAX_TAPS, TAP_GRID_S
from phyemu.colosseum.link_paths import LinkPaths
from phyemu.colosseum.reduction_kernel import choose_cells
from phyemu.errors import ScenarioError

__all__ = ["Reduction", "TapChoice", "choose_taps", "reduce_paths"]

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
        outside_share: Share of the paths' power at delays that the emulator does not have.
    """

    response: ImpulseResponse
    residual_db: float
    worst_residual_db: float
    outside_share: float


@dataclass(frozen=True, eq=False, slots=True)
class TapChoice:
    """The cells of a link's taps at each step, before their gains are known.

    Attributes:
        cells: Cells of the grid, (time, tap), int64, all different.
        present: Which of them are needed, (time, tap).
        wanted: Inner product with each of them of the paths that the emulator has delays for,
            (time, tap).
        heard: The same of all paths.
        power: Power of all paths in the band, (time,).
        outside_share: Share of the paths' power at delays that the emulator does not have.
        bandwidth_hz: Band over which the responses are compared [Hz].
        interval_s: Time between two steps [s].
    """

    cells: NDArray[np.int64]
    present: NDArray[np.bool_]
    wanted: NDArray[np.complex128]
    heard: NDArray[np.complex128]
    power: NDArray[np.float64]
    outside_share: float
    bandwidth_hz: float
    interval_s: float

    def fitted(self, *, least_gain: float = 0.0) -> Reduction:
        """Return the taps with the best gains.

        Args:
            least_gain: Amplitude below which a tap cannot be emulated; the others are fitted anew.
        """
        error = np.empty(self.power.size)
        solved = np.empty(self.cells.shape, np.complex128)
        for start in range(0, self.power.size, _CHUNK_STEPS):
            part = slice(start, start + _CHUNK_STEPS)
            cells, wanted = self.cells[part], self.wanted[part]
            gram = _inner(cells[:, :, None] - cells[:, None, :], self.bandwidth_hz)
            gains = _solve(gram, wanted, self.present[part], least_gain)
            inner = np.einsum("tk,tk->t", gains.conj(), self.heard[part]).real
            own = np.einsum("ti,tij,tj->t", gains.conj(), gram, gains).real
            error[part] = np.maximum(self.power[part] - 2.0 * inner + own, 0.0)
            solved[part] = gains
        used = np.unique(self.cells[solved != 0])
        if used.size == 0:
            used = np.array([0])
        gains = np.zeros((self.power.size, used.size), np.complex64)
        step, tap = np.nonzero(solved)
        gains[step, np.searchsorted(used, self.cells[step, tap])] = solved[step, tap]
        response = ImpulseResponse(
            torch.from_numpy(gains), torch.from_numpy(used / _CELLS_PER_S), self.interval_s
        )
        live = self.power > 0
        worst = float((error[live] / self.power[live]).max()) if live.any() else 0.0
        return Reduction(
            response,
            _ratio_db(error.sum(), self.power.sum()),
            10 * math.log10(max(worst, 1e-30)),
            self.outside_share,
        )


def choose_taps(paths: LinkPaths, *, bandwidth_hz: float, max_taps: int = MAX_TAPS) -> TapChoice:
    """Return the cells whose taps meet the frequency response of a link best.

    Args:
        paths: The link.
        bandwidth_hz: Band over which the responses are compared, around the carrier [Hz].
        max_taps: Taps at any instant.

    Raises:
        ScenarioError: `bandwidth_hz` or `max_taps` is out of range, or all paths are.
    """
    if not (math.isfinite(bandwidth_hz) and 0 < bandwidth_hz <= 1 / TAP_GRID_S):
        raise ScenarioError(
            f"bandwidth_hz must be above 0 and at most {1e-6 / TAP_GRID_S:g} MHz, got "
            f"{bandwidth_hz}"
        )
    if max_taps < 1:
        raise ScenarioError(f"max_taps must be at least 1, got {max_taps}")
    inside, outside_share = _inside(paths)
    first, last = _cells(inside)
    cells = np.arange(first, last + 1)
    max_taps = min(max_taps, cells.size)
    table = _inner(np.subtract.outer(cells, cells), bandwidth_hz)
    starts = _starts(cells.size, max_taps)
    parts = []
    for start in range(0, paths.num_steps, _CHUNK_STEPS):
        part = slice(start, start + _CHUNK_STEPS)
        products, power = _products(inside, part, cells, bandwidth_hz)
        chosen, present = choose_cells(
            products,
            power,
            table,
            ridge=_RIDGE,
            starts=starts,
            least_share=_LEAST_IMPROVEMENT,
            worth_share=_WORTH_A_TAP,
            open_share=_NEARLY_MET,
            most_sweeps=_MOST_SWEEPS,
        )
        wanted = heard = np.take_along_axis(products, chosen, 1)
        if outside_share:
            products, power = _products(paths, part, cells, bandwidth_hz)
            heard = np.take_along_axis(products, chosen, 1)
        parts.append((cells[chosen], present, wanted, heard, power))
    taps, needed, wanted, heard, power = map(np.concatenate, zip(*parts, strict=True))
    return TapChoice(
        cells=taps,
        present=needed,
        wanted=wanted,
        heard=heard,
        power=power,
        outside_share=outside_share,
        bandwidth_hz=bandwidth_hz,
        interval_s=paths.interval_s,
    )


def reduce_paths(
    paths: LinkPaths, *, bandwidth_hz: float, least_gain: float = 0.0, max_taps: int = MAX_TAPS
) -> Reduction:
    """Return the taps that meet the frequency response of a link best, with their gains.

    Args:
        paths: The link.
        bandwidth_hz: Band over which the responses are compared, around the carrier [Hz].
        least_gain: Amplitude below which a tap cannot be emulated; the others are then fitted anew.
        max_taps: Taps at any instant.

    Raises:
        ScenarioError: `bandwidth_hz` or `max_taps` is out of range, or all paths are.
    """
    choice = choose_taps(paths, bandwidth_hz=bandwidth_hz, max_taps=max_taps)
    return choice.fitted(least_gain=least_gain)


def _inner(distance: NDArray[np.int64], bandwidth_hz: float) -> NDArray[np.float64]:
    """Return the inner products of cells by their distance."""
    inner: NDArray[np.float64] = np.sinc(bandwidth_hz * TAP_GRID_S * distance)
    return inner


def _starts(num_cells: int, max_taps: int) -> NDArray[np.int64]:
    """Return taps spread over shares of the span, (number of taps, share, tap); -1: none."""
    starts = np.full((max_taps + 1, len(_SPREADS), max_taps), -1)
    for count in range(1, max_taps + 1):
        for index, share in enumerate(_SPREADS):
            spread = np.linspace(0, share * (num_cells - 1), count).round().astype(np.int64)
            if np.unique(spread).size == count:
                starts[count, index, :count] = spread
    return starts


def _ratio_db(error: float, power: float) -> float:
    return 10 * math.log10(max(error / power, 1e-30)) if power > 0 else -math.inf


def _inside(paths: LinkPaths) -> tuple[LinkPaths, float]:
    """Return the paths that the emulator has delays for, and the others' share of the power."""
    # What rounds to a cell of the grid has one.
    kept = paths.is_between(-TAP_GRID_S / 2, MAX_DELAY_S + TAP_GRID_S / 2)
    power = np.abs(paths.gains) ** 2
    whole, outside = float(power.sum()), float(power[~kept].sum())
    if outside == 0:
        return paths, 0.0
    if not power[kept].any():
        delays_s = np.broadcast_to(paths.delays_s, power.shape)[power > 0]
        raise ScenarioError(
            f"all paths lie from {1e6 * delays_s.min():.2f} to {1e6 * delays_s.max():.2f} us, the "
            f"emulator has delays from 0 to {1e6 * MAX_DELAY_S:.2f} us; move them there, or leave "
            "the link out"
        )
    return paths.where(kept), outside / whole


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


def _solve(
    gram: NDArray[np.float64],
    wanted: NDArray[np.complex128],
    present: NDArray[np.bool_],
    least_gain: float,
) -> NDArray[np.complex128]:
    """Return the best gains of the cells that are present, (time, tap), 0 elsewhere.

    Taps below `least_gain` go, too.
    """
    diagonal = np.arange(gram.shape[1])
    present = present.copy()
    while True:
        both = present[:, :, None] & present[:, None, :]
        matrix = np.where(both, gram, 0.0)
        matrix[:, diagonal, diagonal] = np.where(present, 1.0 + _RIDGE, 1.0)
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
