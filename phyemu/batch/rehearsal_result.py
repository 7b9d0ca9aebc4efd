"""What a rehearsal found: when everything happened, and a verdict on each node."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from phyemu.batch.air import AirStatistics
from phyemu.batch.rehearsed_node import SCRIPT_LIMIT_S

__all__ = ["NodeVerdict", "RehearsalResult", "RehearsedLoop", "TimelineEntry"]

_FORMAT = {"format": "phyemu-rehearsal", "version": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineEntry:
    """Something that happened.

    Attributes:
        time_s: Time since the boot [s].
        what: boot, ready-check, start, state, script, air, killed, ...
        node: On which node; None: all, or none.
        scenario_s: Time of the scenario [s]; None: it does not run.
        fields: What else is to say.
    """

    time_s: float
    what: str
    node: int | None = None
    scenario_s: float | None = None
    fields: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return it without what is not there."""
        table = {"time_s": round(self.time_s, 3), "what": self.what}
        if self.node is not None:
            table["node"] = self.node
        if self.scenario_s is not None:
            table["scenario_s"] = round(self.scenario_s, 3)
        return table | dict(self.fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeVerdict:
    """How a node did.

    Attributes:
        node: RFNode_ID.
        role: Role of its radio.conf.
        image: Name of its image.
        ready_s: Time from the boot until it was first seen READY [s]; None: it was not.
        end_state: The state that it was last seen in.
        restarts: Workers that were started again after a crash.
        slowest_s: Longest time that a script took [s].
        slowest_script: Which.
        failures: Why Colosseum would not have it, a sentence each; empty: it passed.
        remarks: What else is worth knowing, a sentence each.
    """

    node: int
    role: str
    image: str
    ready_s: float | None
    end_state: str
    restarts: int
    slowest_s: float
    slowest_script: str
    failures: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Return whether Colosseum would have nothing against it."""
        return not self.failures

    def line(self) -> str:
        """Return the verdict as one line for people."""
        ready = "never READY" if self.ready_s is None else f"READY after {self.ready_s:.1f} s"
        parts = [
            f"node {self.node} ({self.role}, {self.image}): "
            f"{'passed' if self.passed else 'FAILED'}, {ready}, ended {self.end_state or 'unknown'}"
        ]
        if self.restarts:
            parts.append(f"{self.restarts} restarts")
        parts.append(f"slowest script {self.slowest_script} {self.slowest_s:.2f} s")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class RehearsedLoop:
    """A run of the scenario.

    Attributes:
        at_stop: How the air went up to stop.sh.
        at_end: How it went up to the end of the clean-up.
    """

    at_stop: AirStatistics
    at_end: AirStatistics

    def to_json(self) -> dict[str, Any]:
        """Return it with JSON types only."""
        return {
            name: asdict(statistics) | {"real_time_ratio": round(statistics.real_time_ratio, 4)}
            for name, statistics in (("at_stop", self.at_stop), ("at_end", self.at_end))
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class RehearsalResult:
    """A job that was rehearsed.

    Attributes:
        job: BatchName.
        scenario: Name of the scenario.
        sample_rate_hz: Of all radios [Hz].
        duration_s: Length of each loop [s of the scenario].
        loops: How the air went in each.
        nodes: The verdicts.
        timeline: What happened, in order.
        folder: Where the results lie.
    """

    job: str
    scenario: str
    sample_rate_hz: float
    duration_s: float
    loops: tuple[RehearsedLoop, ...]
    nodes: tuple[NodeVerdict, ...]
    timeline: tuple[TimelineEntry, ...]
    folder: Path

    @property
    def passed(self) -> bool:
        """Return whether every node passed."""
        return all(node.passed for node in self.nodes)

    def to_json(self) -> dict[str, Any]:
        """Return the result with JSON types only, without paths of this machine."""
        return {
            **_FORMAT,
            "job": self.job,
            "scenario": self.scenario,
            "sample_rate_hz": self.sample_rate_hz,
            "duration_s": self.duration_s,
            "script_limit_s": SCRIPT_LIMIT_S,
            "passed": self.passed,
            "loops": [loop.to_json() for loop in self.loops],
            "nodes": [asdict(node) | {"passed": node.passed} for node in self.nodes],
            "timeline": [entry.to_json() for entry in self.timeline],
        }

    def write(self, path: Path) -> None:
        """Write rehearsal.json."""
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    def lines(self) -> list[str]:
        """Return the result as lines for people."""
        lines = [
            f"job {self.job}: scenario {self.scenario} at {self.sample_rate_hz / 1e6:g} MHz, "
            f"{self.duration_s:g} s"
        ]
        for number, loop in enumerate(self.loops, 1):
            at_stop = loop.at_stop
            lines.append(
                f"  loop {number}: {at_stop.position_s:.1f} s of the scenario took "
                f"{at_stop.elapsed_s:.1f} s (real time x {at_stop.real_time_ratio:.2f})"
            )
        for node in self.nodes:
            lines.append(f"  {node.line()}")
            lines += [f"    failure: {text}" for text in node.failures]
            lines += [f"    {text}" for text in node.remarks]
        return lines
