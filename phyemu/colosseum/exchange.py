"""The .mat file in which Colosseum takes a user's scenario, written.

With mobility (or several taps) it holds `chMatrix`, a cell array (tx, rx, time) whose cells are
rows of (delay [s], complex gain), and `time` [ms], which ends on a multiple of 1000 ms; optionally
`coordinates` (node, 3, time) [m] and `origin` {long, lat} [degrees]. A static scenario of one tap
a link is the simplified form: `chMatrix` (tx, rx) of path gains [dB], one tap at 1 ns.
Source: Colosseum user documentation, scenario exchange format.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import scipy.io
import torch
from numpy.typing import NDArray

from phyemu.colosseum.cell_matrix import write_cell_matrix
from phyemu.colosseum.limits import Violation, check_scenario
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError

__all__ = ["check_exchange", "export_mat"]

_BLOCK_MS = 1000


def export_mat(scenario: Scenario, path: Path) -> Path:
    """Write the scenario for Colosseum to `path` (.mat), whole or not at all, and return it.

    Raises:
        ScenarioError: The emulator cannot represent it; the message names the first violation. Or
            the file cannot be written.
    """
    violations = check_scenario(scenario)
    if violations:
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise ScenarioError(
            f"scenario {scenario.name}: {violations[0]}{more}; "
            "move delays to the grid with --on-grid (Scenario.on_grid), or make the scenario again"
        )
    above = check_exchange(scenario)
    if above:
        raise ScenarioError(f"scenario {scenario.name}: {above[0]}; scale all links down")
    simple = _simple_matrix(scenario)
    times_ms = _times_ms(scenario)
    contents: dict[str, Any] = {"chMatrix": simple} if simple is not None else {"time": times_ms}
    if simple is None and scenario.coordinates is not None:
        moving = scenario.coordinates.numpy()
        held = np.minimum(np.arange(times_ms.size), moving.shape[2] - 1)
        contents["coordinates"] = moving[:, :, held]
    if scenario.origin is not None:
        contents["origin"] = {"long": scenario.origin[0], "lat": scenario.origin[1]}
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            # SciPy takes open files, its stubs only names.
            scipy.io.savemat(cast(Any, file), contents, appendmat=False, do_compression=True)
            if simple is None:
                write_cell_matrix(
                    file,
                    scenario.links,
                    num_nodes=scenario.num_nodes,
                    num_times=times_ms.size,
                )
        partial.replace(path)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return path


def check_exchange(scenario: Scenario) -> list[Violation]:
    """Return every tap that the emulator holds, but the exchange file does not allow.

    The emulator takes I and Q up to 1 each, the file no tap above 0 dB.
    """
    found = []
    for link, response in sorted(scenario.links.items()):
        size = response.gains.abs()
        strong = (size > 1 + 1e-6) & (
            torch.view_as_real(response.gains).abs().amax(dim=-1) <= 1 + 1e-6
        )
        for tap in torch.nonzero(strong.any(dim=0)).flatten().tolist():
            step = int(torch.nonzero(strong[:, tap])[0])
            found.append(
                Violation(
                    link=link,
                    time_s=step * response.interval_s,
                    tap=tap,
                    message=f"gain {20 * math.log10(float(size[step, tap])):.2f} dB, the exchange "
                    "file allows at most 0 dB",
                )
            )
    return found


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


def _times_ms(scenario: Scenario) -> NDArray[np.float64]:
    """Return `time`: the last taps are held up to the next full second, at which it must end."""
    step_ms = round(1e3 * scenario.interval_s)
    num_times = scenario.num_steps
    if scenario.coordinates is not None:
        num_times = max(num_times, scenario.coordinates.shape[2])
    end_ms = _BLOCK_MS * max(1, math.ceil((num_times - 1) * step_ms / _BLOCK_MS))
    while end_ms % step_ms:
        end_ms += _BLOCK_MS
    return np.arange(0, end_ms + step_ms, step_ms, dtype=np.float64)
