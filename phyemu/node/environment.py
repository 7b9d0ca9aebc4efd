"""The frequencies of a node: radio.conf, colosseum_config.ini over it, environment.json over both.

environment.json supersedes the ini "while a field is present" (Colosseum's Radio C2 API, A.4): a
field that a new environment.json lacks is the ini's again. Files are pushed over the old ones, so
one may be met half-written; such a file changes nothing.
"""

import configparser
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phyemu.errors import ConfigError
from phyemu.node.input_file import read_input
from phyemu.node.layout import NodeLayout

__all__ = [
    "Environment",
    "EnvironmentFiles",
    "RfValues",
    "read_colosseum_config",
    "read_environment_json",
]

_MAX_HZ = 1e11


@dataclass(frozen=True, slots=True)
class RfValues:
    """What one file says.

    Attributes:
        center_frequency_hz: Centre of the scenario [Hz]; None: the file does not say.
        rf_bandwidth_hz: Bandwidth that may be used [Hz]; None: the file does not say.
    """

    center_frequency_hz: float | None = None
    rf_bandwidth_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """What holds.

    Attributes:
        center_frequency_hz: Centre of the scenario [Hz].
        rf_bandwidth_hz: Bandwidth that may be used [Hz]; None: no file says one.
    """

    center_frequency_hz: float
    rf_bandwidth_hz: float | None = None

    def to_table(self) -> dict[str, float | None]:
        """Return it as the worker process reads it."""
        return {
            "center_frequency_hz": self.center_frequency_hz,
            "rf_bandwidth_hz": self.rf_bandwidth_hz,
        }


def _hertz(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 < number <= _MAX_HZ:
        raise ConfigError(
            f"{where} must be more than 0 Hz and at most {_MAX_HZ:g} Hz, got {str(value)[:40]!r}"
        )
    return number


def read_colosseum_config(path: Path) -> RfValues:
    """Return what a colosseum_config.ini says: `[RF] center_frequency`, `rf_bandwidth`.

    Raises:
        FileNotFoundError: There is none.
        ConfigError: It is no INI, or a value is no frequency.
    """
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(read_input(path).decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read as INI ({_first_line(exc)})") from exc
    if not parser.has_section("RF"):
        raise ConfigError(f"{path}: has no section [RF]; is it whole?")
    section = parser["RF"]
    values = (
        _hertz(section[key], f"{path}: [RF] {key}") if key in section else None
        for key in ("center_frequency", "rf_bandwidth")
    )
    found = RfValues(*values)
    if found == RfValues():
        raise ConfigError(f"{path}: [RF] has no center_frequency and no rf_bandwidth; is it whole?")
    return found


def read_environment_json(path: Path) -> RfValues:
    """Return what an environment.json says: the first entry of its list.

    Raises:
        FileNotFoundError: There is none.
        ConfigError: It is no JSON, no list of objects, or a value is no frequency.
    """
    try:
        found = json.loads(read_input(path).decode("utf-8-sig"))
    except ConfigError:
        raise
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: cannot be read as JSON ({_first_line(exc)})") from exc
    entry = found
    if isinstance(found, list):
        entry = found[0] if found else {}  # an empty list: no field is present
    if not isinstance(entry, dict):
        raise ConfigError(f"{path}: must be a list with an object in it, got {str(found)[:40]!r}")
    values = (
        _hertz(entry[key], f"{path}: {key}") if key in entry else None
        for key in ("scenario_center_frequency", "scenario_rf_bandwidth")
    )
    return RfValues(*values)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__


class EnvironmentFiles:
    """Both files as they were last readable."""

    def __init__(self, layout: NodeLayout) -> None:
        """Know neither yet."""
        self._layout = layout
        self._config = RfValues()
        self._updates = RfValues()

    def read(self) -> list[str]:
        """Read both files anew; one that is broken leaves what it said before.

        Returns:
            One line for each file that is broken. One that is missing says nothing, which is no
            fault: environment.json comes with the first update.
        """
        problems: list[str] = []
        self._config = _again(
            read_colosseum_config, self._layout.colosseum_config, self._config, problems
        )
        self._updates = _again(
            read_environment_json, self._layout.environment, self._updates, problems
        )
        return problems

    def over(self, center_frequency_hz: float) -> Environment:
        """Return what holds where radio.conf has this centre frequency [Hz]."""
        layers = (self._updates, self._config)
        centers = [layer.center_frequency_hz for layer in layers]
        bandwidths = [layer.rf_bandwidth_hz for layer in layers]
        return Environment(
            center_frequency_hz=next(
                (value for value in centers if value is not None), center_frequency_hz
            ),
            rf_bandwidth_hz=next((value for value in bandwidths if value is not None), None),
        )


def _again(
    read: Callable[[Path], RfValues], path: Path, before: RfValues, problems: list[str]
) -> RfValues:
    try:
        return read(path)
    except FileNotFoundError:
        return RfValues()
    except ConfigError as exc:
        problems.append(f"{exc}; the values from before hold")
        return before
