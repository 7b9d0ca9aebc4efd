"""Paths that Sionna really traced, against the frequency response that Sionna computed of them.

`sionna_munich.npz` holds what sionna-rt 2.2.0 made of its scene `munich` at 2.4 GHz: three nodes,
each with a transmitter and a receiver, node 2 at 3 m/s, five steps of 8 ms: `a` and `tau` of
`Paths.cir()`, `h` and `frequencies_hz` of `Paths.cfr()` over 20 MHz.
"""

from pathlib import Path

import numpy as np
import pytest

from phyemu.colosseum import check_scenario, make_scenario, read_ray_tracing, source_of_rays

SIONNA = Path(__file__).with_name("sionna_munich.npz")


def test_the_paths_have_the_frequency_response_that_sionna_computes() -> None:
    sionna = np.load(SIONNA)
    links, num_nodes = read_ray_tracing(SIONNA)
    assert num_nodes == 3
    assert len(links) == 6
    for (tx, rx), paths in links.items():
        turns = np.outer(paths.delays_s[0], sionna["frequencies_hz"].astype(float))
        ours = paths.gains @ np.exp(-2j * np.pi * turns)
        theirs = sionna["h"][rx - 1, 0, tx - 1, 0]
        # Single precision.
        assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max()


def test_the_scenario_is_as_far_from_it_as_it_says() -> None:
    sionna = np.load(SIONNA)
    made = make_scenario(
        source_of_rays(SIONNA), name="munich", center_frequency_hz=1e9, bandwidth_hz=20e6
    )
    assert check_scenario(made.scenario) == []
    frequencies_hz = sionna["frequencies_hz"].astype(float)
    # The trapezoidal rule with 21 points; the report has the integral. They differ by 0.5 dB here.
    weights = np.ones(frequencies_hz.size)
    weights[[0, -1]] = 0.5
    for report in made.links:
        tx, rx = report.link
        response = made.scenario.links[tx, rx]
        turns = np.outer(response.delays_s.numpy(), frequencies_hz)
        ours = response.gains.numpy() @ np.exp(-2j * np.pi * turns)
        ours = ours / 10 ** (made.scenario.constant_gain_db / 20)
        theirs = sionna["h"][rx - 1, 0, tx - 1, 0]
        error = (np.square(np.abs(ours - theirs)) @ weights).sum()
        power = (np.square(np.abs(theirs)) @ weights).sum()
        assert 10 * np.log10(error / power) == pytest.approx(report.residual_db, abs=0.7)
        assert report.residual_db < -10
