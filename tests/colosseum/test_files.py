"""Scenario files: round trip, shipped ones against the published tables, damage refused."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario, check_scenario, load_scenario, save_scenario
from phyemu.errors import ScenarioError
from phyemu.library import find_in_library, library_names


def shipped(name: str) -> Scenario:
    return load_scenario(find_in_library(name, "colosseum"))


def test_every_shipped_scenario_loads() -> None:
    names = library_names("colosseum")
    assert len(names) >= 24
    for name in names:
        assert shipped(name).name == name


@pytest.mark.parametrize(
    ("name", "link", "delays_ns", "gains"),
    [
        ("90001", (1, 3), [0, 256], [1, 1j]),
        ("90001", (4, 5), [0, 128, 200, 400], [0.5 + 0.5j, 0.1, -0.01 + 0.1j, -0.5j]),
        ("90002", (3, 4), [0, 150, 300], [0.8 + 0.5j, 0.4 + 0.2j, 0.3 - 0.1j]),
        ("90003", (1, 4), [0, 128, 200, 400], [0.7079, 0.1, 0.1778, 0.3981]),
        ("51015", (7, 20), [0], [10 ** (-15 / 20)]),
        ("52003", (20, 1), [10], [1]),
    ],
)
def test_taps_are_those_of_the_published_tables(
    name: str, link: tuple[int, int], delays_ns: list[float], gains: list[complex]
) -> None:
    scenario = shipped(name)
    for pair in (link, link[::-1]):  # links are reciprocal
        response = scenario.links[pair]
        assert (response.delays_s * 1e9).tolist() == pytest.approx(delays_ns)
        np.testing.assert_allclose(response.gains[0].numpy(), gains, rtol=1e-6)


def test_the_weakest_published_link_is_below_the_range() -> None:
    violations = check_scenario(shipped("90004"))
    assert [violation.link for violation in violations] == [(4, 5), (5, 4)]
    assert all("-45.00 dB" in str(violation) for violation in violations)


def test_a_scenario_that_moves_survives_a_round_trip(
    tmp_path: Path, generator: torch.Generator
) -> None:
    gains = torch.randn(50, 3, dtype=torch.complex64, generator=generator)
    delays_s = torch.tensor([0.0, 1e-8, 3e-7], dtype=torch.float64)
    original = Scenario(
        name="moving",
        description="d",
        center_frequency_hz=2.4e9,
        bandwidth_hz=1e7,
        num_nodes=3,
        links={
            (1, 2): ImpulseResponse(gains, delays_s, 5e-3),
            (3, 1): ImpulseResponse(gains[:1], delays_s, 5e-3),
        },
        interval_s=5e-3,
        repeats=False,
        constant_gain_db=41.0,
        coordinates=torch.zeros(3, 3, 50, dtype=torch.float64),
        origin=(-71.1, 42.3),
        derivation="drawn",
        provenance={"seed": 4},
    )
    again = load_scenario(save_scenario(original, tmp_path / "moving.json"))
    assert set(again.links) == {(1, 2), (3, 1)}
    assert torch.equal(again.links[1, 2].gains, gains)
    assert torch.equal(again.links[3, 1].gains, gains[:1])
    assert torch.equal(again.links[1, 2].delays_s, delays_s)
    for field in (
        "interval_s",
        "repeats",
        "constant_gain_db",
        "origin",
        "derivation",
        "provenance",
    ):
        assert getattr(again, field) == getattr(original, field)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["moving.json", "moving.npz"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "is no scenario"),
        ({"version": 9}, "version 9"),
        ({"num_nodes": 2.5}, "num_nodes"),
        ({"num_nodes": "2"}, "num_nodes must be a number"),
        ({"links": {}}, "links must be a list"),
        ({"links": [{"pairs": "all"}]}, r"links\[0\]: taps"),
        ({"links": [{"pairs": "all", "taps": [[0, 1]]}]}, r"\[delay_s, re, im\]"),
        ({"links": [{"pairs": [[1, 2], [2, 1]], "taps": [[0, 1, 0]]}] * 2}, "given twice"),
        ({"links": [{"pairs": "some", "taps": [[0, 1, 0]]}]}, "pairs must be"),
        ({"colour": "red"}, "unknown field colour"),
        ({"series": "../x.npz"}, "beside it"),
        ({"series": "absent.npz"}, "absent.npz"),
    ],
)
def test_a_damaged_file_is_refused_with_the_field_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    header = json.loads(find_in_library("90001", "colosseum").read_text("utf-8")) | change
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(header))
    with pytest.raises(ScenarioError, match=message):
        load_scenario(path)


def test_no_json_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_scenario(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ScenarioError, match="is no JSON"):
        load_scenario(tmp_path / "bad.json")


def test_a_disk_that_is_full_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(file: Path, **_: object) -> None:
        file.write_bytes(b"PK")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    scenario = load_scenario(find_in_library("urban-40db-5", "colosseum"))
    monkeypatch.setattr(np, "savez_compressed", fill)
    with pytest.raises(ScenarioError, match=r"x\.npz: cannot be written \(No space left"):
        save_scenario(scenario, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_series_of_another_scenario_is_refused(tmp_path: Path) -> None:
    for name, gain in (("one", 0.5), ("two", 0.25)):
        gains = torch.full((3, 1), gain, dtype=torch.complex64)
        gains[1] = 0.1
        link = ImpulseResponse(gains, torch.zeros(1, dtype=torch.float64), 1e-3)
        made = Scenario(
            name=name,
            description="",
            center_frequency_hz=1e9,
            bandwidth_hz=20e6,
            num_nodes=2,
            links={(1, 2): link},
        )
        save_scenario(made, tmp_path / f"{name}.json")
    (tmp_path / "two.npz").replace(tmp_path / "one.npz")
    with pytest.raises(ScenarioError, match=r"not the series that one\.json was written with"):
        load_scenario(tmp_path / "one.json")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.ones(3)}, "unknown array a"),
        ({"gains_1_2": np.ones((3, 1), np.complex64)}, "gains_1_2 is damaged"),
        ({"delays_s_1_2": np.zeros(1)}, "comes without gains_1_2"),
        (
            {"gains_1_2": np.ones((3, 2), np.complex64), "delays_s_1_2": np.zeros(1)},
            "gains_1_2 is damaged",
        ),
        ({"coordinates": np.array(["x"])}, "coordinates must be"),
    ],
)
def test_a_series_that_does_not_fit_is_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    header = json.loads(find_in_library("90001", "colosseum").read_text("utf-8"))
    path = tmp_path / "x.json"
    path.write_text(json.dumps(header | {"links": [], "series": "x.npz"}))
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match=message):
        load_scenario(path)


def test_a_pickle_in_the_series_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "evil.json"
    header = json.loads(find_in_library("90001", "colosseum").read_text("utf-8"))
    path.write_text(json.dumps(header | {"series": "evil.npz"}))
    np.savez(tmp_path / "evil.npz", gains_1_2=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ScenarioError, match=r"evil\.npz"):
        load_scenario(path)
