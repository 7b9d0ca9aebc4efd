"""Batch jobs: what Colosseum is to run without anyone at the keyboard.

A job is a JSON file in the team's `batch` folder. Key spellings, types and rules are those of
`job_schema`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from phyemu.batch.job_schema import check_job
from phyemu.batch.json_file import read_json
from phyemu.errors import ConfigError
from phyemu.whole_file import write_whole

__all__ = [
    "BatchJob",
    "Loopinfo",
    "NodeEntry",
    "NodeType",
    "job_from_json",
    "load_job",
    "write_job",
]

NodeType = Literal["competitor", "bot"]
"""What a node is: a bot lets its team in by ssh while the job runs, a competitor does not."""

_BOOT_S = 13 * 60
_PREPARATION_S = 3 * 60
_CLEAN_UP_S = 2 * 60


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeEntry:
    """One node of the scenario and what runs on it (an entry of `NodeData`).

    Attributes:
        rf_node: Node of the RF scenario, from 1 (`RFNode_ID`).
        image: Name of the image, without .tar.gz (`ImageName`).
        modem_config: File in the team's config folder that becomes radio.conf (`ModemConfig`).
        traffic_node: Node of the traffic scenario, from 1 (`TrafficNode_ID`).
        is_gateway: Whether it is connected to the collaboration network (`isGateway`).
        node_type: Whether ssh is allowed while the job runs (`node_type`).
    """

    rf_node: int
    image: str
    modem_config: str
    traffic_node: int
    is_gateway: bool = False
    node_type: NodeType = "competitor"

    def to_json(self) -> dict[str, Any]:
        """Return the entry under the documentation's keys."""
        return {
            "RFNode_ID": self.rf_node,
            "ImageName": self.image,
            "ModemConfig": self.modem_config,
            "isGateway": self.is_gateway,
            "TrafficNode_ID": self.traffic_node,
            "node_type": self.node_type,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Loopinfo:
    """How often the scenario runs within one job; each loop has its own start.sh and stop.sh.

    Attributes:
        num_loops: Runs of the scenario (`NumOfLoops`).
        enabled: Whether it is looped at all (`Enabled`).
    """

    num_loops: int
    enabled: bool = True

    def to_json(self) -> dict[str, Any]:
        """Return the entry under the documentation's keys; `Enabled` is a string, as there."""
        return {"Enabled": str(self.enabled), "NumOfLoops": self.num_loops}


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchJob:
    """A batch job.

    Attributes:
        name: Shown on the website, and the name of its files (`BatchName`).
        duration_s: Between start.sh and stop.sh [s] (`Duration`).
        rf_scenario: Number of the RF scenario at Colosseum (`RFScenario`).
        traffic_scenario: Number of the traffic scenario (`TrafficScenario`).
        nodes: All nodes of the scenario (`NodeData`).
        loopinfo: None where the scenario runs once (`Loopinfo`).
    """

    name: str
    duration_s: int
    rf_scenario: int
    traffic_scenario: int
    nodes: tuple[NodeEntry, ...]
    loopinfo: Loopinfo | None = None

    def __post_init__(self) -> None:
        """Refuse what Colosseum would.

        Raises:
            ConfigError: A rule of `check_job` is broken.
        """
        check_job(self.to_json())

    @property
    def num_loops(self) -> int:
        """Return how often the scenario runs."""
        return self.loopinfo.num_loops if self.loopinfo and self.loopinfo.enabled else 1

    @property
    def reservation_s(self) -> int:
        """Return the length of the reservation of a job that runs once [s].

        Boot, preparation and clean-up are fixed. How they repeat over loops is not documented, so
        each further loop counts as its Duration alone: a lower bound.
        """
        return _BOOT_S + _PREPARATION_S + self.num_loops * self.duration_s + _CLEAN_UP_S

    def to_json(self) -> dict[str, Any]:
        """Return the job under the documentation's keys."""
        job: dict[str, Any] = {
            "BatchName": self.name,
            "Duration": self.duration_s,
            "RFScenario": self.rf_scenario,
            "TrafficScenario": self.traffic_scenario,
        }
        if self.loopinfo is not None:
            job["Loopinfo"] = self.loopinfo.to_json()
        return job | {"NodeData": [node.to_json() for node in self.nodes]}


def job_from_json(
    found: Any, *, num_nodes: int | None = None, where: str = "batch job"
) -> BatchJob:
    """Return the job that a JSON file holds.

    Args:
        found: What the file holds.
        num_nodes: Nodes of the scenario, all of which must then be there; None where unknown.
        where: Named in messages.

    Raises:
        ConfigError: A rule of `check_job` is broken.
    """
    check_job(found, num_nodes=num_nodes, where=where)
    loopinfo = found.get("Loopinfo")
    return BatchJob(
        name=found["BatchName"],
        duration_s=found["Duration"],
        rf_scenario=found["RFScenario"],
        traffic_scenario=found["TrafficScenario"],
        nodes=tuple(_node(entry) for entry in found["NodeData"]),
        loopinfo=None
        if loopinfo is None
        else Loopinfo(
            num_loops=loopinfo["NumOfLoops"], enabled=loopinfo["Enabled"] in ("True", True)
        ),
    )


def _node(entry: Mapping[str, Any]) -> NodeEntry:
    return NodeEntry(
        rf_node=entry["RFNode_ID"],
        image=entry["ImageName"],
        modem_config=entry["ModemConfig"],
        traffic_node=entry["TrafficNode_ID"],
        is_gateway=entry["isGateway"],
        node_type=entry["node_type"],
    )


def load_job(path: Path, *, num_nodes: int | None = None) -> BatchJob:
    """Return the batch job of a file.

    Args:
        path: The JSON file.
        num_nodes: Nodes of the scenario, all of which must then be there; None where unknown.

    Raises:
        ConfigError: The file is missing or no JSON, or breaks a rule of `check_job`.
    """
    return job_from_json(read_json(path), num_nodes=num_nodes, where=str(path))


def write_job(job: BatchJob, path: Path) -> Path:
    """Write a batch job, whole or not at all, and return its path.

    Raises:
        ConfigError: The file cannot be written.
    """
    try:
        return write_whole(path, json.dumps(job.to_json(), indent=2) + "\n")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error
