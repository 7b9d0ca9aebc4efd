"""An estimate with its confidence interval."""

import math
from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate and the ends of its 95 % confidence interval, in the unit of its field."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def contains(self, truth: float) -> bool:
        """Return whether `truth` lies within the ends."""
        return self.low <= truth <= self.high
