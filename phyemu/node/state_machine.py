"""The states of a node: what a command, an event of its worker or the time does to it. Pure.

`step` takes a node, an event and the time, and returns the node after it and what is to be done:
it reads no clock, touches no process, and is the only place that decides. Commands are those of
Colosseum's Radio C2 API; any of them may come in any state, and each is answered at once.

    OFF -> BOOTING -> READY -> ACTIVE -> STOPPING -> FINISHED,  and ERROR when restarts are used up

A worker is one process. It is ready when its radio is open, and active when it says so after it was
started; a crash, a hang at boot or a hang at start costs a restart.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from phyemu.node.events import (
    Action,
    Answer,
    Asked,
    Boot,
    Command,
    Configured,
    Entered,
    Event,
    Kill,
    Launch,
    LaunchFailed,
    NotConfigured,
    Send,
    State,
    Terminate,
    Tick,
    WorkerActive,
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    WorkerStopped,
)
from phyemu.node.node_state import Node, Phase

__all__ = [
    "Node",
    "Phase",
    "next_deadline",
    "step",
]


_WORKING = (Phase.BOOTING, Phase.READY, Phase.STARTING, Phase.ACTIVE)


def step(node: Node, event: Event, now_s: float) -> tuple[Node, list[Action]]:
    """Return the node after an event, and what is to be done in this order.

    Args:
        node: Before.
        event: What happened. Events of other runs than the last change nothing.
        now_s: The time [s], of a clock that nobody sets.

    Returns:
        The node after it, and the actions; for `Asked` there is exactly one Answer among them.
    """
    work = _Work(node, now_s)
    match event:
        case Boot():
            if node.state is State.OFF:
                work.launch("the worker is starting")
        case Asked():
            work.ask(event)
        case Tick():
            work.tick()
        case _:
            if event.run == node.run and node.worker is not Phase.NONE:
                work.hear(event)
    return work.node, work.actions


def next_deadline(node: Node) -> float | None:
    """Return when `Tick` is due next [s], in the time of `step`; None: only events matter."""
    if node.relaunch_at_s is not None:
        return node.relaunch_at_s
    match node.worker:
        case Phase.BOOTING:
            return node.since_s + node.deadlines.ready_s
        case Phase.STARTING:
            return node.since_s + node.deadlines.active_s
        case Phase.FAILED:
            return node.since_s + (2 if node.killed else 1) * node.deadlines.failed_s
        case Phase.STOPPING:
            terminate_s, kill_s, abandon_s = _stop_deadlines(node)
            return abandon_s if node.killed else kill_s if node.terminated else terminate_s
    return None


def _stop_deadlines(node: Node) -> tuple[float, float, float]:
    limits = node.deadlines
    terminate_s, kill_s = node.stop_since_s + limits.terminate_s, node.stop_since_s + limits.kill_s
    if node.leave_by_s is not None:
        terminate_s = min(terminate_s, node.leave_by_s)
        kill_s = min(kill_s, node.leave_by_s + limits.failed_s)
    return terminate_s, kill_s, node.stop_since_s + limits.abandon_s


@dataclass(slots=True)
class _Work:
    """A node that is being changed, and the actions so far."""

    node: Node
    now_s: float
    actions: list[Action] = field(default_factory=list)

    def change(self, **values: Any) -> None:
        self.node = replace(self.node, **values)

    def enter(self, state: State, info: str) -> None:
        before = self.node.state
        self.change(state=state, info=info)
        self.actions.append(Entered(before, state, info))

    def phase(self, phase: Phase) -> None:
        self.change(worker=phase, since_s=self.now_s)

    def send(self, **line: Any) -> None:
        self.actions.append(Send(self.node.run, line))

    def answer(self, text: str, *, ok: bool = True) -> None:
        self.actions.append(Answer(ok, text))

    # Beginning and ending a worker

    def launch(self, info: str) -> None:
        self.change(
            run=self.node.run + 1,
            relaunch_at_s=None,
            unconfigured="",
            leave_by_s=None,
            terminated=False,
            killed=False,
            reason="",
        )
        self.phase(Phase.BOOTING)
        self.enter(State.BOOTING, info)
        self.actions.append(Launch(self.node.run))

    def begin_task(self, info: str) -> None:
        self.change(restarts=0, wanted=True)
        self.launch(info)

    def start_worker(self) -> None:
        self.phase(Phase.STARTING)
        self.send(command="start")

    def fail(self, reason: str, *, hangs: bool) -> None:
        """Have a worker end that failed; its end is the crash."""
        self.change(reason=reason, terminated=hangs)
        self.phase(Phase.FAILED)
        self.enter(State.BOOTING, f"the worker failed: {reason}")
        if hangs:
            self.actions.append(Terminate(self.node.run))

    def crash(self, reason: str) -> None:
        """Go on after a worker that is no more: once more, or not."""
        self.phase(Phase.NONE)
        self.change(reason=reason)
        node = self.node
        if node.restarts >= node.max_restarts:
            self.change(wanted=False)
            used = f" (after {node.restarts} restarts)" if node.restarts else ""
            self.enter(State.ERROR, f"{reason}{used}")
            return
        self.change(restarts=node.restarts + 1, relaunch_at_s=self.now_s + node.delay_s)
        self.enter(
            State.BOOTING,
            f"restart {node.restarts + 1} of {node.max_restarts} in {node.delay_s:g} s: {reason}",
        )

    def stop(self, why: str = "stop was asked for") -> None:
        self.change(wanted=False, relaunch_at_s=None, stop_since_s=self.now_s)
        worker = self.node.worker
        self.enter(State.STOPPING, why)
        if worker in _WORKING:
            self.phase(Phase.STOPPING)
            self.send(command="stop")
        elif worker is Phase.FAILED:
            self.phase(Phase.STOPPING)
            self.change(leave_by_s=self.now_s)
        else:
            self.finish(self.node.reason)

    def finish(self, reason: str) -> None:
        self.phase(Phase.NONE)
        self.enter(State.FINISHED, f"finished; {reason}" if reason else "finished")
        if self.node.wanted:
            self.begin_task("a new task: start was asked for")

    # Commands

    def ask(self, event: Asked) -> None:
        match event.command:
            case Command.START:
                if event.environment is not None and not event.reconfigured:
                    self.move(event.environment)
                self.ask_start(reconfigured=event.reconfigured)
            case Command.STOP:
                self.ask_stop()
            case Command.STATUS:
                self.answer(self.node.info)
            case Command.STATISTICS:
                if self.node.worker is Phase.ACTIVE:
                    self.send(command="statistics")
                self.answer(f"{self.node.state}: {self.node.info}")
            case Command.UPDATE_OUTCOMES:
                self.answer(
                    event.problem or "the mandated outcomes are noted", ok=not event.problem
                )
            case Command.UPDATE_ENVIRONMENT:
                text = self.move(event.environment)
                self.answer(event.problem or text, ok=not event.problem)
            case Command.SCENARIO_DISCONTINUITY:
                if self.node.worker in (Phase.STARTING, Phase.ACTIVE):
                    self.send(command="discontinuity")
                    self.answer("the worker begins a new stretch")
                else:
                    self.answer("noted: nothing is running")

    def move(self, environment: dict[str, float | None] | None) -> str:
        """Go to another environment; a broken file says nothing against what others say."""
        if environment is None:
            return "the environment is what it was"
        if self.node.worker not in _WORKING:
            return "noted for the next worker"
        self.send(command="environment", **environment)
        return "the worker goes to the new environment"

    def ask_start(self, *, reconfigured: bool) -> None:
        node = self.node
        match node.state:
            case _ if reconfigured and node.worker in (Phase.BOOTING, Phase.READY):
                self.stop("radio.conf has changed; the worker ends, and another begins")
                self.change(wanted=True)
                self.answer("radio.conf has changed: the node becomes active with a new worker")
            case State.OFF:
                self.change(wanted=True)
                self.answer("remembered: the node becomes active when it has booted")
            case State.FINISHED | State.ERROR:
                again = "again, after an error" if node.state is State.ERROR else "a task"
                self.begin_task(f"start was asked for: {again}")
                self.answer("the worker is starting; the node becomes active when it is ready")
            case State.BOOTING:
                self.change(wanted=True)
                self.answer("remembered: the node becomes active when its worker is ready")
            case State.READY:
                self.change(wanted=True)
                if node.worker is Phase.READY:
                    self.start_worker()
                    self.enter(State.READY, "start was asked for; the worker begins")
                self.answer("the worker begins")
            case State.ACTIVE:
                self.answer("the node is active already")
            case State.STOPPING:
                self.change(wanted=True)
                self.answer("remembered: a new task begins when this one has finished")

    def ask_stop(self) -> None:
        node = self.node
        match node.state:
            case State.FINISHED:
                self.answer("the node has finished already")
            case State.STOPPING:
                self.change(wanted=False)
                self.answer("the node is stopping already")
            case State.OFF:
                self.change(wanted=False)
                self.enter(State.FINISHED, "stop was asked for before anything began")
                self.answer("the node has nothing to stop")
            case State.ERROR:
                self.change(reason=f"before that: {node.info}")
                self.stop()
                self.answer("the node has nothing to stop")
            case _:
                self.stop()
                self.answer("the node stops")

    # The worker

    def hear(self, event: Event) -> None:
        node = self.node
        match event:
            case Configured():
                self.change(max_restarts=event.max_restarts, delay_s=event.delay_s)
            case NotConfigured():
                self.phase(Phase.NONE)
                again_s = self.now_s + node.deadlines.look_s
                self.change(run=node.run - 1, unconfigured=event.reason, relaunch_at_s=again_s)
                self.enter(State.BOOTING, event.reason)
            case LaunchFailed(final=True):
                self.change(wanted=False)
                self.phase(Phase.NONE)
                self.enter(State.ERROR, event.reason)
            case LaunchFailed():
                self.crash(event.reason)
            case WorkerReady() if node.worker is Phase.BOOTING:
                self.phase(Phase.READY)
                self.enter(State.READY, "the worker is ready")
                if node.wanted:
                    self.start_worker()
            case WorkerActive() if node.worker is Phase.STARTING:
                self.phase(Phase.ACTIVE)
                self.enter(State.ACTIVE, "the worker is active")
            case WorkerStopped() if node.worker is Phase.STOPPING:
                self.change(leave_by_s=self.now_s + node.deadlines.leave_s)
            case WorkerStopped() if node.worker in _WORKING:
                self.fail("stopped without being asked to", hangs=False)
            case WorkerFailed() if node.worker is Phase.STOPPING:
                self.change(reason=event.reason, leave_by_s=self.now_s + node.deadlines.failed_s)
            case WorkerFailed() if node.worker in _WORKING:
                self.fail(event.reason, hangs=False)
            case WorkerExited() if node.worker is Phase.STOPPING:
                stopped = node.leave_by_s is not None and not node.reason
                self.finish("" if stopped else node.reason or event.reason)
            case WorkerExited():
                self.crash(node.reason or event.reason)
            case _:
                pass  # ready or active out of turn: the worker repeats itself

    # Time

    def tick(self) -> None:
        while (deadline_s := next_deadline(self.node)) is not None and deadline_s <= self.now_s:
            node = self.node
            if node.relaunch_at_s is not None:
                restart = f"restart {node.restarts} of {node.max_restarts}"
                self.launch(node.unconfigured or restart)
            elif node.worker is Phase.BOOTING:
                self.fail(f"not ready within {node.deadlines.ready_s:g} s", hangs=True)
            elif node.worker is Phase.STARTING:
                self.fail(
                    f"not active within {node.deadlines.active_s:g} s of its start", hangs=True
                )
            elif node.killed:
                outlived = "the worker outlived SIGKILL"
                reason = f"{node.reason}; {outlived}" if node.reason else outlived
                (self.finish if node.worker is Phase.STOPPING else self.crash)(reason)
            elif node.worker is Phase.STOPPING and not node.terminated:
                self.change(terminated=True)
                self.actions.append(Terminate(node.run))
            else:
                self.change(killed=True)
                self.actions.append(Kill(node.run))
