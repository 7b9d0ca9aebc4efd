"""Paths to taps: against exhaustive search, the integral over the band, the emulator's limits."""

import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from phyemu.colosseum import LinkPaths, reduce_paths
from phyemu.errors import ScenarioError

BANDWIDTH_HZ = 20e6
GRID_S = 10e-9


def random_paths(
    generator: np.random.Generator, *, span_s: float = 300e-9, num_paths: int = 10
) -> LinkPaths:
    delays_s = np.sort(generator.uniform(0, span_s, num_paths))
    gains = generator.normal(size=(2, num_paths)) * np.exp(-delays_s / 150e-9)
    return LinkPaths((gains[0] + 1j * gains[1])[None], delays_s[None], 1e-3)


def exhaustive_residual_db(paths: LinkPaths, num_taps: int, num_cells: int) -> float:
    """The least residual of any choice of cells, with the same ridge."""
    gains, delays_s = paths.gains[0], paths.delays_s[0]
    cells_s = np.arange(num_cells) * GRID_S
    table = np.sinc(BANDWIDTH_HZ * np.subtract.outer(cells_s, cells_s))
    products = np.sinc(BANDWIDTH_HZ * np.subtract.outer(cells_s, delays_s)) @ gains
    among = np.sinc(BANDWIDTH_HZ * np.subtract.outer(delays_s, delays_s))
    power = (gains.conj() @ among @ gains).real
    chosen = np.array(list(itertools.combinations(range(num_cells), num_taps)))
    gram = table[chosen[:, :, None], chosen[:, None, :]]
    wanted = products[chosen]
    system = (gram + 1e-4 * np.eye(num_taps)).astype(complex)
    solved = np.linalg.solve(system, wanted[..., None])[..., 0]
    error = power - 2 * (solved.conj() * wanted).sum(1).real
    error += np.einsum("ni,nij,nj->n", solved.conj(), gram, solved).real
    return float(10 * np.log10(error.min() / power))


def test_the_search_comes_close_to_the_best_of_all_choices() -> None:
    generator = np.random.default_rng(0)
    excess_db = []
    for _ in range(20):
        paths = random_paths(generator)
        found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ, max_taps=3)
        excess_db.append(found.residual_db - exhaustive_residual_db(paths, 3, 34))
    # Taps that would take less than 1e-4 of the power off are left out.
    assert min(excess_db) > -0.2
    assert np.median(excess_db) < 0.05
    assert sorted(excess_db)[-2] < 0.5


def transfer(
    gains: NDArray[np.complex128],
    delays_s: NDArray[np.float64],
    frequencies_hz: NDArray[np.float64],
) -> NDArray[np.complex128]:
    return np.exp(-2j * np.pi * np.outer(frequencies_hz, delays_s)) @ gains


def test_the_residual_is_the_integral_over_the_band() -> None:
    generator = np.random.default_rng(1)
    frequencies_hz = np.linspace(-BANDWIDTH_HZ / 2, BANDWIDTH_HZ / 2, 801)
    for _ in range(5):
        paths = random_paths(generator)
        found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)
        wanted = transfer(paths.gains[0], paths.delays_s[0], frequencies_hz)
        response = found.response
        met = transfer(
            response.gains[0].numpy().astype(complex), response.delays_s.numpy(), frequencies_hz
        )
        error = np.trapezoid(np.abs(met - wanted) ** 2, frequencies_hz)
        power = np.trapezoid(np.abs(wanted) ** 2, frequencies_hz)
        assert found.residual_db == pytest.approx(10 * np.log10(error / power), abs=0.05)


def test_it_beats_the_four_strongest_paths_on_the_nearest_cells() -> None:
    generator = np.random.default_rng(2)
    frequencies_hz = np.linspace(-BANDWIDTH_HZ / 2, BANDWIDTH_HZ / 2, 401)
    gained_db = []
    for _ in range(20):
        paths = random_paths(generator, num_paths=12)
        gains, delays_s = paths.gains[0], paths.delays_s[0]
        wanted = transfer(gains, delays_s, frequencies_hz)
        strongest = np.argsort(-np.abs(gains))[:4]
        on_grid_s = np.round(delays_s[strongest] / GRID_S) * GRID_S
        left = wanted - transfer(gains[strongest], on_grid_s, frequencies_hz)
        simple_db = 10 * np.log10(np.mean(np.abs(left) ** 2) / np.mean(np.abs(wanted) ** 2))
        found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)
        gained_db.append(simple_db - found.residual_db)
    assert min(gained_db) > 0
    assert np.median(gained_db) > 6


