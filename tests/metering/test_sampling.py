import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from phyemu.errors import MeterError
from phyemu.metering.sampling import Samples, measure_power, sampled, trapezoid_j


class Source:
    """A source whose value is told by a function, and which counts its readings."""

    def __init__(self, value: Callable[[int], float]) -> None:
        self.value = value
        self.readings = 0
        self.enough = threading.Event()
        self.wanted = 5

    def __call__(self) -> float:
        self.readings += 1
        if self.readings >= self.wanted:
            self.enough.set()
        return self.value(self.readings)

    def wait(self) -> None:
        assert self.enough.wait(30)


def test_a_power_that_rises_evenly_is_integrated_exactly() -> None:
    now_s = [0.0]
    lock = threading.Lock()

    def clock() -> float:
        with lock:
            now_s[0] += 0.125
            return now_s[0]

    # Read between two looks at the clock, 3 W + 2 W/s x t; the mean of both is its date.
    source = Source(lambda _: 3.0 + 2.0 * (now_s[0] + 0.0625))
    with measure_power(source, interval_s=0.0, clock=clock) as energy:
        source.wait()
    start_s, end_s = 0.1875, now_s[0] - 0.0625
    assert energy.duration_s == pytest.approx(end_s - start_s)
    expected_j = 3 * (end_s - start_s) + end_s**2 - start_s**2
    assert energy.energy_j == pytest.approx(expected_j, rel=1e-12)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1e4)), min_size=2, max_size=50))
def test_any_power_in_straight_lines_is_integrated_exactly(
    steps: list[tuple[float, float]],
) -> None:
    times, powers, now = [], [], 0.0
    for step, power in steps:
        now += step
        times.append(now)
        powers.append(power)
    found = trapezoid_j(Samples(times, powers))
    assert found == pytest.approx(float(trapezoid(powers, times)), rel=1e-9, abs=1e-9)


def test_a_block_without_readings_in_it_has_two() -> None:
    source = Source(lambda number: float(number))
    with sampled(source, interval_s=3600.0) as samples:
        pass
    assert samples.values == [1.0, 2.0]


def failing_at(number: int) -> Source:
    def value(reading: int) -> float:
        if reading >= number:
            raise MeterError("the sensor fell off")
        return 1.0

    source = Source(value)
    source.wanted = number
    return source


def test_an_error_between_readings_is_raised_where_the_block_ends() -> None:
    source = failing_at(3)
    reached = False
    with pytest.raises(MeterError, match="fell off"):  # noqa: PT012  where it is raised matters
        with sampled(source, interval_s=0.0):
            source.wait()
            reached = True
    assert reached
    assert source.readings == 3  # it is not asked again


@pytest.mark.parametrize("number", [1, 2])
def test_an_error_at_the_first_or_last_reading_is_raised(number: int) -> None:
    with pytest.raises(MeterError, match="fell off"):
        with sampled(failing_at(number), interval_s=3600.0):
            pass


def test_an_error_of_the_block_comes_first_and_names_that_of_the_meter() -> None:
    source = failing_at(3)

    def block() -> None:
        with sampled(source, interval_s=0.0):
            source.wait()
            raise ValueError("the network failed")

    with pytest.raises(ValueError, match="network failed") as raised:
        block()
    assert raised.value.__notes__ == ["the energy meter had failed, too: the sensor fell off"]


def test_no_thread_is_left_behind() -> None:
    source = Source(lambda _: 1.0)
    with sampled(source, interval_s=0.0):
        source.wait()
        assert any(thread.name.startswith("phyemu-meter") for thread in threading.enumerate())
    assert not any(thread.name.startswith("phyemu-meter") for thread in threading.enumerate())
