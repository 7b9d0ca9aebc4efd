"""The .mat file in which Colosseum takes a user's scenario, written and read.

With mobility (or several taps) it holds `chMatrix`, a cell array (tx, rx, time) whose cells are
rows of (delay [s], complex gain), and `time` [ms], which ends on a multiple of 1000 ms; optionally
`coordinates` (node, 3, time) [m] and `origin` {long, lat} [degrees]. A static scenario of one tap
a link is the simplified form: `chMatrix` (tx, rx) of path gains [dB], one tap at 1 ns.
Source: Colosseum user documentation, scenario exchange format.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.limits import check_scenario
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError

__all__ = ["export_mat", "import_mat"]

_SIMPLE_DELAY_S = 1e-9
_BLOCK_MS = 1000


def export_mat(scenario: Scenario, path: Path) -> Path:
    """Write the scenario for Colosseum to `path` (.mat), whole or not at all, and return it.

    Raises:
        ScenarioError: The emulator cannot represent it; the message names the first violation.
    """
    violations = check_scenario(scenario)
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise ScenarioError(
            f"scenario {scenario.name}: {violations[0]}{more}; "
            "move delays to the grid with --on-grid (Scenario.on_grid), or make the scenario again"
        )
    for (tx, rx), response in sorted(scenario.links.items()):
        strongest = float(response.gains.abs().max())
        if strongest > 1 + 1e-6:
            raise ScenarioError(
                f"scenario {scenario.name}: link {tx}>{rx}: gain {20 * math.log10(strongest):.2f} "
                "dB, the exchange file allows at most 0 dB; scale all links down"
            )
    simple = _simple_matrix(scenario)
    contents: dict[str, Any] = {"chMatrix": simple} if simple is not None else _with_time(scenario)
    if scenario.origin is not None:
        contents["origin"] = {"long": scenario.origin[0], "lat": scenario.origin[1]}
    partial = path.with_name(f".{path.name}.partial")
    scipy.io.savemat(partial, contents, appendmat=False, do_compression=True)
    partial.replace(path)
    return path


def _simple_matrix(scenario: Scenario) -> np.ndarray[Any, Any] | None:
    if not scenario.is_static or scenario.coordinates is not None:
        return None
    pairs = {
        (tx, rx) for tx in range(scenario.num_nodes) for rx in range(scenario.num_nodes) if tx != rx
    }
    if {(tx - 1, rx - 1) for tx, rx in scenario.links} != pairs:
        return None  # the simplified form cannot say that a link has no channel
    matrix = np.zeros((scenario.num_nodes, scenario.num_nodes))
    for (tx, rx), response in scenario.links.items():
        gain = response.gains[0]
        # The form knows neither delay nor phase.
        if gain.numel() != 1 or float(response.delays_s[0]) != 0 or not _is_positive(gain):
            return None
        matrix[tx - 1, rx - 1] = 20 * math.log10(float(gain.abs()))
    return matrix


def _is_positive(gain: torch.Tensor) -> bool:
    return bool((gain.imag == 0).all() and (gain.real > 0).all())


def _with_time(scenario: Scenario) -> dict[str, Any]:
    step_ms = round(1e3 * scenario.interval_s)
    # The last taps are held up to the next full second, at which `time` must end.
    num_times = scenario.num_steps
    end_ms = _BLOCK_MS * max(1, math.ceil((num_times - 1) * step_ms / _BLOCK_MS))
    while end_ms % step_ms:
        end_ms += _BLOCK_MS
    times_ms = np.arange(0, end_ms + step_ms, step_ms, dtype=np.float64)
    cells = np.empty((scenario.num_nodes, scenario.num_nodes, times_ms.size), dtype=object)
    empty = np.zeros((0, 2))
    for tx in range(scenario.num_nodes):
        for rx in range(scenario.num_nodes):
            response = scenario.links.get((tx + 1, rx + 1))
            if response is None:
                for step in range(times_ms.size):
                    cells[tx, rx, step] = empty
                continue
            delays_s, gains = response.delays_s.numpy(), response.gains.numpy()
            rows = []
            for gain in gains:
                present = gain != 0
                rows.append(np.column_stack([delays_s[present], gain[present]]))
            for step in range(times_ms.size):
                cells[tx, rx, step] = rows[min(step, len(rows) - 1)]
    contents: dict[str, Any] = {"chMatrix": cells, "time": times_ms[None]}
    if scenario.coordinates is not None:
        moving = scenario.coordinates.numpy()
        held = np.minimum(np.arange(times_ms.size), moving.shape[2] - 1)
        contents["coordinates"] = moving[:, :, held]
    return contents


def import_mat(
    path: Path, *, name: str, center_frequency_hz: float, bandwidth_hz: float
) -> Scenario:
    """Return the scenario in Colosseum's exchange file; the file itself names no frequency.

    Raises:
        ScenarioError: The file is missing, damaged, or not of the exchange format.
    """
    try:
        contents = scipy.io.loadmat(path, appendmat=False)
        matrix = np.asarray(contents["chMatrix"])
    except FileNotFoundError as error:
        raise ScenarioError(f"{path}: no such file") from error
    except KeyError as error:
        raise ScenarioError(f"{path}: holds no chMatrix") from error
    except (ValueError, TypeError, OSError, NotImplementedError) as error:
        raise ScenarioError(f"{path}: cannot be read as .mat ({error})") from error
    links: dict[tuple[int, int], ImpulseResponse] = {}
    interval_s = 1e-3
    coordinates = None
    if matrix.dtype != object:
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ScenarioError(f"{path}: chMatrix must be square, got {matrix.shape}")
        for tx, rx in np.ndindex(matrix.shape):
            if tx != rx:
                gain = torch.tensor([[10 ** (float(matrix[tx, rx]) / 20)]], dtype=torch.complex64)
                delay = torch.tensor([_SIMPLE_DELAY_S], dtype=torch.float64)
                links[tx + 1, rx + 1] = ImpulseResponse(gain, delay, interval_s)
    else:
        if matrix.ndim == 2:
            matrix = matrix[:, :, None]
        times_ms = np.ravel(contents.get("time", []))
        if times_ms.size != matrix.shape[2] or matrix.shape[0] != matrix.shape[1]:
            raise ScenarioError(
                f"{path}: chMatrix {matrix.shape} and time ({times_ms.size}) contradict each other"
            )
        steps_ms = np.diff(times_ms)
        if steps_ms.size and not (np.allclose(steps_ms, steps_ms[0]) and steps_ms[0] > 0):
            raise ScenarioError(f"{path}: time must rise in equal steps")
        interval_s = 1e-3 * float(steps_ms[0]) if steps_ms.size else 1e-3
        for tx, rx in np.ndindex(matrix.shape[:2]):
            response = _response(path, matrix[tx, rx], interval_s)
            if response is not None:
                links[tx + 1, rx + 1] = response
        if "coordinates" in contents:
            coordinates = torch.from_numpy(
                np.atleast_3d(contents["coordinates"]).astype(np.float64)
            )
    return Scenario(
        name=name,
        description=f"imported from {path.name}",
        center_frequency_hz=center_frequency_hz,
        bandwidth_hz=bandwidth_hz,
        num_nodes=matrix.shape[0],
        links=links,
        interval_s=interval_s,
        repeats=False,
        coordinates=coordinates,
        derivation=f"read from {path.name}",
    )


def _response(path: Path, cells: np.ndarray[Any, Any], interval_s: float) -> ImpulseResponse | None:
    rows = [np.asarray(cell).reshape(-1, 2) for cell in cells]
    if any(not np.issubdtype(row.dtype, np.number) for row in rows):
        raise ScenarioError(f"{path}: a cell of chMatrix must hold rows of (delay, gain)")
    delays = sorted({float(delay) for row in rows for delay in row[:, 0].real})
    if not delays:
        return None
    column = {delay: index for index, delay in enumerate(delays)}
    gains = np.zeros((len(rows), len(delays)), np.complex64)
    for step, row in enumerate(rows):
        for delay, gain in row:
            gains[step, column[float(delay.real)]] += gain
    if (gains == gains[0]).all():
        gains = gains[:1]
    return ImpulseResponse(
        torch.from_numpy(gains), torch.tensor(delays, dtype=torch.float64), interval_s
    )
