"""The rules of `colosseumcli` itself, as cases: whatever we take, it takes.

The verdicts are those of `check_radio_map` in colosseum_cli/rf_scenario.py of colosseumcli-public,
version 19.0.0 (commit 28f5599a3f3b8ae35688f5a91f1e1960e2bd1760), read from its code: keys must hold
"Node ", a value must be "None" or hold SRN, RadioA and RadioB, and no more is looked at. Where ours
is stricter, the case says why.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from phyemu.colosseum import RADIO_MAP_SCHEMA, check_radio_map, make_radio_map
from phyemu.errors import ConfigError

ENTRY = {"SRN": 3, "RadioA": 1, "RadioB": 2}

TAKEN_BY_BOTH: list[Any] = [
    {"Node 1": ENTRY, "Node 2": "None"},
    {"Node 1": "None", "Node 2": ENTRY},
    {"Node 2": ENTRY, "Node 1": {"SRN": 12, "RadioA": 1, "RadioB": 2}},
    {"Node 1": {"RadioB": 2, "RadioA": 1, "SRN": 128}, "Node 2": "None"},
    {"Node 1": {**ENTRY, "comment": "the gateway"}, "Node 2": "None"},
    {"Node 1": "None", "Node 2": "None"},
]

REFUSED_BY_BOTH: list[Any] = [
    {"node 1": ENTRY, "Node 2": "None"},  # the key has no "Node "
    {"Node1": ENTRY, "Node 2": "None"},
    {"SRN 1": ENTRY, "Node 2": "None"},
    {"": ENTRY, "Node 2": "None"},
    {"Node 1": ENTRY, "Node 2": "none"},  # neither "None" nor an entry
    {"Node 1": ENTRY, "Node 2": ""},
    {"Node 1": ENTRY, "Node 2": {}},
    {"Node 1": ENTRY, "Node 2": []},
    {"Node 1": {"RadioA": 1, "RadioB": 2}, "Node 2": "None"},  # each of the three keys
    {"Node 1": {"SRN": 3, "RadioB": 2}, "Node 2": "None"},
    {"Node 1": {"SRN": 3, "RadioA": 1}, "Node 2": "None"},
    {"Node 1": {"srn": 3, "RadioA": 1, "RadioB": 2}, "Node 2": "None"},
]

TAKEN_BY_COLOSSEUMCLI_ALONE: list[tuple[Any, str]] = [
    ({}, "every node of the scenario must appear, says the documentation"),
    ({"Node 1": ENTRY}, "the scenario has two nodes"),
    ({"Node 1": ENTRY, "Node 3": "None"}, "the scenario has no node 3"),
    ({"Node 1": ENTRY, "My Node 2": "None"}, "`rf radiomap` looks for Node 1, Node 2, ..."),
    ({"Node 1": ENTRY, "Node two": "None"}, "`rf radiomap` looks for Node 1, Node 2, ..."),
    ({"Node 1": ENTRY, "Node 02": "None"}, "`rf radiomap` looks for Node 1, Node 2, ..."),
    ({"Node 1": {**ENTRY, "SRN": "3"}, "Node 2": "None"}, "an SRN is a number"),
    ({"Node 1": {**ENTRY, "SRN": 0}, "Node 2": "None"}, "SRNs are numbered from 1"),
    ({"Node 1": {**ENTRY, "SRN": 129}, "Node 2": "None"}, "Colosseum has 128 SRNs"),
    ({"Node 1": {**ENTRY, "RadioA": None}, "Node 2": "None"}, "a radio is a number"),
    ({"Node 1": ENTRY, "Node 2": ENTRY}, "an SRN plays one node"),
    ({"Node 1": ["SRN", "RadioA", "RadioB"], "Node 2": "None"}, "a list has no SRN"),
    ({"Node 1": "SRN RadioA RadioB", "Node 2": "None"}, "a text has no SRN"),
]


@pytest.mark.parametrize("radio_map", TAKEN_BY_BOTH)
def test_what_both_take(radio_map: Any) -> None:
    check_radio_map(radio_map, num_nodes=2)


@pytest.mark.parametrize("radio_map", REFUSED_BY_BOTH)
def test_what_colosseumcli_refuses_is_refused(radio_map: Any) -> None:
    with pytest.raises(ConfigError, match=r"^radio map: "):
        check_radio_map(radio_map, num_nodes=2)


@pytest.mark.parametrize(("radio_map", "reason"), TAKEN_BY_COLOSSEUMCLI_ALONE)
def test_where_ours_is_stricter(radio_map: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=r"^radio map: "):
        check_radio_map(radio_map, num_nodes=2)


def test_what_we_make_has_the_form_of_its_own_example() -> None:
    # "Node 5": {"SRN": 3, "RadioA": 1, "RadioB": 2} is the example in its message.
    made = make_radio_map(5, {5: 3})
    assert made == {f"Node {k}": "None" for k in range(1, 5)} | {"Node 5": ENTRY}


def test_the_schema_in_docs_is_the_one_in_use() -> None:
    docs = Path(__file__).parents[2] / "docs" / "radio-map.schema.json"
    assert json.loads(docs.read_text("utf-8")) == RADIO_MAP_SCHEMA
