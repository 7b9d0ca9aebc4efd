import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phyemu.errors import ConfigError
from phyemu.node import Environment, NodeLayout
from phyemu.node.environment import (
    EnvironmentFiles,
    RfValues,
    read_colosseum_config,
    read_environment_json,
)

# The file of Colosseum's documentation.
INI = """[RF]
center_frequency = 1000000000
rf_bandwidth = 20000000

[COLLABORATION]
collab_server_ip = 172.30.197.2
collab_server_port = 5556
collab_client_port = 5557
collab_peer_port = 5558
"""
UPDATE = [
    {
        "scenario_center_frequency": 2_400_000_000,
        "scenario_rf_bandwidth": 40_000_000,
        "collab_network_type": "INTERNET",
        "incumbent_protection": [{"rf_bandwidth": 40_000_000, "center_frequency": 1_000_000_000}],
    }
]


@pytest.fixture
def layout(tmp_path: Path) -> NodeLayout:
    found = NodeLayout(tmp_path)
    found.radio_api.mkdir(parents=True)
    return found


def test_each_file_supersedes_the_one_below_while_it_says_something(layout: NodeLayout) -> None:
    files = EnvironmentFiles(layout)
    assert files.read() == []
    assert files.over(7e8) == Environment(7e8, None)
    layout.colosseum_config.write_text(INI)
    assert files.read() == []
    assert files.over(7e8) == Environment(1e9, 20e6)
    layout.environment.write_text(json.dumps(UPDATE))
    assert files.read() == []
    assert files.over(7e8) == Environment(2.4e9, 40e6)
    layout.environment.write_text('[{"scenario_rf_bandwidth": 10000000}]')  # no centre any more
    assert files.read() == []
    assert files.over(7e8) == Environment(1e9, 10e6)
    layout.environment.write_text("[]")
    assert files.read() == []
    assert files.over(7e8) == Environment(1e9, 20e6)


def test_a_file_that_is_removed_says_nothing_any_more(layout: NodeLayout) -> None:
    files = EnvironmentFiles(layout)
    layout.colosseum_config.write_text(INI)
    layout.environment.write_text(json.dumps(UPDATE))
    assert files.read() == []
    layout.environment.unlink()
    assert files.read() == []
    assert files.over(7e8) == Environment(1e9, 20e6)
    layout.colosseum_config.unlink()
    assert files.read() == []
    assert files.over(7e8) == Environment(7e8, None)


@given(cut=st.integers(0, len(json.dumps(UPDATE)) - 1), ini_cut=st.integers(0, 15))
def test_half_written_files_change_nothing(
    cut: int, ini_cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    layout = NodeLayout(tmp_path_factory.getbasetemp())
    layout.radio_api.mkdir(parents=True, exist_ok=True)
    layout.colosseum_config.write_text(INI)
    layout.environment.write_text(json.dumps(UPDATE))
    files = EnvironmentFiles(layout)
    assert files.read() == []
    layout.environment.write_text(json.dumps(UPDATE)[:cut])
    layout.colosseum_config.write_text(INI[:ini_cut])
    problems = files.read()
    assert [problem.split(": ")[0] for problem in problems] == [
        str(layout.colosseum_config),
        str(layout.environment),
    ]
    assert all("\n" not in line and "from before hold" in line for line in problems)
    assert files.over(7e8) == Environment(2.4e9, 40e6)


@given(text=st.text(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["scenario_center_frequency", "scenario_rf_bandwidth", "x"]), inner
    ),
).map(json.dumps))  # fmt: skip
def test_whatever_the_file_holds_the_answer_is_a_frequency_or_one_line(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "environment.json"
    path.write_text(text, encoding="utf-8", errors="replace")
    for read in (read_environment_json, read_colosseum_config):
        found, line = RfValues(), ""
        try:
            found = read(path)
        except ConfigError as exc:
            line = str(exc)
        assert "\n" not in line
        for value in (found.center_frequency_hz, found.rf_bandwidth_hz):
            assert value is None or 0 < value <= 1e11


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 200_000, "cannot be read as JSON (maximum recursion"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b'[{"scenario_center_frequency": NaN}]', "must be more than 0 Hz"),
        (b'[{"scenario_center_frequency": 1e999}]', "must be more than 0 Hz"),
        (b'[{"scenario_center_frequency": true}]', "must be more than 0 Hz"),
        (b'[{"scenario_center_frequency": null}]', "must be more than 0 Hz"),
        (b'[{"scenario_rf_bandwidth": -5}]', "scenario_rf_bandwidth must be more than 0 Hz"),
        (b'[{"scenario_rf_bandwidth": ' + b"9" * 5000 + b"}]", "cannot be read as JSON"),
        (b"3", "must be a list with an object in it"),
    ],
)
def test_hostile_updates_are_refused_by_name(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_environment_json(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")


def test_an_object_without_its_list_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "environment.json"
    path.write_text(json.dumps(UPDATE[0]))
    assert read_environment_json(path) == RfValues(2.4e9, 40e6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no section \[RF\]; is it whole\?"),
        ("center_frequency = 3", "cannot be read as INI"),
        ("[RF]\ncenter_frequency = %(x)s", r"\[RF\] center_frequency must be more than 0 Hz"),
        ("[RF]\ncenter_frequency =", r"\[RF\] center_frequency must be more than 0 Hz"),
    ],
)
def test_a_bad_ini_is_refused_by_name(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "colosseum_config.ini"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_colosseum_config(path)
