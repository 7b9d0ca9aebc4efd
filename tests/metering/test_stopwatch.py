import threading
from types import SimpleNamespace

import pytest

from phyemu.metering import stopwatch, time_calls


def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Return a clock that only a test moves."""
    found = SimpleNamespace(now_s=100.0)
    found.perf_counter = lambda: found.now_s
    monkeypatch.setattr(stopwatch, "time", found)
    return found


def test_times_are_those_of_the_calls_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    time = clock(monkeypatch)

    def call(number: int) -> int:
        time.now_s += (50.0, 1.0, 3.0, 2.0)[number]
        return number

    assert time_calls(call, 3) == ([1.0, 3.0, 2.0], 3)
    # One is timed however long the first took.
    assert time_calls(call, 3, budget_s=10.0) == ([1.0], 1)
    assert time_calls(call, 3, budget_s=53.0) == ([1.0, 3.0], 2)
    stop = threading.Event()
    stop.set()
    assert time_calls(call, 3, stop=stop) == ([], 0)
