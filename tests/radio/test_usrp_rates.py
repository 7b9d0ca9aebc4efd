"""Rates that a device can have, and the master clocks they need."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from phyemu.errors import ConfigError, RadioError
from phyemu.radio.usrp_rates import check_rate, master_clock_hz, nearest_rates


class Divided:
    """What an X310 can have: its clock over 1 to 512."""

    clock_hz = 200e6

    def start(self) -> float:
        return self.clock_hz / 512

    def stop(self) -> float:
        return self.clock_hz

    def clip(self, value: float) -> float:
        return min((self.clock_hz / n for n in range(1, 513)), key=lambda rate: abs(rate - value))


@given(st.floats(0.1e6, 300e6))
def test_the_nearest_rates_are_those_of_a_search_through_all(wanted: float) -> None:
    rates = [200e6 / n for n in range(512, 0, -1)]
    below = [rate for rate in rates if rate <= wanted][-1:]
    above = [rate for rate in rates if rate >= wanted][:1]
    assert nearest_rates(Divided(), wanted) == sorted({*below, *above})


def test_a_rate_that_the_device_cannot_have_is_refused_with_the_nearest() -> None:
    with pytest.raises(RadioError, match=r"X310 cannot have 30 Msps .* 28.5714 and 33.3333 Msps"):
        check_rate("X310", 200e6 / 7, 30e6, Divided())
    with pytest.raises(RadioError, match=r"nearest rates are 0.25 Msps"):
        check_rate("B210", 0.25e6, 0.1e6, None)


def test_a_rounded_rate_is_accepted() -> None:
    check_rate("B210", 19_999_990.0, 20e6, None)


@pytest.mark.parametrize(
    ("kind", "rate", "channels", "clock"),
    [
        ("x300", 20e6, 1, None),
        ("x300", 30.72e6, 2, 184.32e6),
        ("x300", 15.36e6, 1, 184.32e6),
        ("x300", 30e6, 1, None),  # neither has it; the device's answer is refused later
        ("b200", 20e6, 1, None),  # its own choice knows of one channel, and is right
        ("b200", 20e6, 2, 20e6),
        ("b200", 10e6, 2, 20e6),
        ("b200", 5e6, 2, 20e6),
        ("b200", 1e6, 2, 28e6),
        ("b200", 30.72e6, 2, 30.72e6),
        ("e3xx", 20e6, 2, None),
    ],
)
def test_the_master_clock_suits_the_rate(
    kind: str, rate: float, channels: int, clock: float | None
) -> None:
    assert master_clock_hz(kind, rate, channels) == clock


def test_two_channels_of_a_b210_are_too_fast() -> None:
    with pytest.raises(ConfigError, match=r"up to 30.72 MHz each, got 40 MHz"):
        master_clock_hz("b200", 40e6, 2)
