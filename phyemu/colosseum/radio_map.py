"""Radio maps: which standard radio node (SRN) plays which node of a scenario.

`colosseumcli rf start ID -m radio_map.json` takes
`{"Node 1": {"SRN": 12, "RadioA": 1, "RadioB": 2}, "Node 2": "None"}`;
every node of the scenario must appear. Source: Colosseum user documentation and `colosseumcli`,
version 19.0.0 (`rf_scenario.check_radio_map`), which itself takes more: any key with "Node " in it,
any number of nodes, any values under the three keys. What it takes and this refuses would fail
later, at the emulator; further keys of an entry are taken here as there.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.whole_file import write_whole

__all__ = ["RADIO_MAP_SCHEMA", "check_radio_map", "make_radio_map", "write_radio_map"]

RADIO_MAP_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Colosseum radio map",
    "type": "object",
    "minProperties": 2,
    "additionalProperties": False,
    "patternProperties": {
        "^Node [1-9][0-9]*$": {
            "anyOf": [
                {"const": "None"},
                {
                    "type": "object",
                    "required": ["SRN", "RadioA", "RadioB"],
                    "properties": {
                        "SRN": {"type": "integer", "minimum": 1, "maximum": 128},
                        "RadioA": {"type": "integer", "minimum": 1},
                        "RadioB": {"type": "integer", "minimum": 1},
                    },
                },
            ]
        }
    },
}
"""The rules that a JSON Schema can state; `check_radio_map` adds those across nodes."""


def make_radio_map(num_nodes: int, srns: Mapping[int, int]) -> dict[str, Any]:
    """Return the radio map of a scenario.

    Args:
        num_nodes: Nodes of the scenario.
        srns: SRN by node, both from 1; the other nodes stay empty.

    Raises:
        ConfigError: A node that the scenario lacks, an SRN that there cannot be, or one SRN twice.
    """
    unknown = [node for node in srns if not 1 <= node <= num_nodes]
    if unknown:
        raise ConfigError(f"the scenario has the nodes 1..{num_nodes}, no {unknown[0]}")
    if not srns:
        raise ConfigError("a radio map needs at least one node with an SRN")
    found = {
        f"Node {node}": {"SRN": srns[node], "RadioA": 1, "RadioB": 2} if node in srns else "None"
        for node in range(1, num_nodes + 1)
    }
    check_radio_map(found, num_nodes=num_nodes)
    return found


def check_radio_map(radio_map: Any, *, num_nodes: int, where: str = "radio map") -> None:
    """Refuse a radio map that `colosseumcli` would.

    Args:
        radio_map: What the JSON file holds.
        num_nodes: Nodes of the scenario.
        where: Named in messages.

    Raises:
        ConfigError: The first rule that it breaks.
    """
    import jsonschema

    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(RADIO_MAP_SCHEMA).iter_errors(radio_map)
    )
    if error is not None:
        place = "/".join(str(part) for part in error.absolute_path) or "the whole"
        raise ConfigError(f"{where}: {place}: {error.message}; see docs/colosseum.md")
    wanted = {f"Node {node}" for node in range(1, num_nodes + 1)}
    for name in sorted(wanted ^ set(radio_map), key=lambda node: int(node.split()[1])):
        problem = 'is missing; give it an SRN or "None"' if name in wanted else "is not one"
        raise ConfigError(f"{where}: {name} {problem}, the scenario has the nodes 1..{num_nodes}")
    used: dict[int, str] = {}
    for name, entry in radio_map.items():
        if entry == "None":
            continue
        if entry["SRN"] in used:
            raise ConfigError(
                f"{where}: {name} and {used[entry['SRN']]} both use SRN {entry['SRN']}; an SRN "
                "plays one node"
            )
        used[entry["SRN"]] = name


def write_radio_map(radio_map: Mapping[str, Any], path: Path) -> Path:
    """Write a radio map, whole or not at all, and return its path."""
    return write_whole(path, json.dumps(radio_map, indent=1) + "\n")
