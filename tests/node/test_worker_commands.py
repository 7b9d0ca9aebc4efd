"""Lines from the daemon, and from whoever else writes to a worker."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.node.environment import Environment
from phyemu.node.radio_conf import RadioConf, Role
from phyemu.node.worker_commands import (
    Configure,
    SetEnvironment,
    Start,
    Stop,
    WorkerCommand,
    parse_command,
    read_commands,
)

HZ = st.floats(1.0, 1e11)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(hz=HZ, bandwidth_hz=st.none() | HZ, role=st.sampled_from(list(Role)))
def test_what_the_daemon_writes_is_what_the_worker_reads(
    hz: float, bandwidth_hz: float | None, role: Role
) -> None:
    conf, environment = RadioConf(role=role), Environment(hz, bandwidth_hz)
    line = {
        "command": "configure",
        "radio_conf": conf.to_table(),
        "environment": environment.to_table(),
    }
    assert parse_command(json.dumps(line).encode()) == Configure(conf, environment)
    update = {"command": "environment", **environment.to_table()}
    assert parse_command(json.dumps(update).encode()) == SetEnvironment(environment)


@given(
    line=st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"command": value}).encode())
    | st.dictionaries(st.sampled_from(["radio_conf", "environment"]), JSON).map(
        lambda table: json.dumps({"command": "configure", **table}).encode()
    )
)
def test_anything_else_is_refused_in_one_line_and_the_next_is_read(line: bytes) -> None:
    taken: list[WorkerCommand] = []
    refused: list[str] = []
    one_line = line.replace(b"\n", b"")
    stream = io.BytesIO(one_line + b'\n{"command": "start"}\n')
    read_commands(stream, taken.append, refused.append)
    assert taken[-2:] == [Start(), Stop()]
    assert len(taken) + len(refused) == 2 + bool(one_line.strip())
    assert all(len(problem.splitlines()) == 1 for problem in refused)


def test_a_nesting_without_end_is_refused() -> None:
    try:
        parse_command(b"[" * 100_000)
    except ConfigError as error:
        problem = str(error)
    assert "must be a line of JSON" in problem
    assert len(problem) < 200
