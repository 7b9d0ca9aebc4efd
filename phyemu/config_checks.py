"""Checks that the settings' dataclasses make of their fields, and what those say that fail."""

import math

from phyemu.errors import ConfigError

__all__ = ["check_counts", "check_positive", "require"]


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with `message` unless `condition` holds."""
    if not condition:
        raise ConfigError(message)


def check_positive(config: object, *names: str) -> None:
    """Raise ConfigError unless the named fields are finite and above zero."""
    for name in names:
        value = getattr(config, name)
        require(math.isfinite(value) and value > 0, f"{name} must be positive, got {value}")


def check_counts(config: object, **least: int) -> None:
    """Raise ConfigError where a field, by name, is below its least value."""
    for name, minimum in least.items():
        value = getattr(config, name)
        require(value >= minimum, f"{name} must be at least {minimum}, got {value}")
