import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from phyemu.evaluation import measure_side_latency, side_latency


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
