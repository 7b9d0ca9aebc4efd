"""Every published scenario against its published table, retyped from Colosseum's documentation."""

import itertools
import math

import numpy as np
import pytest
import torch

from phyemu.colosseum import Scenario, check_scenario, load_scenario
from phyemu.library import find_in_library, library_names

Table = dict[tuple[int, int], tuple[list[int], list[complex]]]

# id: nodes, frequency [GHz], delay [ns], gain [dB] of the one tap that all links share.
UNIFORM: dict[str, tuple[int, float, int, float]] = {
    "1009": (10, 1.0, 0, 0.0),
    "10009": (25, 1.0, 0, 0.0),
    "51005": (20, 1.0, 0, -5.0),
    "51010": (20, 1.0, 0, -10.0),
    "51015": (20, 1.0, 0, -15.0),
    "51020": (20, 1.0, 0, -20.0),
    "51025": (20, 1.0, 0, -25.0),
    "51030": (20, 1.0, 0, -30.0),
    "52001": (20, 0.832, 10, 0.0),
    "52002": (20, 2.4, 10, 0.0),
    "52003": (20, 2.54, 10, 0.0),
    "52004": (20, 3.6, 10, 0.0),
    "52005": (20, 5.5, 10, 0.0),
    "52006": (20, 5.9, 10, 0.0),
    "90000": (32, 1.0, 10, 0.0),
}
# Delays in ns, linear amplitudes.
TABLES: dict[str, Table] = {
    "90001": {
        (1, 2): ([0, 256], [1, 1]),
        (1, 3): ([0, 256], [1, 1j]),
        (1, 4): ([0, 256], [1, -1]),
        (1, 5): ([0, 256], [1, 0.01]),
        (2, 3): ([0, 500], [1, 1]),
        (2, 4): ([0, 500], [1, 1j]),
        (2, 5): ([0, 500], [1, -1]),
        (3, 4): ([0, 1], [1, 1]),
        (3, 5): ([0, 1], [1, -1]),
        (4, 5): ([0, 128, 200, 400], [0.5 + 0.5j, 0.1, -0.01 + 0.1j, -0.5j]),
    },
    "90002": {
        (1, 2): ([0, 128], [1, 1]),
        (1, 3): ([0, 128, 256], [1, 1, 1]),
        (1, 4): ([0, 128], [1, 0.5]),
        (1, 5): ([0, 128], [1, -0.5]),
        (2, 3): ([0, 100, 200, 300], [1, 1, 1, 1]),
        (2, 4): ([0, 256], [1, 1 + 1j]),
        (2, 5): ([0, 150], [1, 0.4 + 0.4j]),
        (3, 4): ([0, 150, 300], [0.8 + 0.5j, 0.4 + 0.2j, 0.3 - 0.1j]),
        (3, 5): ([150, 300], [1, 0.5]),
        (4, 5): ([0, 128, 256, 512], [1, 0.8, 0.6, 0.4]),
    },
    "90003": {
        (1, 2): ([0, 185, 426], [1, 1, 1]),
        (1, 3): ([0, 211, 582, 900], [1, 0.4, 0.7, 0.9]),
        (1, 4): ([0, 128, 200, 400], [0.7079, 0.1, 0.1778, 0.3981]),
        (1, 5): ([0, 128, 200, 400], [0.6645, 0.0891, 0.0178, 0.1778]),
        (2, 5): ([0, 128, 200, 400], [0.6645, 0.1585, 0.0178, 0.0891]),
        (3, 4): ([0, 128, 200, 350], [0.6645, 0.1585, 0.3548, 0.0398]),
        (3, 5): ([0, 110, 240, 300], [1, 0.8, 0.6, 0.5]),
        (4, 5): ([0, 128, 200, 400], [0.6645, 0.1585, 0.3548, 0.0282]),
    },
}
# 90004..90009: one tap at 0 ns, at 1, 2, ... 6 GHz.
LOSSES_DB = dict(zip(itertools.combinations(range(1, 6), 2), range(0, -50, -5), strict=True))


def shipped(name: str) -> Scenario:
    return load_scenario(find_in_library(name, "colosseum"))


def assert_holds(scenario: Scenario, table: Table) -> None:
    """Check that the scenario has these links in both directions, and no other."""
    assert set(scenario.links) == {pair for link in table for pair in (link, link[::-1])}
    for link, (delays_ns, gains) in table.items():
        for pair in (link, link[::-1]):
            response = scenario.links[pair]
            np.testing.assert_allclose(1e9 * response.delays_s.numpy(), delays_ns, rtol=1e-12)
            np.testing.assert_allclose(response.gains.numpy(), [gains], rtol=1e-6)


def test_every_shipped_scenario_is_in_a_table_or_ours() -> None:
    known = {*UNIFORM, *TABLES, *(str(90004 + k) for k in range(6))}
    assert set(library_names("colosseum")) - known == {
        *("urban-40db", "urban-80db", "urban-40db-5", "urban-80db-5")
    }


@pytest.mark.parametrize("name", UNIFORM)
def test_all_links_share_the_one_tap_of_the_table(name: str) -> None:
    num_nodes, frequency_ghz, delay_ns, gain_db = UNIFORM[name]
    scenario = shipped(name)
    assert scenario.num_nodes == num_nodes
    assert scenario.center_frequency_hz == pytest.approx(1e9 * frequency_ghz)
    pairs = itertools.combinations(range(1, num_nodes + 1), 2)
    assert_holds(scenario, {pair: ([delay_ns], [10 ** (gain_db / 20)]) for pair in pairs})
    assert check_scenario(scenario) == []


@pytest.mark.parametrize("name", TABLES)
def test_every_link_has_the_taps_of_the_table(name: str) -> None:
    scenario = shipped(name)
    assert (scenario.num_nodes, scenario.center_frequency_hz) == (5, 1e9)
    assert_holds(scenario, TABLES[name])


@pytest.mark.parametrize("step", range(6))
def test_losses_grow_by_5_db_from_link_to_link(step: int) -> None:
    scenario = shipped(str(90004 + step))
    assert scenario.center_frequency_hz == (1 + step) * 1e9
    table = {pair: ([0], [10 ** (loss / 20)]) for pair, loss in LOSSES_DB.items()}
    assert_holds(scenario, table)
    # -45 dB is below the emulator's range: the one thing that is wrong with it.
    assert [v.link for v in check_scenario(scenario)] == [(4, 5), (5, 4)]
    assert float(scenario.path_gain_db()[3, 4]) == pytest.approx(-45.0, abs=1e-4)
    assert math.isinf(float(torch.diagonal(scenario.path_gain_db()).max()))
