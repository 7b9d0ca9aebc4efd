"""Node logs are read however they were cut, and complete lines are never lost."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.batch.node_log import json_lines, read_node_log
from phyemu.errors import ConfigError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), max_size=6)


def text_of(objects: list[dict[str, object]]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in objects)


def node(folder: Path, lines: list[dict[str, object]], tasks: int = 1) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "node.jsonl").write_bytes(text_of(lines))
    for number in range(1, tasks + 1):
        (folder / f"task-{number:04d}").mkdir()
    return folder


@given(OBJECTS, st.data())
def test_a_cut_anywhere_loses_no_complete_line(
    objects: list[dict[str, object]], data: st.DataObject
) -> None:
    text = text_of(objects)
    end = data.draw(st.integers(0, len(text)))
    cut = text[:end]
    whole = cut.count(b"\n")
    found = list(json_lines([cut]))
    assert found[:whole] == objects[:whole]
    # What follows the last whole line is one more line, cut or not.
    assert len(found) <= whole + 1


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_give_objects_or_none_however_they_are_chunked(data: bytes, size: int) -> None:
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    found = list(json_lines(chunks))
    assert found == list(json_lines([data]))
    assert all(item is None or isinstance(item, dict) for item in found)


def test_a_line_beyond_a_mebibyte_counts_as_one_damaged_line() -> None:
    long = b'{"event": "' + b"x" * (3 << 20) + b'"}\n'
    data = b'{"a": 1}\n' + long + b'{"b": 2}\n'
    chunks = [data[start : start + 65536] for start in range(0, len(data), 65536)]
    assert list(json_lines(chunks)) == [{"a": 1}, None, {"b": 2}]


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"a": ' + b"9" * 6000 + b"}", b'"text"', b"\xff\xfe", b"{"]
)
def test_hostile_lines_are_damaged_lines(line: bytes) -> None:
    assert list(json_lines([line + b"\n" + b'{"b": 2}\n'])) == [None, {"b": 2}]


def test_nan_and_infinity_are_unknown_values() -> None:
    assert list(json_lines([b'{"snr_db": NaN, "x": -Infinity}\n'])) == [{"snr_db": None, "x": None}]


def test_a_node_that_finished_has_no_problem(tmp_path: Path) -> None:
    folder = node(
        tmp_path,
        [
            {"time": "2026-11-26T10:00:00Z", "event": "state", "state": "READY"},
            {"time": "2026-11-26T10:03:00Z", "event": "command", "command": "start"},
            {"time": "2026-11-26T10:13:00Z", "event": "state", "state": "FINISHED"},
        ],
    )
    log = read_node_log(folder)
    assert log.state == "FINISHED"
    assert log.has_ended
    assert log.problems == ()
    assert log.events[0].time == datetime(2026, 11, 26, 10, tzinfo=UTC)


def test_a_node_that_was_killed_while_active_says_so_and_keeps_its_events(tmp_path: Path) -> None:
    folder = node(tmp_path, [{"event": "state", "state": "ACTIVE"}])
    with (folder / "node.jsonl").open("ab") as file:
        file.write(b'{"event": "prog')
    log = read_node_log(folder)
    assert log.is_cut
    assert log.damaged_lines == 0
    assert [event.name for event in log.events] == ["state"]
    assert log.problems == ("killed while ACTIVE",)


def test_an_error_names_its_reason_in_one_line(tmp_path: Path) -> None:
    folder = node(tmp_path, [])
    (folder / "status.json").write_text('{"STATUS": "ERROR", "INFO": "no USRP\\nwas found"}')
    assert read_node_log(folder).problems == ("ended in ERROR: no USRP was found",)


def test_failures_of_the_worker_are_counted_with_the_last_reason(tmp_path: Path) -> None:
    failure = {"event": "worker", "said": "error", "fields": {"reason": "no\x1b[31m sample"}}
    folder = node(tmp_path, [failure, failure, {"event": "state", "state": "FINISHED"}])
    assert read_node_log(folder).problems == ("its worker failed 2 times: no?[31m sample",)


def test_tasks_are_told_by_the_loop_that_they_served(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [
        {"time": "2026-11-26T10:00:00Z", "event": "worker", "task": "task-0001"},
        {"time": "2026-11-26T10:01:00Z", "event": "command", "command": "start"},
        # The worker crashed and was started again within the first loop.
        {"time": "2026-11-26T10:02:00Z", "event": "worker", "task": "task-0002"},
        {"time": "2026-11-26T10:03:00Z", "event": "command", "command": "stop"},
        {"time": "2026-11-26T10:03:01Z", "event": "command", "command": "stop"},
        {"time": "2026-11-26T10:05:00Z", "event": "command", "command": "start"},
        {"time": "2026-11-26T10:05:01Z", "event": "worker", "task": "task-0003"},
        {"time": "2026-11-26T10:06:00Z", "event": "command", "command": "stop"},
    ]
    folder = node(tmp_path, lines, tasks=3)
    assert [task.loop for task in read_node_log(folder).tasks] == [1, 1, 2]
    # Without events that name tasks, their start times tell.
    times = ["10:00:00", "10:02:00", "10:05:01"]
    (folder / "node.jsonl").write_bytes(text_of([one for one in lines if "command" in one]))
    for number, clock in enumerate(times, start=1):
        path = folder / f"task-{number:04d}" / "task.json"
        path.write_text(json.dumps({"started": f"2026-11-26T{clock}+00:00"}))
    assert [task.loop for task in read_node_log(folder).tasks] == [1, 1, 2]


def test_what_is_not_as_it_should_be_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.h5").write_text("secret")
    folder = node(tmp_path / "logs", [{"event": "state", "state": "FINISHED"}], tasks=2)
    (folder / "task-0003").symlink_to(outside)
    (folder / "status.json").mkdir()
    task = folder / "task-0001"
    (task / "task.json").write_text('{"role": "sound", "radio_conf": {"job": {"name": "j", ')
    (task / "soundings-0001.h5").symlink_to(outside / "secret.h5")
    os.mkfifo(task / "predictions.jsonl")
    (task / "capture-0001.sigmf").write_bytes(b"")
    (task / "capture-0002.sigmf.partial").write_bytes(b"")
    (task / "capture-0002.sigmf.journal").write_bytes(b"")
    log = read_node_log(folder)
    assert log.state == "FINISHED"
    assert "task-0003: is no folder, so it is left out" in log.problems
    assert any(text.startswith("status.json: ") for text in log.problems)
    first = log.tasks[0]
    assert first.soundings == ()
    assert first.predictions is None
    assert [path.name for path in first.captures] == ["capture-0001.sigmf", "capture-0002.sigmf"]
    assert len(first.problems) == 3
    assert any("task.json: is no JSON" in text for text in first.problems)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_node_log(tmp_path / "nothing")


@given(st.binary(max_size=300), st.binary(max_size=100), st.binary(max_size=100))
def test_any_bytes_in_a_log_give_a_log(events: bytes, status: bytes, task: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "task-0001").mkdir()
        (folder / "node.jsonl").write_bytes(events)
        (folder / "status.json").write_bytes(status)
        (folder / "task-0001" / "task.json").write_bytes(task)
        log = read_node_log(folder)
        assert len(log.tasks) == 1
