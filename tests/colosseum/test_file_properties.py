"""Any scenario survives its file and the exchange file; any damage is one line."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import (
    Scenario,
    check_mat,
    check_scenario,
    export_mat,
    import_mat,
    load_scenario,
    save_scenario,
)
from phyemu.errors import ScenarioError
from phyemu.library import find_in_library

FOLDER = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@st.composite
def scenarios(draw: st.DrawFn, *, on_limits: bool) -> Scenario:
    """Draw a scenario; with `on_limits` one that the emulator and the exchange file take."""
    num_nodes = draw(st.integers(2, 4))
    num_steps = draw(st.sampled_from([1, 2, 7, 40]))
    interval_s = draw(st.sampled_from([1e-3, 5e-3, 0.02, 0.5]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    links = {}
    pairs = [(a, b) for a in range(1, num_nodes + 1) for b in range(1, num_nodes + 1) if a != b]
    for pair in draw(st.lists(st.sampled_from(pairs), min_size=1, unique=True)):
        steps = draw(st.sampled_from([1, num_steps]))
        num_paths = draw(st.integers(1, 4 if on_limits else 9))
        sizes = generator.uniform(0.01, 0.99, (steps, num_paths))
        gains = sizes * np.exp(2j * np.pi * generator.uniform(size=sizes.shape))
        gains[generator.uniform(size=sizes.shape) < 0.3] = 0
        delays_s = generator.choice(512, num_paths, replace=False) / 1e8
        if not on_limits:
            delays_s = delays_s + generator.uniform(0, 1e-6)
        links[pair] = ImpulseResponse(
            torch.from_numpy(gains.astype(np.complex64)), torch.from_numpy(delays_s), interval_s
        )
    longest = max(link.num_steps for link in links.values())
    coordinates = None
    if draw(st.booleans()):
        coordinates = torch.from_numpy(generator.normal(size=(num_nodes, 3, longest)))
    return Scenario(
        name=draw(st.text(max_size=9)),
        description=draw(st.text(max_size=9)),
        center_frequency_hz=draw(st.floats(1e6, 6e9)),
        bandwidth_hz=20e6,
        num_nodes=num_nodes,
        links=links,
        interval_s=interval_s,
        repeats=draw(st.booleans()),
        constant_gain_db=draw(st.floats(-10, 100)),
        coordinates=coordinates,
        origin=draw(st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90))),
    )


@FOLDER
@given(scenario=scenarios(on_limits=False))
def test_a_scenario_survives_its_file(tmp_path: Path, scenario: Scenario) -> None:
    again = load_scenario(save_scenario(scenario, tmp_path / "x.json"))
    assert set(again.links) == set(scenario.links)
    for pair, link in scenario.links.items():
        assert torch.equal(again.links[pair].gains, link.gains)
        assert torch.equal(again.links[pair].delays_s, link.delays_s)
    for name in ("name", "center_frequency_hz", "repeats", "constant_gain_db", "origin"):
        assert getattr(again, name) == getattr(scenario, name)
    assert (again.coordinates is None) == (scenario.coordinates is None)
    if again.coordinates is not None and scenario.coordinates is not None:
        assert torch.equal(again.coordinates, scenario.coordinates)


def at(scenario: Scenario, link: tuple[int, int], time_s: float) -> dict[float, complex]:
    """Return the taps of a link at a time: gain by delay, those of 0 left out."""
    response = scenario.links.get(link)
    if response is None:
        return {}
    step = min(round(time_s / response.interval_s), response.num_steps - 1)
    pairs = zip(response.delays_s.tolist(), response.gains[step].tolist(), strict=True)
    return {delay_s: gain for delay_s, gain in pairs if gain != 0}


@FOLDER
@given(scenario=scenarios(on_limits=True))
def test_a_scenario_survives_the_exchange_file(tmp_path: Path, scenario: Scenario) -> None:
    assert check_scenario(scenario) == []
    path = export_mat(scenario, tmp_path / "x.mat")
    assert check_mat(path) == []
    contents = scipy.io.loadmat(path)
    if "time" in contents:
        assert contents["time"][0, -1] % 1000 == 0
        assert contents["time"].shape[1] == contents["chMatrix"].shape[2]
    again = import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
    # Step by step, and held beyond the end.
    for step in (*range(scenario.num_steps), scenario.num_steps + 3):
        for tx in range(1, scenario.num_nodes + 1):
            for rx in range(1, scenario.num_nodes + 1):
                time_s = step * scenario.interval_s
                expected, found = (at(item, (tx, rx), time_s) for item in (scenario, again))
                assert list(found) == pytest.approx(sorted(expected))
                for delay_s, gain in expected.items():
                    assert found[delay_s] == pytest.approx(gain, rel=1e-6)


def refusal_of(function: Callable[[], object]) -> str | None:
    """Return the message of a ScenarioError; every other error is a fault."""
    try:
        function()
    except ScenarioError as error:
        return str(error)
    return None


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    return st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@settings(FOLDER, max_examples=150)
@given(
    field=st.sampled_from(
        [
            *("name", "description", "center_frequency_hz", "bandwidth_hz", "num_nodes", "links"),
            *("interval_s", "repeats", "constant_gain_db", "origin", "provenance", "reciprocal"),
            *("series", "series_sha256", "derivation", "pairs", "taps", "version", "format"),
        ]
    ),
    value=json_values(),
)
def test_any_field_of_any_value_loads_or_is_one_line(
    tmp_path: Path, field: str, value: object
) -> None:
    header = json.loads(find_in_library("90001", "colosseum").read_text("utf-8"))
    (header["links"][0] if field in ("pairs", "taps") else header)[field] = value
    path = tmp_path / "x.json"
    path.write_text(json.dumps(header))
    refusal = refusal_of(lambda: save_scenario(load_scenario(path), tmp_path / "again.json"))
    assert refusal is None or "x.json" in refusal


@settings(FOLDER, max_examples=100)
@given(data=st.data())
def test_damaged_files_are_one_line(tmp_path: Path, data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(["mat", "npz"]))
    source = tmp_path / f"whole.{whole}"
    if not source.exists():
        scenario = load_scenario(find_in_library("90003", "colosseum")).on_grid()
        export_mat(scenario, tmp_path / "whole.mat")
        file = io.BytesIO()
        np.savez_compressed(file, gains_1_2=np.ones((3, 2), np.complex64), delays_s_1_2=[0, 1e-8])
        (tmp_path / "whole.npz").write_bytes(file.getvalue())
    content = bytearray(source.read_bytes())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    path = tmp_path / f"x.{whole}"
    path.write_bytes(bytes(content))
    if whole == "mat":
        refusal = refusal_of(lambda: check_mat(path))
    else:
        header = json.loads(find_in_library("90001", "colosseum").read_text("utf-8"))
        (tmp_path / "x.json").write_text(json.dumps(header | {"links": [], "series": "x.npz"}))
        refusal = refusal_of(lambda: load_scenario(tmp_path / "x.json"))
    assert refusal is None or "x." in refusal
