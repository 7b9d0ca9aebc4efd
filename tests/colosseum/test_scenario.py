"""The scenario type refuses contradictions and knows its gains."""

import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum import Scenario
from phyemu.errors import ScenarioError


def response(*taps: tuple[float, complex], steps: int = 1) -> ImpulseResponse:
    """Return a response of (delay_ns, gain) taps, the same at every step."""
    gains = torch.tensor([[gain for _, gain in taps]] * steps, dtype=torch.complex64)
    delays = torch.tensor([delay * 1e-9 for delay, _ in taps], dtype=torch.float64)
    return ImpulseResponse(gains, delays, 1e-3)


def scenario(**changes: object) -> Scenario:
    settings: dict[str, object] = {
        "name": "lab",
        "description": "two nodes",
        "center_frequency_hz": 1e9,
        "bandwidth_hz": 20e6,
        "num_nodes": 2,
        "links": {(1, 2): response((0, 0.5), (100, 0.5j)), (2, 1): response((0, 1))},
    }
    return Scenario(**(settings | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"links": {(1, 3): response((0, 1))}}, "outside 1..2"),
        ({"links": {(1, 1): response((0, 1))}}, "to itself"),
        ({"links": {(1, 2): response((0, complex("nan")))}}, "NaN"),
        ({"num_nodes": 1}, "at least 2 nodes"),
        ({"center_frequency_hz": 0.0}, "center_frequency_hz must be positive"),
        (
            {"links": {(1, 2): response((0, 1), steps=3), (2, 1): response((0, 1), steps=2)}},
            "same number",
        ),
    ],
)
def test_contradictions_are_refused_with_the_link_named(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        scenario(**change)


def test_path_gain_adds_the_powers_of_the_taps() -> None:
    gain_db = scenario().path_gain_db()
    assert gain_db[0, 1].item() == pytest.approx(-3.0103, abs=1e-3)
    assert gain_db[1, 0].item() == pytest.approx(0.0, abs=1e-6)
    assert gain_db[0, 0].item() == -torch.inf


def test_on_grid_moves_delays_and_adds_what_meets() -> None:
    crowded = scenario(links={(1, 2): response((101, 0.5), (98, 0.25), (256, 0.1))})
    link = crowded.on_grid().links[1, 2]
    assert link.delays_s.tolist() == [100e-9, 260e-9]
    torch.testing.assert_close(link.gains, torch.tensor([[0.75, 0.1]], dtype=torch.complex64))
