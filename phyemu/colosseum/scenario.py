"""A Colosseum scenario: nodes and the taps of every link between them over time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from phyemu.channel import ImpulseResponse
from phyemu.errors import ScenarioError

__all__ = ["Scenario", "response_on_grid"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Scenario:
    """Nodes, links and taps, as the emulator plays them.

    Attributes:
        name: Short name.
        description: A sentence on what it stands for.
        center_frequency_hz: Radio frequency of the emulation [Hz].
        bandwidth_hz: Noise power bandwidth named by the scenario [Hz].
        num_nodes: Number of nodes; they are numbered from 1.
        links: (transmitter, receiver) -> response, gains (time, path). A pair that is absent has
            no channel. A path whose gain is 0 at a step does not exist then, so the delays of a
            link may change over time. A response of one step is static.
        interval_s: Time between two steps [s]; the same for all links.
        repeats: Whether the scenario starts over at its end; else the last taps are held.
        constant_gain_db: Gain that was added to the physical path gains of every link [dB].
        coordinates: Positions [m], (node, 3, time); None where unknown.
        origin: (longitude, latitude) of coordinate (0, 0, 0) [degrees]; None where unknown.
        derivation: Where the taps come from, in words.
        provenance: What made it: seed, source, settings.
    """

    name: str
    description: str
    center_frequency_hz: float
    bandwidth_hz: float
    num_nodes: int
    links: Mapping[tuple[int, int], ImpulseResponse]
    interval_s: float = 1e-3
    repeats: bool = True
    constant_gain_db: float = 0.0
    coordinates: Tensor | None = None
    origin: tuple[float, float] | None = None
    derivation: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse contradictions; what the emulator cannot do is `check_scenario`'s.

        Raises:
            ScenarioError: A number is out of range, or the links contradict each other.
        """
        where = f"scenario {self.name}"
        for quantity in ("center_frequency_hz", "bandwidth_hz", "interval_s"):
            value = getattr(self, quantity)
            if not (math.isfinite(value) and value > 0):
                raise ScenarioError(f"{where}: {quantity} must be positive, got {value}")
        if self.num_nodes < 2:
            raise ScenarioError(f"{where}: needs at least 2 nodes, got {self.num_nodes}")
        for (tx, rx), response in self.links.items():
            if not (1 <= tx <= self.num_nodes and 1 <= rx <= self.num_nodes):
                raise ScenarioError(
                    f"{where}: link {tx}>{rx} names a node outside 1..{self.num_nodes}"
                )
            if tx == rx:
                raise ScenarioError(f"{where}: link {tx}>{rx} leads from a node to itself")
            if response.gains.ndim != 2:
                raise ScenarioError(
                    f"{where}: link {tx}>{rx} needs gains (time, path), "
                    f"got {tuple(response.gains.shape)}"
                )
            if response.num_steps not in (1, self.num_steps):
                raise ScenarioError(
                    f"{where}: link {tx}>{rx} has {response.num_steps} steps, others "
                    f"{self.num_steps}; give every link that changes the same number"
                )
            if not bool(torch.isfinite(torch.view_as_real(response.gains)).all()):
                raise ScenarioError(f"{where}: link {tx}>{rx} holds a gain that is NaN or infinite")
        if self.coordinates is not None and (
            self.coordinates.ndim != 3 or self.coordinates.shape[:2] != (self.num_nodes, 3)
        ):
            raise ScenarioError(
                f"{where}: coordinates must be ({self.num_nodes}, 3, time), "
                f"got {tuple(self.coordinates.shape)}"
            )
        if self.coordinates is not None and self.num_steps > 1:
            num_times = self.coordinates.shape[2]
            if num_times not in (1, self.num_steps):
                raise ScenarioError(
                    f"{where}: coordinates have {num_times} times, the links {self.num_steps} steps"
                )

    @property
    def num_steps(self) -> int:
        """Return the number of steps; 1 for a static scenario."""
        return max((response.num_steps for response in self.links.values()), default=1)

    @property
    def duration_s(self) -> float:
        """Return the time after which the scenario repeats or holds [s]."""
        return self.num_steps * self.interval_s

    @property
    def is_static(self) -> bool:
        """Return whether no link ever changes."""
        return self.num_steps == 1

    @property
    def is_reciprocal(self) -> bool:
        """Return whether every link is the same in both directions, and there is one."""
        return bool(self.links) and all(
            (rx, tx) in self.links and _same(response, self.links[rx, tx])
            for (tx, rx), response in self.links.items()
        )

    def on_grid(self, grid_s: float = 10e-9) -> "Scenario":
        """Return the scenario with every delay moved to the nearest multiple of `grid_s` [s].

        Taps that meet on one delay are added, as the emulator's filter would.
        """
        moved = {pair: response_on_grid(item, grid_s) for pair, item in self.links.items()}
        return replace(self, links=moved)

    def path_gain_db(self) -> Tensor:
        """Return the mean gain of every link [dB], (transmitter, receiver); -inf where none."""
        gain = torch.full((self.num_nodes, self.num_nodes), -torch.inf, dtype=torch.float64)
        for (tx, rx), response in self.links.items():
            gain[tx - 1, rx - 1] = 10 * torch.log10(response.powers().sum())
        return gain


def _same(one: ImpulseResponse, other: ImpulseResponse) -> bool:
    return torch.equal(one.gains, other.gains) and torch.equal(one.delays_s, other.delays_s)


def response_on_grid(response: ImpulseResponse, grid_s: float = 10e-9) -> ImpulseResponse:
    """Return the response (time, path) with every delay at the nearest multiple of `grid_s` [s].

    Taps that meet on one delay are added, as the emulator's filter would.
    """
    cells = torch.round(response.delays_s / grid_s)
    unique, index = torch.unique(cells, return_inverse=True)
    gains = response.gains.new_zeros((response.num_steps, unique.numel()))
    gains.index_add_(1, index, response.gains)
    # Division by a whole number keeps 20 ns the float nearest to 20 ns.
    return ImpulseResponse(gains, unique / round(1 / grid_s), response.interval_s)
