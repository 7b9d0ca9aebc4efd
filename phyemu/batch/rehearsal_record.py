"""What is written down while a job is rehearsed, and the verdicts that follow from it."""

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from phyemu.batch.air import AirStatistics
from phyemu.batch.node_log import read_node_log
from phyemu.batch.rehearsal_result import NodeVerdict, TimelineEntry
from phyemu.batch.rehearsed_node import SCRIPT_LIMIT_S, RehearsedNode, ScriptCall

__all__ = ["RehearsalRecord"]


class RehearsalRecord:
    """The timeline, the states and the scripts of all nodes, from one rehearsing thread.

    Only `called` may come from others.

    Attributes:
        began_s: When the nodes were booted, by `time.monotonic`.
        scenario_s: Time of the scenario [s]; None: it does not run.
        timeline: What happened, in order.
        states: Last state of each node; empty: it said none.
    """

    def __init__(self, numbers: Iterable[int]) -> None:
        """Begin with nothing; `numbers` are those of the nodes."""
        numbers = list(numbers)
        self.began_s = time.monotonic()
        self.scenario_s: float | None = None
        self.timeline: list[TimelineEntry] = []
        self.states = dict.fromkeys(numbers, "")
        self._infos = dict.fromkeys(numbers, "")
        self._ready_s: dict[int, float] = {}
        self._calls: dict[int, list[ScriptCall]] = {number: [] for number in numbers}
        self._failures: dict[int, list[str]] = {number: [] for number in numbers}
        self._remarks: dict[int, list[str]] = {number: [] for number in numbers}
        self._calling = threading.Lock()

    @property
    def now_s(self) -> float:
        """Return the time since the boot [s]."""
        return time.monotonic() - self.began_s

    def note(self, what: str, node: RehearsedNode | None = None, **fields: Any) -> None:
        """Add to the timeline."""
        self.timeline.append(
            TimelineEntry(
                time_s=self.now_s,
                what=what,
                node=None if node is None else node.number,
                scenario_s=self.scenario_s,
                fields=fields,
            )
        )

    def fail(self, node: RehearsedNode, text: str) -> None:
        """Note why Colosseum would not have a node."""
        self._failures[node.number].append(text)

    def remark(self, node: RehearsedNode | int, text: str) -> None:
        """Note what else is worth knowing of a node, once."""
        remarks = self._remarks[node if isinstance(node, int) else node.number]
        if text not in remarks:
            remarks.append(text)

    def called(self, node: RehearsedNode, call: ScriptCall) -> None:
        """Note a call of a script."""
        with self._calling:
            self._calls[node.number].append(call)
            if call.script != "status" or call.is_late or call.code != 0:
                self.note(
                    "script",
                    node,
                    script=call.script,
                    took_s=round(call.took_s, 3),
                    code=call.code,
                    text=call.problem or call.output,
                )
            if call.is_late:
                self.fail(
                    node,
                    f"{call.script}.sh took {call.took_s:.1f} s, and {SCRIPT_LIMIT_S:g} s are "
                    "allowed",
                )
            elif call.code != 0:
                self.remark(
                    node,
                    f"{call.script}.sh: exit code {call.code}: {call.problem or call.output}",
                )

    def in_state(self, node: RehearsedNode, state: str, info: str) -> None:
        """Note the state that status.sh told."""
        if state == "READY":
            self._ready_s.setdefault(node.number, self.now_s)
        if state != self.states[node.number]:
            self.note("state", node, state=state, info=info)
        self.states[node.number], self._infos[node.number] = state, info

    def checked_ready(self, node: RehearsedNode) -> None:
        """Note the READY check, which Colosseum makes ten minutes after the boot."""
        state = self.states[node.number]
        self.note("ready-check", node, state=state)
        if state != "READY":
            info = f" ({self._infos[node.number]})" if self._infos[node.number] else ""
            self.fail(
                node,
                f"was {state or 'silent'} and not READY {self.now_s:.1f} s after the boot{info}",
            )

    def killed(self, node: RehearsedNode, processes: Mapping[int, str]) -> None:
        """Note the end of a container, and what still ran in it."""
        # The daemon is there as long as the container; its end is the container's.
        others = [text for text in processes.values() if "phyemu.node.daemon" not in text]
        state = self.states[node.number]
        self.note("killed", node, state=state, processes=others)
        if state == "ERROR":
            reason = self._infos[node.number] or "it gives no reason"
            self.fail(node, f"ended in ERROR: {reason}")
        elif state != "FINISHED":
            self.fail(node, f"was killed unfinished, while {state or 'silent'}")
        if others:
            self.remark(node, f"still ran at the end: {'; '.join(others)}")

    def played(self, loop: int, statistics: AirStatistics, patience_s: float) -> None:
        """Note what the air did not pass on in a loop."""
        for name, lost in statistics.lost.items():
            if lost:
                self.remark(
                    int(name),
                    f"lost {lost} samples in loop {loop}: its radio took none for {patience_s:g} s",
                )
        for name, hung in statistics.hung.items():
            if hung:
                self.remark(
                    int(name),
                    f"was silent within a burst in loop {loop}: {hung} times it brought no sample "
                    f"for {patience_s:g} s",
                )

    def verdict(self, node: RehearsedNode, *, role: str, image: str, num_loops: int) -> NodeVerdict:
        """Return how a node did; its logs are still where it wrote them."""
        slowest = max(self._calls[node.number], key=lambda call: call.took_s)
        events = read_node_log(node.layout.logs).events
        launched = sum(event.name == "launched" for event in events)
        failures = list(self._failures[node.number])
        # A node that is told to stop leaves ERROR, which nobody may have asked for until then.
        for event in events:
            if event.name == "state" and event.fields.get("state") == "ERROR":
                reason = str(event.fields.get("info", "")) or "it gives no reason"
                if not any(reason in text for text in failures):
                    failures.append(f"was in ERROR: {reason}")
        return NodeVerdict(
            node=node.number,
            role=role,
            image=image,
            ready_s=self._ready_s.get(node.number),
            end_state=self.states[node.number],
            restarts=max(0, launched - num_loops),
            slowest_s=slowest.took_s,
            slowest_script=f"{slowest.script}.sh",
            failures=tuple(failures),
            remarks=tuple(self._remarks[node.number]),
        )
