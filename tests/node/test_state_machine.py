import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from phyemu.node import state_machine
from phyemu.node.events import Asked, Boot, Command, Configured, Entered, State, WorkerReady
from phyemu.node.state_machine import Node, next_deadline, step
from tests.node.simulated_node import LAUNCHES, TRANSITIONS, WORDS, SimulatedNode, play


def world_of(machine: Any = state_machine) -> SimulatedNode:
    return SimulatedNode(machine.step, machine.next_deadline, machine.Node())


class AnyOrder(RuleBasedStateMachine):
    """Commands, workers and time in any order; `SimulatedNode` asserts what must hold."""

    @initialize(boots=st.booleans())
    def begin(self, boots: bool) -> None:
        self.world = world_of()
        if boots:
            self.world.boot()

    @rule()
    def boot(self) -> None:
        self.world.boot()

    @rule(
        command=st.sampled_from(Command),
        environment=st.booleans(),
        broken=st.booleans(),
        reconfigured=st.booleans(),
    )
    def ask(self, command: Command, environment: bool, broken: bool, reconfigured: bool) -> None:
        self.world.ask(
            command,
            environment=environment,
            problem="broken" if broken else "",
            reconfigured=reconfigured,
        )

    @rule(back=st.integers(-1, 2), word=st.sampled_from(WORDS))
    def say(self, back: int, word: str) -> None:
        self.world.say(self.world.node.run - back, word)

    @precondition(lambda self: self.world.node.worker in ("booting", "starting", "stopping"))
    @rule()
    def obey(self) -> None:
        """Say what is expected, or random words would rarely get a worker to be active."""
        words = {"booting": "ready", "starting": "active", "stopping": "stopped"}
        self.world.say(self.world.node.run, words[self.world.node.worker])

    @rule(back=st.integers(0, 2))
    def end(self, back: int) -> None:
        self.world.end(self.world.node.run - back)

    @rule(seconds=st.sampled_from([0.0, 1.0, 59.0, 61.0, 100.0, 1e6]), late=st.booleans())
    def wait(self, seconds: float, late: bool) -> None:
        self.world.wait(seconds, late=late)

    @rule()
    def wait_for_deadline(self) -> None:
        self.world.wait_for_deadline()

    @rule()
    def tick_early(self) -> None:
        self.world.tick_early()

    @rule(launch=st.sampled_from(LAUNCHES), stubborn=st.booleans(), immortal=st.booleans())
    def set_fate(self, launch: str, stubborn: bool, immortal: bool) -> None:
        self.world.launch_as = launch
        self.world.stubborn, self.world.immortal = stubborn, immortal


