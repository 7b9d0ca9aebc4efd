"""The .mat file in which Colosseum takes a user's scenario, read and checked (see `exchange`)."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray
from scipy.io.matlab import MatReadError

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.exchange import check_exchange
from phyemu.colosseum.limits import UPDATE_S, Violation, check_scenario
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError
from phyemu.units import db_to_amplitude

__all__ = ["check_mat", "import_mat"]

_VARIABLES = ("chMatrix", "time", "coordinates", "origin")
_BLOCK_MS = 1000
_STEP_MS = 1e3 * UPDATE_S


@dataclass(frozen=True, eq=False, slots=True)
class _Contents:
    """What the file holds.

    Attributes:
        matrix: Path gains [dB], (node, node) float64, or cells of taps, (node, node, time) object.
        times_ms: Times [ms], (time,); empty with path gains.
        coordinates: (node, 3, time) float64, or None.
        origin: (longitude, latitude), or None.
    """

    matrix: NDArray[Any]
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
    if matrix.dtype == object:
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
    try:
        contents = scipy.io.loadmat(path, appendmat=False, variable_names=_VARIABLES)
    except FileNotFoundError as error:
        raise ScenarioError(f"{path}: no such file") from error
    except NotImplementedError as error:
        raise ScenarioError(f"{path}: is a .mat of version 7.3; save it with -v7") from error
    except (
        *(ValueError, TypeError, OSError, KeyError, IndexError, EOFError, OverflowError),
        *(MemoryError, zlib.error, MatReadError),
    ) as error:
        raise ScenarioError(f"{path}: cannot be read as .mat ({error})") from error
    if "chMatrix" not in contents:
        raise ScenarioError(f"{path}: holds no chMatrix")
    matrix = np.asarray(contents["chMatrix"])
    if matrix.dtype == object and matrix.ndim == 2:
        matrix = matrix[:, :, None]  # MATLAB drops a last dimension of one time
    num_dims = 3 if matrix.dtype == object else 2
    if matrix.ndim != num_dims or matrix.shape[0] != matrix.shape[1] or 0 in matrix.shape:
        raise ScenarioError(
            f"{path}: chMatrix must be square, (N, N) path gains or (N, N, time) cells, got "
            f"{matrix.shape}"
        )
    times_ms = np.empty(0)
    if matrix.dtype == object:
        times_ms = _numbers(path, "time", contents.get("time", np.empty(0))).ravel()
        if times_ms.size != matrix.shape[2]:
            raise ScenarioError(
                f"{path}: chMatrix {matrix.shape} and time ({times_ms.size}) contradict each other"
            )
        steps_ms = np.diff(times_ms)
        if steps_ms.size and not (np.allclose(steps_ms, steps_ms[0]) and steps_ms[0] > 0):
            raise ScenarioError(f"{path}: time must rise in equal steps")
    coordinates = None
    if "coordinates" in contents:
        coordinates = np.atleast_3d(_numbers(path, "coordinates", contents["coordinates"]))
        if coordinates.shape[:2] != (matrix.shape[0], 3) or coordinates.shape[2] not in (
            *(1, max(1, times_ms.size)),
        ):
            raise ScenarioError(
                f"{path}: coordinates must be ({matrix.shape[0]}, 3, {max(1, times_ms.size)}), got "
                f"{coordinates.shape}"
            )
    return _Contents(matrix, times_ms, coordinates, _origin(path, contents.get("origin")))


def _numbers(path: Path, name: str, value: Any) -> NDArray[np.float64]:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise ScenarioError(f"{path}: {name} must be finite numbers, got {array.dtype}")
    return array.astype(np.float64)


def _origin(path: Path, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        longitude, latitude = (float(np.squeeze(value[name][0, 0])) for name in ("long", "lat"))
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
    path: Path, matrix: NDArray[Any], interval_s: float
) -> tuple[dict[tuple[int, int], ImpulseResponse], bool]:
    """Return the links, and whether none of them changes at the last time."""
    links, held = {}, matrix.shape[2] > 1
    for tx, rx in np.ndindex(matrix.shape[:2]):
        steps, delays_s, values = _taps(path, (tx + 1, rx + 1), matrix[tx, rx])
        if not steps.size:
            continue
        unique, column = np.unique(delays_s, return_inverse=True)
        gains = np.zeros((matrix.shape[2], unique.size), np.complex128)
        np.add.at(gains, (steps, column), values)
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


def _taps(
    path: Path, link: tuple[int, int], cells: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.complex128]]:
    """Return the step, the delay [s] and the gain of every tap of a link."""
    where = f"{path}: link {link[0]}>{link[1]}"
    full = [
        (step, cell) for step, cell in enumerate(cells) if getattr(cell, "size", 1)
    ]  # empty cells come as (0, 0) and (0, 2)
    for step, cell in full:
        if not isinstance(cell, np.ndarray) or cell.dtype.kind not in "iufc":
            raise ScenarioError(f"{where}, time {step}: a cell must hold rows of (delay, gain)")
        if cell.ndim != 2 or cell.shape[1] != 2:
            raise ScenarioError(
                f"{where}, time {step}: a cell must hold rows of (delay, gain), got {cell.shape}"
            )
    if not full:
        return np.empty(0, np.int64), np.empty(0), np.empty(0, np.complex128)
    rows = np.concatenate([cell for _, cell in full]).astype(np.complex128)
    steps = np.repeat([step for step, _ in full], [cell.shape[0] for _, cell in full])
    if not np.isfinite(rows).all():
        step = int(steps[np.flatnonzero(~np.isfinite(rows).all(axis=1))[0]])
        raise ScenarioError(f"{where}, time {step}: a delay or gain is NaN or infinite")
    return steps, rows[:, 0].real.copy(), rows[:, 1]
