"""What a stream and a network of streams are told beside their channels, within its bounds."""

import math
import numbers

from phyemu.errors import ConfigError

__all__ = [
    "MAX_INTERVAL_S",
    "MAX_LEVEL_DB",
    "check_level_db",
    "check_threads",
    "interval_in_samples",
]

# Gains that stand still for longer than a day are gains that stand still.
MAX_INTERVAL_S = 86_400.0
# A single-precision sample spans less than 800 dB either way; no radio spans 400.
MAX_LEVEL_DB = 400.0


def interval_in_samples(interval_s: float, *, sample_rate_hz: float) -> int:
    """Return the samples between two updates of the gains, at least 1.

    Args:
        interval_s: Time between two updates [s], above 0, at most a day.
        sample_rate_hz: Rate of the samples [Hz], positive.

    Raises:
        ConfigError: One of them is out of range.
    """
    if not (math.isfinite(sample_rate_hz) and sample_rate_hz > 0):
        raise ConfigError(f"sample_rate_hz must be positive, got {sample_rate_hz}")
    if not 0 < interval_s <= MAX_INTERVAL_S:
        raise ConfigError(
            f"interval_s must be above 0 and at most {MAX_INTERVAL_S:g} s, got {interval_s}"
        )
    return max(1, round(interval_s * sample_rate_hz))


def check_threads(num_threads: int) -> None:
    """Refuse a number of threads that is none.

    Raises:
        ConfigError: It is not an integer, or below 1.
    """
    if not isinstance(num_threads, numbers.Integral) or num_threads < 1:
        raise ConfigError(f"num_threads must be an integer of at least 1, got {num_threads!r}")


def check_level_db(what: str, level_db: float, *, remedy: str = "") -> None:
    """Refuse a level or a gain [dB] beyond what samples can hold.

    Raises:
        ConfigError: It is not a number from -400 to 400; the message names `what`, and `remedy`.
    """
    if not abs(level_db) <= MAX_LEVEL_DB:
        hint = f"; {remedy}" if remedy else ""
        raise ConfigError(
            f"{what} must be from -{MAX_LEVEL_DB:g} to {MAX_LEVEL_DB:g} dB, got {level_db}{hint}"
        )
