"""What a daemon goes on with after one that died."""

import json
from pathlib import Path
from typing import Any

from phyemu.node.deadlines import Deadlines
from phyemu.node.events import State
from phyemu.node.state_machine import Node

__all__ = ["resumed_node", "state_table"]


def state_table(node: Node, info: str) -> dict[str, Any]:
    """Return what `resumed_node` needs of a node, and who reads its state."""
    return {
        "state": node.state.value,
        "info": info,
        "wanted": node.wanted,
        "restarts": node.restarts,
        "run": node.run,
    }


def resumed_node(path: Path, deadlines: Deadlines) -> tuple[Node, str]:
    """Return the node that a daemon which died leaves, and one line on it.

    A task that was to be started or was running is booted again, with the restarts it has left; one
    that was stopping has finished. What cannot be read is a new node.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        state, info = State(found["state"]), str(found["info"])
        wanted, restarts, run = bool(found["wanted"]), int(found["restarts"]), int(found["run"])
    except (OSError, ValueError, KeyError, TypeError):
        return Node(deadlines=deadlines), "the daemon before died and left no state"
    line = f"the daemon before died in state {state} ({info})"
    if state in (State.STOPPING, State.FINISHED, State.ERROR):
        stopping = state is State.STOPPING
        info = f"finished; {line}" if stopping else info
        state = State.FINISHED if stopping else state
        return Node(state=state, info=info, run=run, deadlines=deadlines), line
    node = Node(info=line, wanted=wanted, restarts=restarts, run=run, deadlines=deadlines)
    return node, line
