"""Real time, on a clock of the test's own."""

import pytest

from phyemu.live.pacer import Pacer


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_samples_leave_when_they_are_due_without_drift() -> None:
    clock = Clock()
    pacer = Pacer(1000.0, clock=clock)
    left_at = []
    for _ in range(2000):
        clock.now += pacer.wait_s(7)
        left_at.append(clock.now)
        clock.now += 0.003  # the work itself takes time, less than the samples last
    assert left_at[0] == 50.0
    assert left_at[-1] == pytest.approx(50.0 + 1999 * 7 / 1000)
    assert pacer.num_stalls == 0


def test_a_short_delay_is_made_up_for_and_a_long_one_is_not() -> None:
    clock = Clock()
    pacer = Pacer(1000.0, clock=clock)
    assert pacer.wait_s(100) == 0
    clock.now += 0.15  # 50 ms late
    assert pacer.wait_s(100) == 0
    assert pacer.wait_s(100) == pytest.approx(0.05)
    assert pacer.num_stalls == 0
    clock.now += 10.0
    assert pacer.wait_s(100) == 0
    assert pacer.num_stalls == 1
    assert pacer.wait_s(100) == pytest.approx(0.1)
