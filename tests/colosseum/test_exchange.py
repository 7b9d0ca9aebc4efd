"""The .mat file, read by SciPy and by GNU Octave."""

import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import (
    Scenario,
    cell_matrix,
    check_mat,
    export_mat,
    import_mat,
    load_scenario,
)
from phyemu.errors import ScenarioError
from phyemu.library import find_in_library


@pytest.fixture
def moving() -> Scenario:
    """Two nodes, two taps, 30 steps of 20 ms, the second tap only half of the time."""
    gains = torch.full((30, 2), 0.5 + 0.25j, dtype=torch.complex64)
    gains[15:, 1] = 0
    link = ImpulseResponse(gains, torch.tensor([0.0, 1.3e-7], dtype=torch.float64), 0.02)
    return Scenario(
        name="moving",
        description="",
        center_frequency_hz=1e9,
        bandwidth_hz=20e6,
        num_nodes=2,
        links={(1, 2): link},
        interval_s=0.02,
        coordinates=torch.arange(2 * 3 * 30, dtype=torch.float64).reshape(2, 3, 30),
        origin=(-71.0, 42.0),
    )


def test_scipy_reads_the_layout_that_is_specified(tmp_path: Path, moving: Scenario) -> None:
    contents = scipy.io.loadmat(export_mat(moving, tmp_path / "x.mat"))
    cells, times_ms = contents["chMatrix"], contents["time"]
    assert times_ms.shape == (1, 51)
    assert times_ms[0, -1] == 1000.0
    assert cells.shape == (2, 2, 51)
    np.testing.assert_allclose(cells[0, 1, 0], [[0, 0.5 + 0.25j], [1.3e-7, 0.5 + 0.25j]])
    assert cells[0, 1, 20].shape == (1, 2)
    assert cells[1, 0, 0].size == 0
    assert contents["coordinates"].shape == (2, 3, 51)


def test_the_file_comes_back_as_it_was(tmp_path: Path, moving: Scenario) -> None:
    path = export_mat(moving, tmp_path / "x.mat")
    again = import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
    link = again.links[1, 2]
    assert link.interval_s == pytest.approx(0.02)
    assert torch.equal(link.gains[:30], moving.links[1, 2].gains)
    # From the end of the scenario to the full second the last taps are held; the last time is the
    # end of it.
    assert torch.equal(link.gains[30:], moving.links[1, 2].gains[-1:].expand(20, 2))
    assert again.coordinates is not None
    assert moving.coordinates is not None
    assert torch.equal(again.coordinates[:, :, :30], moving.coordinates)
    assert again.origin == (-71.0, 42.0)
    # Once more nothing changes: 50 steps of 20 ms are a whole second.
    path = export_mat(again, tmp_path / "y.mat")
    third = import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
    assert torch.equal(third.links[1, 2].gains, link.gains)


def test_one_static_tap_a_link_takes_the_simplified_form(tmp_path: Path) -> None:
    scenario = load_scenario(find_in_library("51010", "colosseum"))
    matrix = scipy.io.loadmat(export_mat(scenario, tmp_path / "x.mat"))["chMatrix"]
    assert matrix.shape == (20, 20)
    off_diagonal = matrix[~np.eye(20, dtype=bool)]
    np.testing.assert_allclose(off_diagonal, -10.0, atol=1e-5)


def test_what_the_emulator_cannot_play_is_not_written(tmp_path: Path) -> None:
    scenario = load_scenario(find_in_library("90001", "colosseum"))
    with pytest.raises(
        ScenarioError, match=r"link 1>2, t = 0 ms, tap 1: delay 256 ns.*and \d+ more"
    ):
        export_mat(scenario, tmp_path / "x.mat")
    assert list(tmp_path.iterdir()) == []


def test_a_gain_above_0_db_is_refused_with_the_link_named(tmp_path: Path) -> None:
    scenario = load_scenario(find_in_library("90002", "colosseum")).on_grid()
    with pytest.raises(ScenarioError, match=r"link 2>4, t = 0 ms, tap 1: gain 3\.01 dB"):
        export_mat(scenario, tmp_path / "x.mat")


