"""The propagation paths of one link over time, before they are made to fit the emulator."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.errors import ScenarioError

__all__ = ["LinkPaths"]


@dataclass(frozen=True, eq=False, slots=True)
class LinkPaths:
    """Any number of paths, whose gains and delays may change from step to step.

    Attributes:
        gains: Physical amplitude gains, (time, path), complex128; 0 where a path is absent.
        delays_s: Delays [s], (time, path), or (1, path) where they stay, float64.
        interval_s: Time between two steps [s].

    Raises:
        ScenarioError: Shapes that do not fit, or values that are no numbers.
    """

    gains: NDArray[np.complex128]
    delays_s: NDArray[np.float64]
    interval_s: float

    def __post_init__(self) -> None:
        """Refuse what describes no link."""
        if self.gains.ndim != 2 or self.gains.size == 0:
            raise ScenarioError(f"gains must be (time, path), got {self.gains.shape}")
        if self.delays_s.shape not in (self.gains.shape, (1, self.gains.shape[1])):
            raise ScenarioError(
                f"delays_s must be {self.gains.shape} like the gains, or one row of them, got "
                f"{self.delays_s.shape}"
            )
        if not (np.isfinite(self.gains).all() and np.isfinite(self.delays_s).all()):
            raise ScenarioError("gains and delays must be finite numbers")
        if not (math.isfinite(self.interval_s) and self.interval_s > 0):
            raise ScenarioError(f"interval_s must be positive, got {self.interval_s}")

    @classmethod
    def of_response(cls, response: ImpulseResponse, *, gain: float = 1.0) -> "LinkPaths":
        """Return the paths of a response, gains (time, path), its amplitudes times `gain`."""
        return cls(
            response.gains.numpy().astype(np.complex128) * gain,
            response.delays_s.numpy()[None].astype(np.float64),
            response.interval_s,
        )

    @property
    def num_steps(self) -> int:
        """Return the number of steps."""
        return int(self.gains.shape[0])

    def from_delay(self, delay_s: float) -> "LinkPaths":
        """Return the paths with the earliest one that ever has power at `delay_s` [s]."""
        present = np.broadcast_to(self.delays_s, self.gains.shape)[self.gains != 0]
        if present.size == 0:
            return self
        moved = self.delays_s + (delay_s - float(present.min()))
        return LinkPaths(self.gains, moved, self.interval_s)

    def is_between(self, first_s: float, last_s: float) -> NDArray[np.bool_]:
        """Return which paths lie at delays from `first_s` to `last_s` [s], (time, path)."""
        inside = (self.delays_s >= first_s) & (self.delays_s <= last_s)
        return np.broadcast_to(inside, self.gains.shape)

    def where(self, kept: NDArray[np.bool_]) -> "LinkPaths":
        """Return the paths with a gain of 0 where `kept`, (time, path), is false."""
        return LinkPaths(np.where(kept, self.gains, 0.0), self.delays_s, self.interval_s)

    def without_repetition(self) -> "LinkPaths":
        """Return one step where nothing ever changes, else the paths as they are."""
        still = (self.gains == self.gains[0]).all() and (self.delays_s == self.delays_s[0]).all()
        if not still:
            return self
        return LinkPaths(self.gains[:1], self.delays_s[:1], self.interval_s)