AnyOrder.TestCase.settings = settings(stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase


@pytest.mark.parametrize("seed", range(100))
def test_whatever_happens_the_node_keeps_its_promises(seed: int) -> None:
    play(world_of(), seed)


def test_every_documented_transition_happens() -> None:
    seen = set()

    def watch(*arguments: Any) -> Any:
        node, actions = step(*arguments)
        seen.update(
            (action.before, action.state)
            for action in actions
            if isinstance(action, Entered) and action.before is not action.state
        )
        return node, actions

    for seed in range(300):
        play(SimulatedNode(watch, next_deadline, Node()), seed)
    assert seen == TRANSITIONS


def test_a_job_goes_through_its_states() -> None:
    world = world_of()
    states = []
    for happen in (
        world.boot,
        lambda: world.say(1, "ready"),
        lambda: world.ask(Command.START),
        lambda: world.say(1, "active"),
        lambda: world.ask(Command.STOP),
        lambda: world.say(1, "stopped"),
        lambda: world.end(1),
    ):
        happen()
        states.append(world.node.state.value)
    assert states == ["BOOTING", "READY", "READY", "ACTIVE", "STOPPING", "STOPPING", "FINISHED"]
    assert world.node.info == "finished"


def test_a_start_that_comes_too_early_is_not_lost() -> None:
    world = world_of()
    world.boot()
    world.ask(Command.START)
    assert world.node.state is State.BOOTING
    world.say(1, "ready")
    world.say(1, "active")
    assert world.node.state is State.ACTIVE


def test_an_active_node_that_crashes_becomes_active_again_until_its_restarts_are_used_up() -> None:
    world = world_of()
    world.boot()
    world.ask(Command.START)
    for run in (1, 2, 3):
        world.say(run, "ready")
        world.say(run, "active")
        assert world.node.state is State.ACTIVE
        world.end(run)
        assert world.node.state is (State.BOOTING if run < 3 else State.ERROR)
        if run < 3:
            assert world.node.info == f"restart {run} of 2 in 2 s: it ended"
            world.wait(1.9)
            assert world.node.run == run
            world.wait(0.1)
            assert world.node.run == run + 1
    assert world.node.info == "it ended (after 2 restarts)"
    world.ask(Command.START)  # with all of the restarts again
    world.end(4)
    assert world.node.info == "restart 1 of 2 in 2 s: it ended"


def test_a_worker_that_ignores_its_stop_is_terminated_then_killed_then_left_behind() -> None:
    world = world_of()
    world.stubborn = world.immortal = True
    world.boot()
    world.say(1, "ready")
    world.ask(Command.STOP)
    seen = []
    for _ in range(95):
        world.wait(1.0)
        seen.append((list(world.workers[1].signals), world.node.state.value))
    assert seen.index((["TERM"], "STOPPING")) == 59  # after 60 s
    assert seen.index((["TERM", "KILL"], "STOPPING")) == 79
    assert seen.index((["TERM", "KILL"], "FINISHED")) == 89
    assert world.node.info == "finished; the worker outlived SIGKILL"


def test_settings_that_cannot_work_are_an_error_at_once_and_a_start_tries_again() -> None:
    world = world_of()
    world.launch_as = "final"
    world.boot()
    assert (world.node.state, world.node.info) == (State.ERROR, "it could not be")
    world.launch_as = "good"
    world.ask(Command.START)
    world.say(2, "ready")
    world.say(2, "active")
    assert world.node.state is State.ACTIVE


def test_settings_that_are_not_there_yet_are_waited_for_and_cost_no_restart() -> None:
    world = world_of()
    world.launch_as = "missing"
    world.boot()
    world.ask(Command.START)
    for _ in range(599):
        world.wait(1.0)
        assert (world.node.state, world.node.restarts) == (State.BOOTING, 0)
        assert world.node.info == "there is no radio.conf yet"
    world.launch_as = "good"
    world.wait(1.0)
    assert world.node.info == "there is no radio.conf yet"
    world.say(1, "ready")
    world.say(1, "active")
    assert world.node.state is State.ACTIVE


def test_a_start_with_other_settings_begins_with_another_worker() -> None:
    world = world_of()
    world.boot()
    world.say(1, "ready")
    world.ask(Command.START, environment=True, reconfigured=True)
    assert world.workers[1].told == [{"command": "stop"}]
    world.say(1, "stopped")
    world.end(1)
    assert world.node.state is State.BOOTING
    world.say(2, "ready")
    world.say(2, "active")
    assert world.node.state is State.ACTIVE
    world.ask(Command.START, reconfigured=True)  # what is on the air goes on
    assert world.node.state is State.ACTIVE


def test_a_start_in_another_environment_tells_it_first() -> None:
    world = world_of()
    world.boot()
    world.say(1, "ready")
    world.ask(Command.START, environment=True)
    assert [line["command"] for line in world.workers[1].told] == ["environment", "start"]


def test_a_clock_that_jumps_back_costs_patience_and_nothing_else() -> None:
    node, _ = step(Node(), Boot(), 1000.0)
    node, _ = step(node, Configured(1, 3, 2.0), 1000.0)
    node, _ = step(node, WorkerReady(1), 10.0)
    node, _ = step(node, Asked(Command.STOP), 5.0)
    assert node.state is State.STOPPING
    assert next_deadline(node) == 65.0


# What is replaced by what; ~ stands for the end of a line and its indentation.
MUTATIONS = [
    ("case State.BOOTING:~self.change(wanted=True)", "case State.BOOTING:~pass"),
    ("case State.STOPPING:~self.change(wanted=True)", "case State.STOPPING:~pass"),
    ("case State.STOPPING:~self.change(wanted=False)", "case State.STOPPING:~pass"),
    ("self.change(restarts=0, wanted=True)", "self.change(wanted=True)"),
    ("node.restarts >= node.max_restarts", "node.restarts > node.max_restarts"),
    ("self.change(restarts=node.restarts + 1, relaunch", "self.change(relaunch"),
    ("event.run == node.run and node.worker is not", "node.worker is not"),
    ("case WorkerActive() if node.worker is Phase.STARTING", "case WorkerActive()"),
    ("case WorkerReady() if node.worker is Phase.BOOTING", "case WorkerReady()"),
    ("if node.wanted:~self.start_worker()", "if False:~pass"),
    ("wanted=False, relaunch_at_s=None, stop_since_s", "wanted=False, stop_since_s"),
    ("relaunch_at_s=None, stop_since_s=self.now_s", "relaunch_at_s=None"),
    ("return node.since_s + node.deadlines.active_s", "return None"),
    ("return node.since_s + node.deadlines.ready_s", "return None"),
    ("terminated=False,~killed=False,", "killed=False,"),
    ("terminated=False,~killed=False,", "terminated=False,"),
    ("case WorkerExited() if node.worker is Phase.STOPPING:", "case WorkerExited() if False:"),
    ("case WorkerStopped() if node.worker in _WORKING:", "case WorkerStopped() if False:"),
    ("case WorkerFailed() if node.worker in _WORKING:", "case WorkerFailed() if False:"),
    ("if worker in _WORKING:~self.phase", "if worker is Phase.ACTIVE:~self.phase"),
    ("elif worker is Phase.FAILED:", "elif False:"),
    ("if self.node.wanted:~self.begin_task", "if False:~self.begin_task"),
    ("self.change(wanted=False)~used", "used"),
    ("case LaunchFailed(final=True):", "case LaunchFailed() if False:"),
    ("return abandon_s if node.killed else", "return None if node.killed else"),
    ("if self.node.worker not in _WORKING:~return", "if not self.node.run:~return"),
    ("self.change(killed=True)~self.actions.append(Kill(node.run))", "self.change(killed=True)"),
    ("deadline_s <= self.now_s:", "deadline_s <= self.now_s + 1:"),
    ('self.send(command="stop")', "pass"),
    ("run=node.run - 1, unconfigured", "unconfigured"),
    ("relaunch_at_s=again_s", "relaunch_at_s=None"),
    ("case _ if reconfigured and", "case _ if False and"),
    ("case NotConfigured():~self.phase(Phase.NONE)", "case NotConfigured():~pass"),
    ("node.stop_since_s + limits.terminate_s", "node.stop_since_s + limits.failed_s"),
]


def pattern_of(text: str) -> str:
    """Return a regular expression for a mutation's text."""
    return r"(\n +)".join(re.escape(part) for part in text.split("~"))


def with_lines(new: str, found: re.Match[str]) -> str:
    """Return the text that replaces what was found, with its ends of lines."""
    for end in found.groups():
        new = new.replace("~", end, 1)
    return new


def mutated(old: str, new: str, path: Path) -> ModuleType:
    text = Path(state_machine.__file__).read_text("utf-8")
    pattern = pattern_of(old)
    assert len(re.findall(pattern, text)) == 1, f"not there once: {old!r}"
    path.write_text(re.sub(pattern, lambda found: with_lines(new, found), text))
    spec = importlib.util.spec_from_file_location("mutated_state_machine", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def play_many(module: ModuleType) -> None:
    for seed in range(400):
        play(world_of(module), seed)


@pytest.mark.parametrize("mutation", range(len(MUTATIONS)))
def test_a_fault_of_the_machine_is_caught(mutation: int, tmp_path: Path) -> None:
    module = mutated(*MUTATIONS[mutation], tmp_path / "mutated.py")
    with pytest.raises(AssertionError):
        play_many(module)
