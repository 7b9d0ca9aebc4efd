"""The .mat file, read by SciPy and by GNU Octave."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario, export_mat, import_mat, load_scenario
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


def test_a_file_that_is_no_mat_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    path.write_bytes(b"not a mat file" * 20)
    with pytest.raises(ScenarioError, match=r"x\.mat"):
        import_mat(path, name="x", center_frequency_hz=1e9, bandwidth_hz=20e6)
