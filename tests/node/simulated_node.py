"""A node's state machine among simulated workers, and what must hold whatever happens to it.

Driven by hypothesis or by a seed; the machine is passed in, so that mutations of it can be, too.
"""

import random
from collections.abc import Callable
from typing import Any

from phyemu.node.deadlines import Deadlines
from phyemu.node.events import (
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

S = State
# Every change of state there may be; the drawing in docs/colosseum.md shows these.
TRANSITIONS = {
    (S.OFF, S.BOOTING),
    (S.OFF, S.FINISHED),
    (S.BOOTING, S.READY),
    (S.BOOTING, S.ERROR),
    (S.BOOTING, S.STOPPING),
    (S.READY, S.ACTIVE),
    (S.READY, S.BOOTING),
    (S.READY, S.ERROR),
    (S.READY, S.STOPPING),
    (S.ACTIVE, S.BOOTING),
    (S.ACTIVE, S.ERROR),
    (S.ACTIVE, S.STOPPING),
    (S.STOPPING, S.FINISHED),
    (S.FINISHED, S.BOOTING),
    (S.ERROR, S.BOOTING),
    (S.ERROR, S.STOPPING),
}
MAX_RESTARTS, DELAY_S = 2, 2.0
LAUNCHES = ("good", "fails", "final", "missing")


class Worker:
    """A worker process: what it was told and said, and how it takes signals."""

    def __init__(self, *, stubborn: bool, immortal: bool) -> None:
        self.told: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.alive = True
        self.stubborn, self.immortal = stubborn, immortal
        self.signals: list[str] = []


class SimulatedNode:
    """The machine and its world; every method is something that may happen."""

    def __init__(
        self,
        step: Callable[..., Any],
        next_deadline: Callable[[Any], float | None],
        node: Any,
    ) -> None:
        self._step, self._next_deadline = step, next_deadline
        self.node = node
        self.limits = Deadlines()
        self.now_s = 100.0
        self.workers: dict[int, Worker] = {}
        self.launch_as = "good"
        self.stubborn = self.immortal = False
        self.entered_s = self.now_s
        self.launches = 0  # since a command began the task
        self.stopping_since_s: float | None = None
        # Whether the last of start and stop was a start, no error having ended it since.
        self.start_holds = False

    # What may happen

    def boot(self) -> None:
        self.feed(Boot())

    def ask(
        self,
        command: Command,
        *,
        environment: bool = False,
        problem: str = "",
        reconfigured: bool = False,
    ) -> None:
        table = {"center_frequency_hz": 1e9, "rf_bandwidth_hz": None} if environment else None
        before = self.node
        if command is Command.START and before.state in (S.FINISHED, S.ERROR):
            self.launches = 0
        if command is Command.START:
            self.start_holds = True
        elif command is Command.STOP:
            self.start_holds = False
        told = len(self.worker.told) if self.worker else 0
        answer = self.feed(Asked(command, table, problem, reconfigured))
        assert answer is not None
        if command is Command.STOP:
            assert answer.ok
            assert self.node.state in (S.STOPPING, S.FINISHED)
            if before.worker in ("booting", "ready", "starting", "active"):
                assert self.node.state is S.STOPPING
                assert self.worker is not None
                assert self.worker.told[told:] == [{"command": "stop"}]
        if command is Command.START:
            assert answer.ok
            loads = before.worker in ("booting", "ready")
            if loads and reconfigured:
                assert self.node.state is S.STOPPING
            elif loads and environment:
                assert self.worker is not None
                assert self.worker.told[told]["command"] == "environment"
        if command is Command.STATUS:
            assert self.node == before
        if command in (Command.STATUS, Command.STATISTICS, Command.UPDATE_OUTCOMES):
            assert self.node.state is before.state
        if command is Command.UPDATE_ENVIRONMENT:
            assert answer.ok == (not problem)
            reaches = before.worker in ("booting", "ready", "starting", "active")
            lines = self.worker.told[told:] if self.worker else []
            assert bool(lines) == (reaches and environment)

    def say(self, run: int, word: str) -> None:
        """Let a worker, alive or not (it may have been heard late), say something."""
        if run in self.workers:
            self.workers[run].said.append(word)
        event: Event
        match word:
            case "ready":
                event = WorkerReady(run)
            case "active":
                event = WorkerActive(run)
            case "stopped":
                event = WorkerStopped(run)
            case _:
                event = WorkerFailed(run, "it said so")
        self.feed(event)

    def end(self, run: int) -> None:
        """Let a worker process end, and be reaped."""
        if run in self.workers and self.workers[run].alive:
            self.workers[run].alive = False
            self.feed(WorkerExited(run, "it ended"))

    def wait(self, seconds: float, *, late: bool = False) -> None:
        """Let time pass; `late`: the machine was not asked in between (a suspended machine)."""
        until_s = self.now_s + seconds
        while not late:
            deadline_s = self._next_deadline(self.node)
            if deadline_s is None or deadline_s > until_s:
                break
            self.now_s = max(self.now_s, deadline_s)
            self.feed(Tick())
        self.now_s = until_s
        self.feed(Tick())

    def wait_for_deadline(self) -> None:
        deadline_s = self._next_deadline(self.node)
        if deadline_s is not None:
            self.wait(max(deadline_s - self.now_s, 0.0))

    def tick_early(self) -> None:
        """Just before a deadline nothing happens."""
        deadline_s = self._next_deadline(self.node)
        if deadline_s is not None and deadline_s - 1e-3 > self.now_s:
            self.now_s = deadline_s - 1e-3
            before = self.node
            self.feed(Tick())
            assert self.node == before

    # What it brings about

    @property
    def worker(self) -> Worker | None:
        return self.workers.get(self.node.run)

    def feed(self, event: Event) -> Answer | None:
        """Give the machine an event and do what it wants; return its answer."""
        before = self.node
        stale = getattr(event, "run", before.run) != before.run
        self.node, actions = self._step(self.node, event, self.now_s)
        answers = [action for action in actions if isinstance(action, Answer)]
        assert len(answers) == (1 if isinstance(event, Asked) else 0)
        assert all(answer.text and "\n" not in answer.text for answer in answers)
        if stale:
            assert (self.node, actions) == (before, [])
        if isinstance(event, NotConfigured):
            self.launches -= 1  # no worker was made
        state, follow = before.state, []
        for action in actions:
            match action:
                case Entered():
                    assert action.before is state
                    assert action.info
                    if action.state is not state:
                        assert (state, action.state) in TRANSITIONS
                        if action.state is S.STOPPING:
                            self.stopping_since_s = self.now_s
                        if state is S.STOPPING:
                            self.stopping_since_s = None
                            if self.start_holds:
                                self.launches = 0
                    if action.state is S.ERROR:
                        self.start_holds = False
                    state = action.state
                case Launch():
                    follow += self.launch(action.run)
                case Send():
                    worker = self.workers.get(action.run)
                    assert worker is not None
                    assert worker.alive
                    assert worker.signals == []
                    if action.line == {"command": "start"}:
                        assert "ready" in worker.said
                        assert action.line not in worker.told
                    if action.line == {"command": "statistics"}:
                        assert "active" in worker.said
                    assert {"command": "stop"} not in worker.told
                    worker.told.append(action.line)
                case Terminate() | Kill():
                    follow += self.signal(action)
        assert state is self.node.state
        if isinstance(event, LaunchFailed) and event.final:
            assert state is S.ERROR
        if isinstance(event, NotConfigured):
            assert self.node.run == before.run - 1  # runs number the workers there were
        self.check()
        for result in follow:
            self.feed(result)
        return answers[0] if answers else None

    def launch(self, run: int) -> list[Event]:
        assert run not in self.workers
        assert not any(
            worker.alive and "KILL" not in worker.signals for worker in self.workers.values()
        )
        self.launches += 1
        assert self.launches <= 1 + MAX_RESTARTS
        if self.launch_as == "missing":
            return [NotConfigured(run, "there is no radio.conf yet")]
        policy = Configured(run, MAX_RESTARTS, DELAY_S)
        if self.launch_as == "final":
            return [LaunchFailed(run, "it could not be", True)]
        if self.launch_as == "fails":
            return [policy, LaunchFailed(run, "it could not be", False)]
        self.workers[run] = Worker(stubborn=self.stubborn, immortal=self.immortal)
        return [policy]

    def signal(self, action: Terminate | Kill) -> list[Event]:
        worker = self.workers.get(action.run)
        if worker is None:
            return []
        kill = isinstance(action, Kill)
        assert ("KILL" if kill else "TERM") not in worker.signals
        worker.signals.append("KILL" if kill else "TERM")
        if self.stopping_since_s is not None and not {"stopped", "failed"} & set(worker.said):
            if {"command": "stop"} in worker.told:
                patience_s = self.limits.kill_s if kill else self.limits.terminate_s
                assert self.now_s - self.stopping_since_s >= patience_s - 1e-6
                assert "TERM" in worker.signals
        if worker.alive and not worker.immortal and (kill or not worker.stubborn):
            worker.alive = False
            return [WorkerExited(action.run, "it was ended")]
        return []

    # What must hold

    def check(self) -> None:
        node, deadline_s = self.node, self._next_deadline(self.node)
        worker = self.workers.get(node.run)
        assert 0 <= node.restarts <= node.max_restarts
        if node.state is S.ACTIVE:
            assert worker is not None
            assert worker.alive
            assert worker.said.count("active") >= 1
            assert {"command": "start"} in worker.told
            assert not {"failed", "stopped"} & set(worker.said)
        if node.state is S.READY:
            assert worker is not None
            assert worker.alive
            assert "ready" in worker.said
            started = {"command": "start"} in worker.told
            assert started == (deadline_s is not None)
            assert started == self.start_holds
        if node.state in (S.BOOTING, S.STOPPING):
            assert deadline_s is not None
        if node.state in (S.OFF, S.FINISHED, S.ERROR, S.ACTIVE):
            assert deadline_s is None
        if node.state in (S.FINISHED, S.ERROR):
            assert not node.wanted
            assert not self.start_holds
        if node.state in (S.BOOTING, S.READY, S.ACTIVE):
            waiting = node.relaunch_at_s is not None
            assert node.restarts == self.launches - (not waiting)
        if node.state in (S.OFF, S.BOOTING, S.READY, S.ACTIVE, S.STOPPING):
            assert node.wanted == self.start_holds
        if node.state is S.BOOTING and deadline_s is not None:
            patience_s = max(self.limits.ready_s, 2 * self.limits.failed_s, DELAY_S)
            assert deadline_s <= self.now_s + patience_s + 1e-6
        if self.stopping_since_s is not None:
            assert node.state is S.STOPPING
            assert deadline_s is not None
            assert deadline_s <= self.stopping_since_s + self.limits.abandon_s + 1e-6
            assert (
                worker is None
                or "KILL" in worker.signals
                or deadline_s <= (self.stopping_since_s + self.limits.kill_s + 1e-6)
            )


WORDS = ("ready", "active", "stopped", "failed")


def play(world: SimulatedNode, seed: int, num_events: int = 60) -> None:
    """Let random things happen; most workers do what they should, or nothing would ever run."""
    draw = random.Random(seed)
    if draw.random() < 0.9:
        world.boot()
    for _ in range(num_events):
        run = world.node.run if draw.random() < 0.9 else draw.randint(0, world.node.run + 1)
        match draw.randrange(12):
            case 0 | 1:
                world.ask(draw.choice([Command.START, Command.STOP]))
            case 2:
                world.ask(
                    draw.choice(list(Command)),
                    environment=draw.random() < 0.5,
                    problem=draw.choice(["", "the file is broken"]),
                    reconfigured=draw.random() < 0.2,
                )
            case 3 | 4 | 5:
                proper = {"booting": "ready", "starting": "active", "stopping": "stopped"}
                world.say(run, proper.get(world.node.worker, draw.choice(WORDS)))
            case 6:
                world.say(run, draw.choice(WORDS))
            case 7:
                world.end(run)
            case 8:
                world.wait_for_deadline()
            case 9:
                world.tick_early()
            case 10:
                world.wait(
                    draw.choice([0.0, 0.5, 3.0, 30.0, 95.0, 400.0]), late=draw.random() < 0.3
                )
            case 11:
                world.launch_as = draw.choice(LAUNCHES) if draw.random() < 0.3 else "good"
                world.stubborn = draw.random() < 0.3
                world.immortal = draw.random() < 0.15
