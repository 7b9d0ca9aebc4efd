"""The rules of a batch job file, as Colosseum's documentation states them.

Source: Colosseum user documentation, "Batch Mode Format and Process" (keys, types, requirements)
and "Scenario Looping" (`Loopinfo`). Where the documentation contradicts itself the rule takes both:
`Enabled` is called a Boolean and written `"True"`. What it leaves open is bounded by what a file
system or host name holds, and the description of the key says so.
"""

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from phyemu.container import IMAGE_NAME, MAX_NAME_LENGTH
from phyemu.errors import ConfigError

__all__ = ["BATCH_JOB_SCHEMA", "check_job"]

_WHOLE = {"type": "integer", "minimum": 1, "description": "a whole number, at least 1"}

_NODE: dict[str, Any] = {
    "type": "object",
    "description": "an object",
    "required": [
        "RFNode_ID",
        "ImageName",
        "ModemConfig",
        "isGateway",
        "TrafficNode_ID",
        "node_type",
    ],
    "additionalProperties": False,
    "properties": {
        "RFNode_ID": _WHOLE,
        "ImageName": {
            "type": "string",
            "pattern": rf"^{IMAGE_NAME}$(?!\n)",
            "description": f"1 to {MAX_NAME_LENGTH} letters, digits and dashes, no dash first or "
            "last (the image's file name without .tar.gz)",
        },
        "ModemConfig": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$(?!\n)",
            "description": "the name of a file in the team's config folder: 1 to 200 letters, "
            "digits, dots, dashes and underscores, no dot or dash first",
        },
        "isGateway": {"type": "boolean", "description": "true or false"},
        "TrafficNode_ID": _WHOLE,
        "node_type": {"enum": ["competitor", "bot"], "description": '"competitor" or "bot"'},
    },
}

BATCH_JOB_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Colosseum batch job",
    "type": "object",
    "description": "an object",
    "required": ["BatchName", "Duration", "RFScenario", "TrafficScenario", "NodeData"],
    "additionalProperties": False,
    "properties": {
        "BatchName": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9_]([A-Za-z0-9._ -]{0,198}[A-Za-z0-9_])?$(?!\n)",
            "description": "1 to 200 letters, digits, dots, dashes, underscores and spaces, "
            "beginning and ending with a letter, digit or underscore (it names files)",
        },
        "Duration": {
            "type": "integer",
            "minimum": 1,
            "description": "a whole number of seconds, at least 1",
        },
        "RFScenario": _WHOLE,
        "TrafficScenario": _WHOLE,
        "Loopinfo": {
            "type": "object",
            "description": "an object",
            "required": ["Enabled", "NumOfLoops"],
            "additionalProperties": False,
            "properties": {
                "Enabled": {
                    "enum": ["True", "False", True, False],
                    "description": '"True" or "False"',
                },
                "NumOfLoops": _WHOLE,
            },
        },
        "NodeData": {
            "type": "array",
            "description": "a list of at least one node",
            "minItems": 1,
            "items": _NODE,
        },
    },
}
"""The rules that a JSON Schema can state; `check_job` adds those across nodes."""


def check_job(job: Any, *, num_nodes: int | None = None, where: str = "batch job") -> None:
    """Refuse a batch job that breaks a rule of Colosseum's documentation.

    Args:
        job: What the JSON file holds.
        num_nodes: Nodes of the scenario, all of which must then be there; None where unknown.
        where: Named in messages.

    Raises:
        ConfigError: The first rule that it breaks: the key, what is allowed, what was given.
    """
    _check_object(job, BATCH_JOB_SCHEMA, where)
    nodes = job["NodeData"]
    if num_nodes is not None and len(nodes) != num_nodes:
        raise ConfigError(
            f"{where}: NodeData must hold all {num_nodes} nodes of the scenario, got {len(nodes)}; "
            "give those without a task a radio.conf with role idle"
        )
    for key in ("RFNode_ID", "TrafficNode_ID"):
        _check_numbering(nodes, key, where)


def _check_object(found: Any, schema: Mapping[str, Any], where: str) -> None:
    if not isinstance(found, dict):
        raise ConfigError(f"{where}: must be an object, got {_shown(found)}")
    known = schema["properties"]
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {_shown(key)}; {hint}")
    for key, rule in known.items():
        if key not in found:
            if key in schema["required"]:
                raise ConfigError(f"{where}: {key} is missing; it is {rule['description']}")
        elif rule.get("type") == "object":
            _check_object(found[key], rule, f"{where}: {key}")
        elif not _holds(found[key], rule):
            raise ConfigError(
                f"{where}: {key} must be {rule['description']}, got {_shown(found[key])}"
            )
        elif rule.get("type") == "array":
            for index, entry in enumerate(found[key], start=1):
                _check_object(entry, rule["items"], f"{where}: {key} {index}")


def _holds(value: Any, rule: Mapping[str, Any]) -> bool:
    """Return whether the value satisfies its own rule, what is inside an array left aside."""
    import jsonschema

    # JSON Schema takes 300.0 for an integer; a reader that expects one may not.
    if rule.get("type") == "integer" and not isinstance(value, int):
        return False
    own = {key: part for key, part in rule.items() if key != "items"}
    return bool(jsonschema.Draft202012Validator(own).is_valid(value))


def _check_numbering(nodes: Sequence[Mapping[str, Any]], key: str, where: str) -> None:
    """Refuse numbers that are not 1..N, each once, in any order."""
    seen: dict[int, int] = {}
    for index, node in enumerate(nodes, start=1):
        number = node[key]
        rule = f"{key} must number the {len(nodes)} nodes from 1 to {len(nodes)}, each once"
        if number in seen:
            raise ConfigError(
                f"{where}: NodeData {index}: {rule}, got {number}, which NodeData {seen[number]} "
                "has already"
            )
        if number > len(nodes):
            raise ConfigError(f"{where}: NodeData {index}: {rule}, got {number}")
        seen[number] = index


def _shown(value: Any) -> str:
    """Return a value as JSON writes it, cut to what fits into a line."""
    text = json.dumps(value, ensure_ascii=True, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
