"""The .mat file in which Colosseum takes a user's scenario, read and checked (see `exchange`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.exchange import check_exchange
from phyemu.colosseum.limits import UPDATE_S, Violation, check_scenario
from phyemu.colosseum.mat_file import MatCells, read_mat
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError
from phyemu.units import db_to_amplitude

__all__ = ["check_mat", "import_mat"]

_BLOCK_MS = 1000
_STEP_MS = 1e3 * UPDATE_S


@dataclass(frozen=True, eq=False, slots=True)
class _Contents:
    """What the file holds.

    Attributes:
        matrix: Path gains [dB], (node, node), or cells of taps, (node, node, time).
        times_ms: Times [ms], (time,); empty with path gains.
        coordinates: (node, 3, time) float64, or None.
        origin: (longitude, latitude), or None.
    """

    matrix: NDArray[Any] | MatCells
    times_ms: NDArray[np.float64]
    coordinates: NDArray[np.float64] | None
    origin: tuple[float, float] | None


def import_mat(
    path: Path, *, name: str, center_frequency_hz: float, bandwidth_hz: float
) -> Scenario:
    """Return the scenario in Colosseum's exchange file; the file itself names no frequency.

    In the simplified form the one tap of a link has 1 ns, which is 0 ns on the emulator's grid, and
    is taken as that. A last time at which everything is held is the end of the scenario, no step.

    Raises:
        ScenarioError: The file is missing, damaged, or not of the exchange format.
    """
    contents = _read(path)
    matrix = contents.matrix
    steps_ms = np.diff(contents.times_ms)
    interval_s = 1e-3 * float(steps_ms[0]) if steps_ms.size else UPDATE_S
    coordinates = contents.coordinates
    if isinstance(matrix, MatCells):
        links, held = _links_of_cells(path, matrix, interval_s)
        if coordinates is not None and coordinates.shape[2] == matrix.shape[2]:
            held = held and bool((coordinates[:, :, -1] == coordinates[:, :, -2]).all())
        if held and contents.times_ms[-1] % _BLOCK_MS == 0:
            links = {pair: _without_last(response) for pair, response in links.items()}
            if coordinates is not None and coordinates.shape[2] == matrix.shape[2]:
                coordinates = coordinates[:, :, :-1]
    else:
        links = _links_of_gains(path, matrix, interval_s)
    try:
        return Scenario(
            name=name,
            description=f"imported from {path.name}",
            center_frequency_hz=center_frequency_hz,
            bandwidth_hz=bandwidth_hz,
            num_nodes=matrix.shape[0],
            links=links,
            interval_s=interval_s,
            repeats=False,
            coordinates=None if coordinates is None else torch.from_numpy(coordinates.copy()),
            origin=contents.origin,
            derivation=f"read from {path.name}",
        )
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error


def check_mat(path: Path) -> list[Violation]:
    """Return everything in an exchange file that Colosseum does not take; empty when all fits.

    Raises:
        ScenarioError: The file is missing, damaged, or not of the exchange format.
    """
    # The frequencies are not in the file, and no limit hangs on them.
    scenario = import_mat(path, name=path.stem, center_frequency_hz=1e9, bandwidth_hz=20e6)
    times_ms = _read(path).times_ms
    found = []
    if times_ms.size:
        if times_ms[0] != 0:
            found.append(f"time begins at {times_ms[0]:g} ms, allowed is 0")
        if times_ms[-1] % _BLOCK_MS or times_ms[-1] == 0:
            found.append(
                f"time ends at {times_ms[-1]:g} ms, allowed are multiples of {_BLOCK_MS} ms; hold "
                "the last taps up to the next one"
            )
    whole = [Violation(link=None, time_s=None, tap=None, message=message) for message in found]
    return whole + check_scenario(scenario) + check_exchange(scenario)


def _read(path: Path) -> _Contents:
    contents = read_mat(path)
    matrix = contents.get("chMatrix")
    if not isinstance(matrix, np.ndarray | MatCells):
        raise ScenarioError(f"{path}: holds no chMatrix of numbers or cells")
    shape = matrix.shape
    times_ms = np.empty(0)
    if isinstance(matrix, MatCells) and len(shape) == 2:
        shape = (*shape, 1)  # MATLAB drops a last dimension of one time
        matrix = MatCells(shape, matrix.cell, matrix.rows)
    num_dims = 3 if isinstance(matrix, MatCells) else 2
    if len(shape) != num_dims or shape[0] != shape[1] or 0 in shape:
        raise ScenarioError(
            f"{path}: chMatrix must be square, (N, N) path gains or (N, N, time) cells, got {shape}"
        )
    if isinstance(matrix, MatCells):
        times_ms = _numbers(path, "time", contents.get("time", np.empty(0))).ravel()
        if times_ms.size != shape[2]:
            raise ScenarioError(
                f"{path}: chMatrix {shape} and time ({times_ms.size}) contradict each other"
            )
        steps_ms = np.diff(times_ms)
        if steps_ms.size and not (np.allclose(steps_ms, steps_ms[0]) and steps_ms[0] > 0):
            raise ScenarioError(f"{path}: time must rise in equal steps")
    coordinates = None
    if "coordinates" in contents:
        coordinates = np.atleast_3d(_numbers(path, "coordinates", contents["coordinates"]))
        num_times = max(1, times_ms.size)
        fits = coordinates.ndim == 3 and coordinates.shape[:2] == (shape[0], 3)
        if not fits or coordinates.shape[2] not in (1, num_times):
            raise ScenarioError(
                f"{path}: coordinates must be ({shape[0]}, 3, {num_times}), got {coordinates.shape}"
            )
    return _Contents(matrix, times_ms, coordinates, _origin(path, contents.get("origin")))


def _numbers(path: Path, name: str, value: Any) -> NDArray[np.float64]:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f" or not np.isfinite(value).all():
        raise ScenarioError(f"{path}: {name} must be finite numbers")
    return value


def _origin(path: Path, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        longitude, latitude = (float(value[name].item()) for name in ("long", "lat"))
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise ScenarioError(f"{path}: origin must be a struct with long and lat") from error
    return longitude, latitude


def _links_of_gains(
    path: Path, matrix: NDArray[Any], interval_s: float
) -> dict[tuple[int, int], ImpulseResponse]:
    if matrix.dtype.kind not in "iuf" or np.isnan(matrix).any() or (matrix == np.inf).any():
        raise ScenarioError(f"{path}: chMatrix must hold path gains in dB, got {matrix.dtype}")
    links = {}
    for tx, rx in np.ndindex(matrix.shape):
        gain_db = float(matrix[tx, rx])
        if tx != rx and np.isfinite(gain_db):
            gain = torch.tensor([[db_to_amplitude(gain_db)]], dtype=torch.complex64)
            links[tx + 1, rx + 1] = ImpulseResponse(gain, torch.zeros(1).double(), interval_s)
    return links


def _links_of_cells(
    path: Path, matrix: MatCells, interval_s: float
) -> tuple[dict[tuple[int, int], ImpulseResponse], bool]:
    """Return the links, and whether none of them changes at the last time."""
    num_nodes, _, num_times = matrix.shape
    steps, pair = np.divmod(matrix.cell, num_nodes**2)
    bad = np.flatnonzero(~np.isfinite(matrix.rows).all(axis=1))
    if bad.size:
        rx, tx = divmod(int(pair[bad[0]]), num_nodes)
        raise ScenarioError(
            f"{path}: link {tx + 1}>{rx + 1}, time {int(steps[bad[0]])}: a delay or gain is NaN or "
            "infinite"
        )
    links, held = {}, num_times > 1
    by_pair = np.argsort(pair, kind="stable")
    for group in np.split(by_pair, np.flatnonzero(np.diff(pair[by_pair])) + 1):
        if not group.size:
            continue
        rx, tx = divmod(int(pair[group[0]]), num_nodes)
        unique, column = np.unique(matrix.rows[group, 0].real, return_inverse=True)
        gains = np.zeros((num_times, unique.size), np.complex128)
        np.add.at(gains, (steps[group], column), matrix.rows[group, 1])
        if not gains.any():
            continue
        with np.errstate(over="ignore"):  # an infinite gain is refused with its link
            single = gains.astype(np.complex64)
        if (single == single[0]).all():
            single = single[:1]
        else:
            held = held and bool((single[-1] == single[-2]).all())
        links[tx + 1, rx + 1] = ImpulseResponse(
            torch.from_numpy(single), torch.from_numpy(unique), interval_s
        )
    return links, held


def _without_last(response: ImpulseResponse) -> ImpulseResponse:
    if response.num_steps == 1:
        return response
    return ImpulseResponse(response.gains[:-1], response.delays_s, response.interval_s)
