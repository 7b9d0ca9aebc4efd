import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from phyemu.evaluation import measure_side_latency, side_latency, stopwatch
from phyemu.evaluation.stopwatch import time_calls


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


def test_medians_and_95th_percentiles_are_of_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(call: Callable[[int], Any], repetitions: int, **_: Any) -> tuple[list[float], Any]:
        return [float(number) for number in range(1, repetitions + 1)], call(0)

    monkeypatch.setattr(side_latency, "time_calls", timed)
    sizes = []

    def side(inputs: torch.Tensor) -> torch.Tensor:
        sizes.append(len(inputs))
        return inputs

    found = measure_side_latency(
        side, torch.zeros(70, 2), device=torch.device("cpu"), stop=threading.Event()
    )
    assert sizes == [1, 64]
    assert found["single"] == {"images": 1, "measurements": 100, "median_s": 50.5, "p95_s": 95.05}
    assert found["batch"]["measurements"] == 10
    assert found["batch"]["median_s"] == pytest.approx(5.5 / 64)
    assert found["batch"]["p95_s"] == pytest.approx(9.55 / 64)