def test_taps_that_fit_already_stay_what_they_are() -> None:
    gains = np.array([[1.0, 0.0, 0.2 - 0.1j, -0.3], [0.5j, 0.25, 0.0, 0.1]], complex)
    delays_s = np.array([[0.0, 130e-9, 400e-9, 5.11e-6]])
    found = reduce_paths(LinkPaths(gains, delays_s, 1e-3), bandwidth_hz=BANDWIDTH_HZ)
    dense = torch.zeros(2, 512, dtype=torch.complex64)
    cells = torch.round(found.response.delays_s / GRID_S).long()
    dense[:, cells] = found.response.gains
    for column, cell in enumerate([0, 13, 40, 511]):
        # The ridge takes 0.0004 dB; no tap at 0 dB stands beside an absent one.
        np.testing.assert_allclose(dense[:, cell].numpy(), gains[:, column], atol=3e-4)
    assert found.residual_db < -70


def test_weak_taps_are_left_out_and_the_others_fitted_anew() -> None:
    generator = np.random.default_rng(3)
    paths = random_paths(generator)
    all_taps = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)
    sizes = np.sort(all_taps.response.gains[0].abs().numpy())
    assert sizes.size == 4
    least = float(sizes[1]) * 1.01
    found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ, least_gain=least)
    kept = found.response.gains[0].abs().numpy()
    assert 1 <= kept.size < 4
    assert (kept > least).all()
    assert found.residual_db > all_taps.residual_db


def test_moving_delays_are_followed() -> None:
    steps = np.arange(40)
    delays_s = (100e-9 + 20e-9 * steps)[:, None]
    found = reduce_paths(
        LinkPaths(np.ones((40, 1), complex), delays_s, 1e-3), bandwidth_hz=BANDWIDTH_HZ
    )
    gains = found.response.gains.abs().numpy()
    assert found.residual_db < -60
    assert ((found.response.gains != 0).sum(dim=1) == 1).all()
    strongest_s = found.response.delays_s.numpy()[gains.argmax(axis=1)]
    np.testing.assert_allclose(strongest_s, delays_s[:, 0], atol=1e-12)


def test_what_lies_beyond_the_window_counts_as_error() -> None:
    gains = np.array([[1.0, 1.0]], complex)
    paths = LinkPaths(gains, np.array([[0.0, 8e-6]]), 1e-3)
    found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)
    assert float(found.response.delays_s.max()) <= 5.11e-6
    assert found.residual_db == pytest.approx(-3.0, abs=0.1)
    assert found.outside_share == 0.5


def test_paths_beyond_the_window_take_no_part_in_the_taps() -> None:
    near = LinkPaths(np.array([[1.0, 0.5j]]), np.array([[5.0e-6, 5.1e-6]]), 1e-3)
    # Just outside, where a tap at the edge would take up the most of it.
    gains = np.array([[1.0, 0.5j, 0.5]])
    both = LinkPaths(gains, np.array([[5.0e-6, 5.1e-6, 5.13e-6]]), 1e-3)
    one, other = (reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ) for paths in (near, both))
    assert torch.equal(one.response.gains, other.response.gains)
    assert torch.equal(one.response.delays_s, other.response.delays_s)
    assert (one.outside_share, other.outside_share) == (0.0, pytest.approx(0.25 / 1.5))
    # The residual is that of all paths, and the integral over the band.
    frequencies_hz = np.linspace(-BANDWIDTH_HZ / 2, BANDWIDTH_HZ / 2, 801)
    wanted = transfer(both.gains[0], both.delays_s[0], frequencies_hz)
    response = other.response
    met = transfer(
        response.gains[0].numpy().astype(complex), response.delays_s.numpy(), frequencies_hz
    )
    error = np.trapezoid(np.abs(met - wanted) ** 2, frequencies_hz)
    power = np.trapezoid(np.abs(wanted) ** 2, frequencies_hz)
    assert other.residual_db == pytest.approx(10 * np.log10(error / power), abs=0.05)


def test_a_path_that_leaves_the_window_is_followed_to_its_edge() -> None:
    delays_s = np.array([[5.0e-6], [5.114e-6], [9.0e-6]])
    paths = LinkPaths(np.ones((3, 1), complex), delays_s, 1e-3)
    found = reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)
    live = (found.response.gains != 0).any(dim=1)
    # 5.114 us is the last cell.
    assert live.tolist() == [True, True, False]
    assert found.outside_share == pytest.approx(1 / 3)
    assert found.worst_residual_db == 0.0


def test_a_link_that_lies_beyond_the_window_is_refused() -> None:
    paths = LinkPaths(np.full((1, 2), 1e-4 + 0j), np.array([[9.0e-6, 9.3e-6]]), 1e-3)
    with pytest.raises(ScenarioError, match=r"all paths lie from 9\.00 to 9\.30 us.*5\.11 us"):
        reduce_paths(paths, bandwidth_hz=BANDWIDTH_HZ)


@pytest.mark.parametrize("bandwidth_hz", [0.0, float("nan"), 101e6])
def test_a_band_the_emulator_lacks_is_refused(bandwidth_hz: float) -> None:
    paths = random_paths(np.random.default_rng(0))
    with pytest.raises(ScenarioError, match="bandwidth_hz"):
        reduce_paths(paths, bandwidth_hz=bandwidth_hz)
