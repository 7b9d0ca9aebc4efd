"""Real time: when the next samples of a stream are due."""

import time
from collections.abc import Callable

__all__ = ["Pacer"]

# A stream this late has stalled: it goes on from now, and does not rush to catch up [s].
_SLACK_S = 0.1


class Pacer:
    """Says how long the next samples have to wait, so that they leave at the sample rate.

    Attributes:
        num_stalls: How often the stream was more than 0.1 s late, and started a new timeline.
    """

    def __init__(
        self, sample_rate_hz: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._clock = clock
        self._anchor_s: float | None = None
        self._sent = 0
        self.num_stalls = 0

    def wait_s(self, num_samples: int) -> float:
        """Return the time until the next `num_samples` samples may leave [s], and count them."""
        now = self._clock()
        if self._anchor_s is None:
            self._anchor_s = now
        due = self._anchor_s + self._sent / self._rate_hz
        if now - due > _SLACK_S:
            self.num_stalls += 1
            self._anchor_s, self._sent, due = now, 0, now
        self._sent += num_samples
        return max(0.0, due - now)
