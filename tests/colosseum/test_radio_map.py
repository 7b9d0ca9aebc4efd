"""Radio maps: what is made is valid, and every broken rule is named."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.colosseum import check_radio_map, make_radio_map
from phyemu.errors import ConfigError


@given(
    st.integers(2, 52).flatmap(
        lambda num_nodes: st.tuples(
            st.just(num_nodes),
            st.dictionaries(st.integers(1, num_nodes), st.integers(1, 128), min_size=1),
        )
    )
)
def test_what_is_made_holds_every_node_once(case: tuple[int, dict[int, int]]) -> None:
    num_nodes, srns = case
    if len(set(srns.values())) < len(srns):
        with pytest.raises(ConfigError, match="plays one node"):
            make_radio_map(num_nodes, srns)
        return
    made = make_radio_map(num_nodes, srns)
    assert list(made) == [f"Node {node}" for node in range(1, num_nodes + 1)]
    found = {name: entry["SRN"] for name, entry in made.items() if entry != "None"}
    assert found == {f"Node {node}": srn for node, srn in srns.items()}
    assert all(
        entry == "None" or {*entry} == {"SRN", "RadioA", "RadioB"} for entry in made.values()
    )


ENTRY = {"SRN": 12, "RadioA": 1, "RadioB": 2}


@pytest.mark.parametrize(
    ("radio_map", "message"),
    [
        ([], "not of type 'object'"),
        ({"Node 1": ENTRY}, "non-empty|fewer|too few|enough properties"),
        ({"Node 1": ENTRY, "node 2": "None"}, "node 2"),
        ({"Node 1": ENTRY, "Node 2": "none"}, "Node 2"),
        ({"Node 1": {"SRN": 12, "RadioA": 1}, "Node 2": "None"}, "Node 1"),
        ({"Node 1": {**ENTRY, "SRN": 0}, "Node 2": "None"}, "Node 1"),
        ({"Node 1": {**ENTRY, "SRN": "12"}, "Node 2": "None"}, "Node 1"),
        ({"Node 1": ENTRY, "Node 3": "None"}, "Node 2 is missing"),
        ({"Node 1": ENTRY, "Node 2": "None", "Node 3": "None"}, "Node 3 is not one"),
        ({"Node 1": ENTRY, "Node 2": ENTRY}, "both use SRN 12"),
    ],
)
def test_every_broken_rule_is_named(radio_map: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_radio_map(radio_map, num_nodes=2)


@pytest.mark.parametrize(
    ("srns", "message"),
    [({}, "at least one"), ({3: 12}, "no 3"), ({1: 129}, "129"), ({0: 1}, "no 0")],
)
def test_impossible_maps_are_not_made(srns: dict[int, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_radio_map(2, srns)