@pytest.mark.octave
@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="GNU Octave is not installed")
def test_octave_opens_the_file_as_specified(tmp_path: Path, moving: Scenario) -> None:
    path = export_mat(moving, tmp_path / "x.mat")
    script = (
        f"load('{path}'); c = chMatrix{{1,2,1}};"
        "printf('%d %d %d %g %g %g %d %g', size(chMatrix), real(c(2,1)), real(c(2,2)),"
        " imag(c(2,2)), numel(time), origin.lat)"
    )
    done = subprocess.run(
        ["octave-cli", "--quiet", "--eval", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == "2 2 51 1.3e-07 0.5 0.25 51 42".split()


@pytest.mark.skipif(shutil.which("octave-cli") is None, reason="GNU Octave is not installed")
@pytest.mark.parametrize("version", ["-v6", "-v7"])
def test_what_octave_writes_is_read_back(tmp_path: Path, version: str) -> None:
    path = tmp_path / "theirs.mat"
    script = (
        "chMatrix = cell(2, 2, 3); chMatrix(:) = {zeros(0, 2)};"
        "chMatrix{1,2,1} = [0, 1; 1.3e-7, 0.5+0.25i]; chMatrix{1,2,2} = [0, 1];"
        "chMatrix{1,2,3} = [0, 1]; chMatrix{2,1,1} = [0, -0.5]; chMatrix{2,1,2} = [0, -0.5];"
        "chMatrix{2,1,3} = [0, -0.5]; time = [0 500 1000];"
        "coordinates = reshape(1:18, 2, 3, 3); coordinates(:,:,3) = coordinates(:,:,2);"
        "origin.long = -71; origin.lat = 42.5;"
        f"save('{version}', '{path}', 'chMatrix', 'time', 'coordinates', 'origin')"
    )
    subprocess.run(["octave-cli", "--quiet", "--eval", script], check=True)
    assert check_mat(path) == []
    scenario = import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
    assert scenario.origin == (-71.0, 42.5)
    assert scenario.coordinates is not None
    assert scenario.coordinates[1, 2, 0] == 6.0
    link = scenario.links[1, 2]
    assert (link.interval_s, link.num_steps) == (0.5, 2)
    np.testing.assert_allclose(link.gains.numpy(), [[1, 0.5 + 0.25j], [1, 0]])
    assert link.delays_s.tolist() == [0.0, 1.3e-7]
    assert scenario.links[2, 1].gains.tolist() == [[-0.5]]


def test_the_simplified_form_comes_back_as_it_went(tmp_path: Path) -> None:
    scenario = load_scenario(find_in_library("51010", "colosseum"))
    path = export_mat(scenario, tmp_path / "x.mat")
    assert check_mat(path) == []
    again = import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
    assert set(again.links) == set(scenario.links)
    assert float(again.links[3, 7].gains.abs()) == pytest.approx(10**-0.5, rel=1e-6)
    assert float(again.links[3, 7].delays_s) == 0.0


def cells(*rows: list[list[complex]]) -> np.ndarray:
    """Return chMatrix of two nodes whose link 1>2 has these taps over time."""
    matrix = np.empty((2, 2, len(rows)), dtype=object)
    for index in np.ndindex(matrix.shape):
        matrix[index] = np.zeros((0, 2))
    for time, taps in enumerate(rows):
        matrix[0, 1, time] = np.array(taps, complex)
    return matrix


TAP = [[0, 0.5]]


@pytest.mark.parametrize(
    ("rows", "times_ms", "expected"),
    [
        ([TAP, TAP], [0, 500], "scenario: time ends at 500 ms, allowed are multiples of 1000 ms"),
        ([TAP, TAP], [0, 1000.5], "scenario: taps change every 1000.5 ms"),
        ([TAP, TAP], [1000, 2000], "scenario: time begins at 1000 ms"),
        ([TAP, [[0, 1j], [2e-8, 1.01]]], [0, 1000], "link 1>2, t = 1000 ms, tap 1: gain 0.09 dB"),
        ([TAP, [[0, 0.8 + 0.8j]]], [0, 1000], "link 1>2, t = 1000 ms, tap 0: gain 1.07 dB"),
        ([TAP, [[0, 0.001]]], [0, 1000], "link 1>2, t = 1000 ms, tap 0: gain -60.00 dB at 0 ns"),
        ([TAP, [[6e-6, 0.1]]], [0, 1000], "link 1>2, t = 1000 ms, tap 1: delay 6000 ns"),
        ([TAP, [[-1e-8, 0.1]]], [0, 1000], "link 1>2, t = 1000 ms, tap 0: delay -10 ns"),
        ([TAP, [[5e-9, 0.1]]], [0, 1000], "link 1>2, t = 1000 ms, tap 1: delay 5 ns is off"),
        (
            [TAP, [[k * 1e-8, 0.1] for k in range(5)]],
            [0, 1000],
            "link 1>2, t = 1000 ms, tap 4: 5 taps at once",
        ),
    ],
)
def test_checking_an_exchange_file_names_link_time_and_tap(
    tmp_path: Path, rows: list[list[list[complex]]], times_ms: list[float], expected: str
) -> None:
    path = tmp_path / "x.mat"
    contents = {"chMatrix": cells(*rows), "time": np.array([times_ms], float)}
    scipy.io.savemat(path, contents)
    found = [str(violation) for violation in check_mat(path)]
    assert any(line.startswith(expected) for line in found), found


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"x": 1.0}, "holds no chMatrix"),
        ({"chMatrix": np.zeros((2, 3))}, "must be square"),
        ({"chMatrix": np.full((2, 2), np.nan)}, "path gains in dB"),
        ({"chMatrix": cells(TAP, TAP), "time": [0.0]}, "contradict each other"),
        ({"chMatrix": cells(TAP, TAP, TAP), "time": [0.0, 1000.0, 1500.0]}, "equal steps"),
        ({"chMatrix": cells([[0, 1, 2]]), "time": [1000.0]}, r"cell 2 of chMatrix must hold rows"),
        ({"chMatrix": cells([[0, np.inf]]), "time": [1000.0]}, "link 1>2, time 0"),
        (
            {"chMatrix": cells(TAP), "time": [1000.0], "coordinates": np.zeros((3, 3, 1))},
            r"coordinates must be \(2, 3, 1\)",
        ),
        ({"chMatrix": cells(TAP), "time": [1000.0], "origin": {"long": 1.0}}, "long and lat"),
    ],
)
def test_what_is_no_exchange_file_is_one_line(
    tmp_path: Path, contents: dict[str, object], message: str
) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, contents)
    with pytest.raises(ScenarioError, match=message):
        check_mat(path)


def test_a_scenario_that_matlab_could_not_open_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moving: Scenario
) -> None:
    monkeypatch.setattr(cell_matrix, "_MOST_BYTES", 10_000)
    with pytest.raises(ScenarioError, match="make the scenario shorter"):
        export_mat(moving, tmp_path / "x.mat")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [np.inf, np.nan, 1e300])
def test_a_struct_whose_names_have_no_width_is_refused(tmp_path: Path, width: float) -> None:
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"origin": {"long": 1.0}})
    # The width of the names, a small element of int32: an element of float64 in its place.
    small = struct.pack("<HHi", 5, 4, len("long") + 1)
    content = path.read_bytes()
    start = content.index(small, 128)
    content = content[:start] + struct.pack("<IId", 9, 8, width) + content[start + 8 :]
    outer = struct.unpack_from("<I", content, 132)[0] + 8
    path.write_bytes(content[:132] + struct.pack("<I", outer) + content[136:])
    with pytest.raises(ScenarioError, match="no proper width of its names"):
        check_mat(path)


def test_a_file_that_is_no_mat_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(b"not a mat file" * 20)
    with pytest.raises(ScenarioError, match=r"x\.mat"):
        import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
