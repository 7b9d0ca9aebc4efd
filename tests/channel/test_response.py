"""The impulse response: what it computes of itself, and what it refuses."""

import math

import pytest
import torch

from phyemu.channel import ImpulseResponse
from phyemu.errors import SignalError


def two_paths() -> ImpulseResponse:
    gains = torch.tensor([[1.0, 1j], [1.0, -1j]], dtype=torch.complex64)
    return ImpulseResponse(gains, torch.tensor([0.0, 100e-9], dtype=torch.float64), 1e-3)


def test_two_equal_paths_have_half_their_distance_as_delay_spread() -> None:
    response = two_paths()
    assert response.mean_delay_s() == pytest.approx(50e-9)
    assert response.rms_delay_spread_s() == pytest.approx(50e-9)


def test_frequency_response_is_the_sum_of_turning_phasors() -> None:
    frequencies_hz = torch.tensor([0.0, 2.5e6, -5e6], dtype=torch.float64)
    transfer = two_paths().frequency_response(frequencies_hz)
    for step, gain in enumerate([1j, -1j]):
        for index, frequency_hz in enumerate(frequencies_hz.tolist()):
            angle = -2 * math.pi * frequency_hz * 100e-9
            expected = 1 + gain * complex(math.cos(angle), math.sin(angle))
            assert complex(transfer[step, index]) == pytest.approx(expected, abs=1e-6)


def test_power_delay_profile_is_sorted_by_delay() -> None:
    gains = torch.tensor([[2.0, 1.0]], dtype=torch.complex64)
    response = ImpulseResponse(gains, torch.tensor([5e-9, 1e-9], dtype=torch.float64), 1.0)
    delays_s, powers = response.power_delay_profile()
    assert delays_s.tolist() == [1e-9, 5e-9]
    assert powers.tolist() == [1.0, 4.0]


@pytest.mark.parametrize(
    ("gains", "delays_s", "interval_s", "message"),
    [
        (torch.ones(1, 2), torch.zeros(2, dtype=torch.float64), 1.0, "complex"),
        (torch.ones(1, 2) + 0j, torch.zeros(3, dtype=torch.float64), 1.0, "delays_s"),
        (torch.ones(1, 2) + 0j, torch.zeros(2), 1.0, "float64"),
        (torch.ones(0, 2) + 0j, torch.zeros(2, dtype=torch.float64), 1.0, "at least one"),
        (torch.ones(1, 1) + 0j, torch.tensor([math.nan], dtype=torch.float64), 1.0, "NaN"),
        (torch.ones(1, 1) + 0j, torch.zeros(1, dtype=torch.float64), 0.0, "interval_s"),
    ],
)
def test_contradictions_are_refused(
    gains: torch.Tensor, delays_s: torch.Tensor, interval_s: float, message: str
) -> None:
    with pytest.raises(SignalError, match=message):
        ImpulseResponse(gains, delays_s, interval_s)
