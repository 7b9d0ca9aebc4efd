"""Nodes that move: positions over time, and the direct path between each two of them."""

import csv
import itertools
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.colosseum.link_paths import LinkPaths
from phyemu.colosseum.path_loss import PathLoss
from phyemu.errors import ScenarioError

__all__ = ["Trajectory", "read_trajectory"]

_LIGHT_M_PER_S = 299_792_458.0
_COLUMNS = ("time_s", "node", "x_m", "y_m", "z_m")
_MOST_STEPS = 10_000_000


@dataclass(frozen=True, eq=False, slots=True)
class Trajectory:
    """Positions of all nodes at equal steps.

    Attributes:
        positions_m: (node, 3, time), float64.
        interval_s: Time between two steps [s].
    """

    positions_m: NDArray[np.float64]
    interval_s: float

    @property
    def num_nodes(self) -> int:
        """Return the number of nodes."""
        return int(self.positions_m.shape[0])

    @property
    def coordinates(self) -> torch.Tensor:
        """Return the positions as `Scenario.coordinates`."""
        return torch.from_numpy(self.positions_m)

    def links(
        self, path_loss: PathLoss, *, frequency_hz: float
    ) -> dict[tuple[int, int], LinkPaths]:
        """Return the direct path between each two nodes, from the lower number to the higher.

        Its delay is d / c, its phase -2 pi d / lambda, so motion brings its Doppler shift along.

        Args:
            path_loss: Loss over distance.
            frequency_hz: Of the modelled radio [Hz].
        """
        found = {}
        for first, second in itertools.combinations(range(self.num_nodes), 2):
            between = self.positions_m[first] - self.positions_m[second]
            distance_m = np.sqrt(np.square(between).sum(axis=0))
            amplitude = 10 ** (-path_loss.loss_db(distance_m, frequency_hz) / 20)
            delay_s = distance_m / _LIGHT_M_PER_S
            gains = amplitude * np.exp(-2j * np.pi * np.mod(frequency_hz * delay_s, 1.0))
            found[first + 1, second + 1] = LinkPaths(
                gains[:, None], delay_s[:, None], self.interval_s
            )
        return found


def read_trajectory(
    path: Path, *, interval_s: float = 1e-3, duration_s: float | None = None
) -> Trajectory:
    """Return the trajectory in a CSV file with the columns time_s, node, x_m, y_m, z_m.

    Nodes move in straight lines between their rows and stand still before the first and behind
    the last one; one row is a node that stands still.

    Args:
        path: The file; lines that begin with # are comments.
        interval_s: Step of the result [s].
        duration_s: Length of the result [s]; None: to the last row, at least one step.

    Raises:
        ScenarioError: The file is missing or damaged; the message names the line.
    """
    rows: dict[int, list[tuple[float, float, float, float]]] = defaultdict(list)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = ((number, line) for number, line in enumerate(file, start=1))
            kept = [(n, line) for n, line in lines if line.strip() and not line.startswith("#")]
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read ({error})") from error
    if not kept or tuple(c.strip() for c in next(csv.reader([kept[0][1]]))) != _COLUMNS:
        raise ScenarioError(f"{path}: the first line must be {','.join(_COLUMNS)}")
    for number, line in kept[1:]:
        try:
            time_s, node, *position = next(csv.reader([line]))
            values = (float(time_s), *(float(value) for value in position))
            if len(values) != 4 or not all(math.isfinite(value) for value in values):
                raise ValueError
            index = int(node)
        except ValueError:
            raise ScenarioError(
                f"{path}: line {number} must hold five numbers, {','.join(_COLUMNS)}; got "
                f"{line.strip()!r}"
            ) from None
        if rows[index] and rows[index][-1][0] >= values[0]:
            raise ScenarioError(f"{path}: line {number}: the times of node {index} must rise")
        rows[index].append(values)
    if sorted(rows) != list(range(1, len(rows) + 1)) or len(rows) < 2:
        raise ScenarioError(
            f"{path}: nodes must be numbered from 1 without gaps, at least two; got {sorted(rows)}"
        )
    last_s = max(track[-1][0] for track in rows.values()) if duration_s is None else duration_s
    if not (0 <= last_s / interval_s <= _MOST_STEPS):
        raise ScenarioError(f"{path}: {last_s:g} s at steps of {interval_s:g} s are too many steps")
    times_s = np.arange(max(1, round(last_s / interval_s))) * interval_s
    positions = np.empty((len(rows), 3, times_s.size))
    for index, track in rows.items():
        points = np.array(track)
        for axis in range(3):
            positions[index - 1, axis] = np.interp(times_s, points[:, 0], points[:, 1 + axis])
    return Trajectory(positions, interval_s)
