"""Times of repeated calls: what every latency of this package is measured with."""

import math
import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["time_calls"]

_Result = TypeVar("_Result")


def time_calls(
    call: Callable[[int], _Result],
    repetitions: int,
    *,
    stop: threading.Event | None = None,
    budget_s: float = math.inf,
) -> tuple[list[float], _Result]:
    """Return the times of calls [s], and the last result; the first call is not timed.

    Args:
        call: What is timed; it is given how often it was called before.
        repetitions: Timed calls.
        stop: Ends it with what there is.
        budget_s: No call begins after so long, but one is timed in any case [s].
    """
    begun_s = time.perf_counter()
    result = call(0)
    taken: list[float] = []
    for number in range(1, repetitions + 1):
        if stop is not None and stop.is_set():
            break
        if taken and time.perf_counter() - begun_s > budget_s:
            break
        start_s = time.perf_counter()
        result = call(number)
        taken.append(time.perf_counter() - start_s)
    return taken, result
