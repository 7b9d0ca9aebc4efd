"""How long the calls of a network took, in bounded memory."""

import numpy as np

__all__ = ["CallTimes"]

# So many times are kept; then every other one is enough.
_MOST = 4096


class CallTimes:
    """Times of calls so far."""

    def __init__(self) -> None:
        """Begin with none."""
        self._times: list[float] = []

    def add(self, seconds: float) -> None:
        """Add the time of a call [s]."""
        self._times.append(seconds)
        if len(self._times) > _MOST:
            self._times = self._times[::2]

    @property
    def median_s(self) -> float | None:
        """Return the median [s]; None: there was no call."""
        return float(np.median(self._times)) if self._times else None

    @property
    def p95_s(self) -> float | None:
        """Return the 95th percentile [s]; None: there was no call."""
        return float(np.percentile(self._times, 95)) if self._times else None
