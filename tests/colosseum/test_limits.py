"""Every limit of the emulator is found, and names link, time and tap."""

import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario, check_scenario


def scenario_with(
    gains: list[list[complex]], delays_ns: list[float], **changes: object
) -> Scenario:
    link = ImpulseResponse(
        torch.tensor(gains, dtype=torch.complex64),
        torch.tensor(delays_ns, dtype=torch.float64) * 1e-9,
        1e-3,
    )
    settings: dict[str, object] = {
        "name": "x",
        "description": "",
        "center_frequency_hz": 1e9,
        "bandwidth_hz": 20e6,
        "num_nodes": 2,
        "links": {(1, 2): link},
    }
    return Scenario(**(settings | changes))  # type: ignore[arg-type]


def test_what_fits_has_no_violation() -> None:
    fits = scenario_with([[1 + 1j, 0.1, 0.1, 10 ** (-43 / 20)]], [0, 10, 20, 5110])
    assert check_scenario(fits) == []


@pytest.mark.parametrize(
    ("gains", "delays_ns", "expected"),
    [
        (
            [[1.01]],
            [0],
            "link 1>2, t = 0 ms, tap 0: gain 0.09 dB at 0 ns, allowed is I and Q within",
        ),
        ([[1, 0.1], [1, 0.001]], [0, 10], "link 1>2, t = 1 ms, tap 1: gain -60.00 dB at 10 ns"),
        ([[1, 0.1]], [0, 5120], "link 1>2, t = 0 ms, tap 1: delay 5120 ns"),
        ([[1, 0.1]], [0, 256], "link 1>2, t = 0 ms, tap 1: delay 256 ns is off the 10 ns grid"),
        ([[0, 0, 0, 0, 1], [0.1] * 5], [0, 10, 20, 30, 40], "t = 1 ms, tap 4: 5 taps at once"),
    ],
)
def test_a_violation_names_link_time_and_tap(
    gains: list[list[complex]], delays_ns: list[float], expected: str
) -> None:
    (violation,) = check_scenario(scenario_with(gains, delays_ns))
    assert expected in str(violation)


def test_the_update_step_must_be_whole_milliseconds() -> None:
    odd = scenario_with([[1]], [0], interval_s=1.5e-3)
    assert any("multiples of 1 ms" in str(violation) for violation in check_scenario(odd))


def test_the_number_of_nodes_and_the_bandwidth_are_limits_of_the_whole() -> None:
    (nodes,) = check_scenario(scenario_with([[1]], [0], num_nodes=53))
    assert str(nodes) == "scenario: 53 nodes, at most 52 were tested in one scenario"
    (band,) = check_scenario(scenario_with([[1]], [0], bandwidth_hz=90e6))
    assert str(band) == "scenario: bandwidth 90 MHz, usable are 80 MHz"
