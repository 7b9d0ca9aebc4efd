"""Timers of a simulation: callbacks by time."""

import heapq
from collections.abc import Callable

__all__ = ["Timers"]


class Timers:
    """Callbacks in the order of their times; equal times in the order in which they were set."""

    def __init__(self) -> None:
        """Start without any."""
        self._heap: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def set(self, time_ns: int, callback: Callable[[int], None]) -> None:
        """Call `callback` with the time at `time_ns`; who no longer wants it ignores the call."""
        heapq.heappush(self._heap, (time_ns, self._count, callback))
        self._count += 1

    @property
    def next_ns(self) -> int | None:
        """Return the time of the next; None where there is none."""
        return self._heap[0][0] if self._heap else None

    def fire(self) -> None:
        """Call the next."""
        time_ns, _, callback = heapq.heappop(self._heap)
        callback(time_ns)
