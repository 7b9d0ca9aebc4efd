"""Reservations and their nodes are found in every layout that a job or a rehearsal leaves."""

import json
from pathlib import Path

import pytest

from phyemu.batch.results_folder import find_results
from phyemu.errors import ConfigError


def logs(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "node.jsonl").write_text("{}\n")
    return path


def reservation(folder: Path, *, name: str = "RESERVATION-77") -> Path:
    """Return a reservation as the tools of Colosseum's users know it: nodes 1 to 3, one lost."""
    root = folder / name
    logs(root / "team-phyemu-tx-srn12-RES77")
    logs(root / "team-phyemu-rx-srn40-RES77")
    (root / "Inputs").mkdir()
    mapping = {"1": 12, "2": 40, "3": 101}
    (root / "Inputs" / "match_conf.json").write_text(json.dumps({"node_to_srn_mapping": mapping}))
    nodes = [{"RFNode_ID": node} for node in (1, 2, 3)]
    batch = {"BatchName": "sound-90003", "RFScenario": 90003, "NodeData": nodes}
    (root / "Inputs" / "batch_input.json").write_text(json.dumps(batch))
    (root / "traffic_logs").mkdir()
    (root / "x-srn12-RES77-colbr3-1-2.pcap").write_bytes(b"")
    return root


@pytest.mark.parametrize("inner", [False, True])
def test_a_reservation_is_found_with_its_nodes_job_and_scenario(
    tmp_path: Path, inner: bool
) -> None:
    root = reservation(tmp_path)
    (found,) = find_results(root if inner else tmp_path)
    assert (found.name, found.job, found.rf_scenario) == ("77", "sound-90003", 90003)
    assert {(node.node, node.srn) for node in found.nodes} == {(1, 12), (2, 40)}
    assert found.expected == (1, 2, 3)
    assert found.remarks == ()


def test_several_reservations_are_kept_apart(tmp_path: Path) -> None:
    reservation(tmp_path / "team", name="RESERVATION-77")
    reservation(tmp_path / "team", name="RESERVATION-78")
    assert [found.name for found in find_results(tmp_path / "team")] == ["77", "78"]


def test_the_layout_of_a_rehearsal_names_nodes_by_folder(tmp_path: Path) -> None:
    for node in (1, 2):
        logs(tmp_path / "RESERVATION-rehearsal" / str(node) / "logs")
    (found,) = find_results(tmp_path)
    assert found.name == "rehearsal"
    assert [node.node for node in found.nodes] == [1, 2]


def test_bare_folders_of_logs_are_taken(tmp_path: Path) -> None:
    for node in (1, 2):
        logs(tmp_path / "all" / f"node-{node}")
    (found,) = find_results(tmp_path / "all")
    assert [(found.name, node.node) for node in found.nodes] == [("", 1), ("", 2)]
    (alone,) = find_results(tmp_path / "all" / "node-2")
    assert [node.node for node in alone.nodes] == [2]


def test_an_srn_that_left_nothing_is_a_node_all_the_same(tmp_path: Path) -> None:
    root = reservation(tmp_path)
    (root / "team-phyemu-rx-srn101-RES77" / "empty").mkdir(parents=True)
    (found,) = find_results(root)
    assert {node.node for node in found.nodes} == {1, 2, 3}


def test_a_reservation_without_any_node_is_reported(tmp_path: Path) -> None:
    (tmp_path / "RESERVATION-9" / "Inputs").mkdir(parents=True)
    (found,) = find_results(tmp_path)
    assert (found.name, found.nodes) == ("9", ())


def test_nothing_outside_is_read_through_links(tmp_path: Path) -> None:
    outside = logs(tmp_path / "outside" / "x-srn1-RES77").parent
    root = reservation(tmp_path / "in")
    (root / "evil-srn5-RES77").symlink_to(outside / "x-srn1-RES77")
    (root / "loop").symlink_to(root)
    (root / "Inputs" / "batch_input.json").unlink()
    (root / "Inputs" / "batch_input.json").symlink_to(outside / "x-srn1-RES77" / "node.jsonl")
    (found,) = find_results(root)
    assert {node.srn for node in found.nodes} == {12, 40}
    assert len(found.remarks) == 2
    assert any("evil-srn5-RES77: is a link" in text for text in found.remarks)
    assert found.expected == (1, 2, 3)  # from the mapping


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", '{"NodeData": 5}', '{"NodeData": [5, {"RFNode_ID": -1}]}']
)
def test_damaged_inputs_leave_the_rest(tmp_path: Path, text: str) -> None:
    root = reservation(tmp_path)
    for name in ("batch_input.json", "match_conf.json"):
        (root / "Inputs" / name).write_text(text)
    (found,) = find_results(root)
    assert [node.srn for node in found.nodes] == [40, 12]
    assert found.expected == ()


def test_a_folder_without_logs_is_refused_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="RESERVATION-1234"):
        find_results(tmp_path)
    with pytest.raises(ConfigError, match="no such folder"):
        find_results(tmp_path / "nothing")


def test_what_was_collected_before_is_not_found_again(tmp_path: Path) -> None:
    reservation(tmp_path / "nas")
    reservation(tmp_path / "nas" / "home" / "fetched", name="RESERVATION-78")
    found = find_results(tmp_path / "nas", leave_out=tmp_path / "nas" / "home")
    assert [item.name for item in found] == ["77"]
    # But it is where it is named itself.
    home = tmp_path / "nas" / "home"
    assert [item.name for item in find_results(home / "fetched", leave_out=home)] == ["78"]
