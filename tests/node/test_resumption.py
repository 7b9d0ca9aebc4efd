import json
from pathlib import Path

import pytest

from phyemu.node.control_client import last_state
from phyemu.node.deadlines import Deadlines
from phyemu.node.events import State
from phyemu.node.resumption import StateFile, resumed_node
from phyemu.node.state_machine import Node


@pytest.mark.parametrize("character", ["x", "\u00fc", "\U0001f4e1", "\0", "\ud800", '"'])
def test_a_long_info_in_any_script_leaves_a_whole_state(character: str, tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    node = Node(state=State.ACTIVE, wanted=True, restarts=2, run=7)
    with StateFile(path) as file:
        for count in (3000, 10, 700):  # longer ones leave nothing behind
            file.write(node, character * count)
            info = json.loads(path.read_bytes())["info"]
            assert info == character * len(info)
            assert len(info) >= min(count, 300)
            assert last_state(path)[:2] == ("ACTIVE", info)
            resumed, _ = resumed_node(path, Deadlines())
            assert (resumed.wanted, resumed.restarts, resumed.run) == (True, 2, 7)
