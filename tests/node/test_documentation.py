"""What docs/colosseum.md says of a node is what the node does."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from phyemu.node import RadioConf
from phyemu.node.events import (
    Asked,
    Boot,
    Command,
    Configured,
    Entered,
    Send,
    State,
    WorkerActive,
    WorkerExited,
    WorkerReady,
)
from phyemu.node.radio_conf import Role
from phyemu.node.state_machine import Node, step

DOCUMENT = Path(__file__).parents[2] / "docs" / "colosseum.md"
COMMANDS = [
    Command.START,
    Command.STOP,
    Command.UPDATE_ENVIRONMENT,
    Command.SCENARIO_DISCONTINUITY,
]


def after(*events: object, max_restarts: int = 3) -> Node:
    node = Node()
    for event in (Boot(), Configured(1, max_restarts, 2.0), *events):
        node, _ = step(node, event, 0.0)  # type: ignore[arg-type]
    return node


def situations() -> dict[str, Node]:
    start, stop = Asked(Command.START), Asked(Command.STOP)
    active = (WorkerReady(1), start, WorkerActive(1))
    crash = WorkerExited(1, "it crashed")
    return {
        "OFF": Node(),
        "BOOTING": after(),
        "BOOTING, before a restart": after(crash),
        "READY": after(WorkerReady(1)),
        "READY, and started": after(WorkerReady(1), start),
        "ACTIVE": after(*active),
        "STOPPING": after(*active, stop),
        "FINISHED": after(*active, stop, crash),
        "ERROR": after(crash, max_restarts=0),
    }


def effect(node: Node, command: Command) -> str:
    """Return what a command does, in few words."""
    environment = {"center_frequency_hz": 1e9, "rf_bandwidth_hz": None}
    table = environment if command is Command.UPDATE_ENVIRONMENT else None
    later, actions = step(node, Asked(command, table), 0.0)
    said = [
        action.state.value
        for action in actions
        if isinstance(action, Entered) and action.state is not action.before
    ]
    said += [f"tells `{action.line['command']}`" for action in actions if isinstance(action, Send)]
    if later.wanted and not node.wanted and later.state is not State.READY:
        said.append("then ACTIVE")
    return ", ".join(said) or "-"


def table() -> str:
    heads = [f"`{command}.sh`" for command in COMMANDS]
    lines = [
        f"| in state | {' | '.join(heads)} |",
        f"|{' --- |' * (1 + len(heads))}",
    ]
    for name, node in situations().items():
        cells = [effect(node, command) for command in COMMANDS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_table_of_commands_and_states_is_the_machines() -> None:
    assert table() in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize(("name", "node"), situations().items())
def test_commands_that_only_ask_change_nothing(name: str, node: Node) -> None:
    assert node.state.value == name.split(",")[0]
    for command in (Command.STATUS, Command.STATISTICS, Command.UPDATE_OUTCOMES):
        assert step(node, Asked(command), 0.0)[0] == node


def test_every_key_of_radio_conf_is_documented_with_its_default() -> None:
    rows = re.findall(r"\| `\[(\w+)\]` \| `(\w+)` \| `(.+?)` \|", DOCUMENT.read_text("utf-8"))
    documented = {
        (section, key): tomllib.loads(f"default = {text}")["default"] for section, key, text in rows
    }
    assert len(documented) == len(rows)
    table = {
        (section.name, item.name): item.default
        for section in dataclasses.fields(RadioConf)
        if section.name != "role"
        for item in dataclasses.fields(section.type)  # type: ignore[arg-type]
    }
    assert documented == table


def test_every_role_is_documented() -> None:
    assert all(f"| `{role}` |" in DOCUMENT.read_text("utf-8") for role in Role)
