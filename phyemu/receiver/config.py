"""Settings of the receiver."""

import math
from dataclasses import dataclass

from phyemu.errors import ConfigError

__all__ = ["ReceiverConfig"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceiverConfig:
    """Settings of the receiver; the defaults suit a frame at 20 Msps over an indoor link.

    Attributes:
        max_cfo_hz: Largest carrier offset searched, either way [Hz]; None for 1 % of the symbol
            rate (100 kHz at 20 Msps). At most a third of the inverse of a preamble period.
        max_sfo_ppm: Largest sampling clock offset searched, either way [ppm], 0..200.
        false_alarm_rate: Probability that white noise passes for a preamble at one sample, > 0.
        early_symbols: Delays of the channel considered before the strongest path [symbols].
        late_symbols: And behind it [symbols].
        decision_directed: Follow a channel that changes within a frame by the decisions
            (`phyemu.receiver.decision_directed`), which takes several times as long. Training
            (`receive_aligned`) does not.

    Raises:
        ConfigError: A setting is out of range.
    """

    max_cfo_hz: float | None = None
    max_sfo_ppm: float = 60.0
    false_alarm_rate: float = 1e-13
    early_symbols: int = 10
    late_symbols: int = 18
    decision_directed: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.max_cfo_hz is not None and not (
            math.isfinite(self.max_cfo_hz) and self.max_cfo_hz >= 0
        ):
            raise ConfigError(f"max_cfo_hz must be a number >= 0 or None, got {self.max_cfo_hz}")
        if not 0 <= self.max_sfo_ppm <= 200:
            raise ConfigError(f"max_sfo_ppm must be 0..200, got {self.max_sfo_ppm}")
        if not 0 < self.false_alarm_rate <= 1e-3:
            raise ConfigError(f"false_alarm_rate must be in (0, 1e-3], got {self.false_alarm_rate}")
        for name in ("early_symbols", "late_symbols"):
            if not 1 <= getattr(self, name) <= 128:
                raise ConfigError(f"{name} must be 1..128, got {getattr(self, name)}")
