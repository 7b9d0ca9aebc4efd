"""The scenario of a job: by name here, by number at Colosseum; who transmits and who hears it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phyemu.colosseum import Scenario, load_scenario
from phyemu.errors import ConfigError
from phyemu.library import find_in_library, library_names

__all__ = ["JobScenario", "job_scenarios", "listeners", "sounding_transmitters"]

# "All Paths 0 dB": the traffic scenarios that the documentation names for those we ship.
_TRAFFIC = {1009: 10090, 10009: 100090}
_EXAMPLE_TRAFFIC = 1


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JobScenario:
    """A scenario that a job runs in.

    Attributes:
        name: For file names and tables.
        scenario: Its nodes and links.
        rf_scenario: Its number at Colosseum.
        traffic_scenario: Number of the traffic scenario.
        is_shipped: Whether phyemu's library has it under this name.
    """

    name: str
    scenario: Scenario
    rf_scenario: int
    traffic_scenario: int
    is_shipped: bool

    def check_nodes(self, nodes: Iterable[int], what: str) -> None:
        """Refuse nodes that the scenario lacks.

        Raises:
            ConfigError: There is one.
        """
        for node in nodes:
            if not 1 <= node <= self.scenario.num_nodes:
                raise ConfigError(
                    f"{what}: {self.name} has the nodes 1 to {self.scenario.num_nodes}, no {node}"
                )


def job_scenarios(
    paths: Sequence[Path],
    *,
    rf_scenarios: Mapping[str, int],
    traffic_scenario: int | None = None,
) -> list[JobScenario]:
    """Return the scenarios of a batch.

    Args:
        paths: Their files.
        rf_scenarios: Number at Colosseum by name, for those whose name is none.
        traffic_scenario: Number of the traffic scenario; None: the one that the documentation
            names for the scenario, else 1, as in its example.

    Raises:
        ConfigError: Two have one name, one has no number, or a number is for none of them.
        ScenarioError: A file is no scenario.
    """
    found: dict[str, JobScenario] = {}
    for path in paths:
        scenario = load_scenario(path)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", scenario.name).strip(".-") or "scenario"
        if name in found:
            raise ConfigError(f"{path}: a scenario called {name} is there already; name it anew")
        number = rf_scenarios.get(name, int(name) if re.fullmatch(r"[1-9]\d{0,8}", name) else None)
        if number is None:
            raise ConfigError(
                f"{path}: {name} is not among Colosseum's published scenarios; give the number "
                f"that it has there: --rf-scenario {name}=NUMBER (a rehearsal takes any)"
            )
        found[name] = JobScenario(
            name=name,
            scenario=scenario,
            rf_scenario=number,
            traffic_scenario=traffic_scenario or _TRAFFIC.get(number, _EXAMPLE_TRAFFIC),
            is_shipped=_is_shipped(name, path),
        )
    for name in rf_scenarios:
        if name not in found:
            raise ConfigError(f"--rf-scenario {name}: the scenarios are {', '.join(found)}")
    return list(found.values())


def _is_shipped(name: str, path: Path) -> bool:
    if name not in library_names("colosseum"):
        return False
    return find_in_library(name, "colosseum").resolve() == path.resolve()


def listeners(scenario: Scenario, transmitter: int) -> tuple[int, ...]:
    """Return the nodes that a link from the transmitter leads to."""
    return tuple(sorted(rx for tx, rx in scenario.links if tx == transmitter))


def sounding_transmitters(scenario: Scenario) -> tuple[int, ...]:
    """Return the nodes that must transmit, one after the other, for every link to be heard.

    Where all links are the same in both directions, one direction is enough: a node whose
    neighbours all transmit need not.

    Raises:
        ConfigError: The scenario has no link.
    """
    nodes = sorted({tx for tx, _ in scenario.links})
    if not nodes:
        raise ConfigError(f"scenario {scenario.name} has no link; there is nothing to sound")
    if not scenario.is_reciprocal:
        return tuple(nodes)
    chosen = set(nodes)
    for node in reversed(nodes):
        if all(other in chosen for other in listeners(scenario, node)):
            chosen.remove(node)
    return tuple(sorted(chosen))
