"""The settings of fitting a channel model."""

import re
from dataclasses import dataclass
from enum import StrEnum

from phyemu.errors import ConfigError

__all__ = ["FitConfig", "FitMethod"]


class FitMethod(StrEnum):
    """What kind of model is made of the measurement."""

    PARAMETRIC = "parametric"
    """An `EmpiricalChannel`: Rician paths with correlation and Doppler."""
    MEASURED = "measured"
    """A `MeasuredChannel`: the measured responses themselves, resampled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """How soundings become a channel model.

    Attributes:
        name: Name of the model.
        method: Kind of model.
        transmitter: Which link of the recordings to fit: its rank, 0 is the strongest, >= 0; or the
            MAC address of its transmitter, "aa:bb:cc:dd:ee:ff" in small letters.
        max_paths: Most paths of the model, 1..64.
        holdout: Share of the frames kept back to check the fit, 0 (none) to 0.5.
        num_resamples: Bootstrap resamples behind the uncertainties, 20..10000.
        seed: Seed of the bootstrap and of the draws in the held-out check, >= 0.
    """

    name: str = "fitted"
    method: FitMethod = FitMethod.PARAMETRIC
    transmitter: int | str = 0
    max_paths: int = 24
    holdout: float = 0.0
    num_resamples: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: A setting is out of range.
        """
        if not self.name:
            raise ConfigError("name must not be empty")
        if isinstance(self.transmitter, str):
            if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", self.transmitter):
                raise ConfigError(
                    f"transmitter must be a rank or a MAC address as aa:bb:cc:dd:ee:ff, got "
                    f"{self.transmitter!r}"
                )
        elif self.transmitter < 0:
            raise ConfigError(f"transmitter must be 0 or more, got {self.transmitter}")
        if not 1 <= self.max_paths <= 64:
            raise ConfigError(f"max_paths must be 1..64, got {self.max_paths}")
        if not 0 <= self.holdout <= 0.5:
            raise ConfigError(f"holdout must be a share within 0..0.5, got {self.holdout}")
        if not 20 <= self.num_resamples <= 10_000:
            raise ConfigError(f"num_resamples must be 20..10000, got {self.num_resamples}")
        if self.seed < 0:
            raise ConfigError(f"seed must be 0 or more, got {self.seed}")
