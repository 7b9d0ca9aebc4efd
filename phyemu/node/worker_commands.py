"""The lines that a worker is told: JSON objects, and what becomes of other lines."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from io import RawIOBase
from typing import Any

from phyemu.errors import ConfigError
from phyemu.node.environment import Environment
from phyemu.node.radio_conf import RadioConf

__all__ = [
    "Configure",
    "Discontinuity",
    "SetEnvironment",
    "Start",
    "Statistics",
    "Stop",
    "WorkerCommand",
    "parse_command",
    "read_commands",
]

_MAX_LINE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Configure:
    """What to be; the first line."""

    conf: RadioConf
    environment: Environment


@dataclass(frozen=True, slots=True)
class Start:
    """Begin to work."""


@dataclass(frozen=True, slots=True)
class SetEnvironment:
    """Another frequency or bandwidth."""

    environment: Environment


@dataclass(frozen=True, slots=True)
class Discontinuity:
    """The scenario starts over."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Tell the counts."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish."""


WorkerCommand = Configure | Start | SetEnvironment | Discontinuity | Statistics | Stop

_PLAIN: dict[str, Callable[[], WorkerCommand]] = {
    "start": Start,
    "discontinuity": Discontinuity,
    "statistics": Statistics,
    "stop": Stop,
}


def parse_command(line: bytes) -> WorkerCommand:
    """Return the command in a line.

    Raises:
        ConfigError: It is none, or one with values that are out of range.
    """
    try:
        table = json.loads(line)
    except (ValueError, RecursionError) as exc:
        reason = (str(exc).splitlines() or [type(exc).__name__])[0]
        raise ConfigError(
            f"a command must be a line of JSON, got {line[:40]!r} ({reason})"
        ) from exc
    name = table.get("command") if isinstance(table, dict) else None
    if isinstance(name, str) and name in _PLAIN:
        return _PLAIN[name]()
    if name == "environment":
        return SetEnvironment(_environment(table))
    if name == "configure":
        conf, environment = table.get("radio_conf"), table.get("environment")
        if not isinstance(conf, dict) or not isinstance(environment, dict):
            raise ConfigError("configure: radio_conf and environment must be objects")
        return Configure(RadioConf.from_table(conf), _environment(environment))
    known = ", ".join(["configure", "environment", *_PLAIN])
    raise ConfigError(f"unknown command {str(name)[:40]!r}; known: {known}")


def _environment(table: dict[str, Any]) -> Environment:
    def hertz(key: str) -> float:
        value = table.get(key)
        known = isinstance(value, int | float) and not isinstance(value, bool)
        number = float(value) if known and value is not None else math.nan
        if not 0 < number < math.inf:
            raise ConfigError(f"environment: {key} must be positive [Hz], got {str(value)[:40]!r}")
        return number

    bandwidth_hz = None
    if table.get("rf_bandwidth_hz") is not None:
        bandwidth_hz = hertz("rf_bandwidth_hz")
    return Environment(hertz("center_frequency_hz"), bandwidth_hz)


def read_commands(
    stream: RawIOBase, take: Callable[[WorkerCommand], None], refuse: Callable[[str], None]
) -> None:
    """Take every command of a stream until its end, which is a `Stop`.

    Args:
        stream: Lines.
        take: Called with each command.
        refuse: Called with one line for each line that is none.
    """
    while line := stream.readline(_MAX_LINE_BYTES):
        if not line.strip():
            continue
        try:
            take(parse_command(line))
        except ConfigError as exc:
            refuse(" ".join(str(exc).split()))
    take(Stop())
