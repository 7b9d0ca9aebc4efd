"""Settings from TOML and back: unknown keys refused, types checked, defaults made visible."""

import dataclasses
import difflib
import json
import tomllib
import types
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from phyemu.errors import ConfigError

__all__ = ["from_table", "read_toml", "table_to_toml", "to_table", "to_toml"]

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the table that a TOML file holds.

    Raises:
        ConfigError: The file is missing or no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise ConfigError(f"{path}: cannot be read as TOML ({exc})") from exc


def from_table(kind: type[T], table: Mapping[str, Any], *, where: str) -> T:
    """Return a dataclass from a table; nested dataclasses come from nested tables.

    Args:
        kind: A dataclass; fields may be numbers, strings, booleans, enums, optional, dataclasses,
            tuples, dictionaries by name, or `object` for any value.
        table: Values by field name; absent ones take their defaults.
        where: Named in messages: a file, or a file and a table in it.

    Raises:
        ConfigError: An unknown key (the near match is named), a missing one, a wrong type, or a
            value that the dataclass refuses.
    """
    hints = get_type_hints(kind)
    known = [item for item in dataclasses.fields(kind) if item.init]  # type: ignore[arg-type]
    names = [item.name for item in known]
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"
            raise ConfigError(f"{where}: unknown key {key!r}; {hint}")
    values = {}
    for item in known:
        if item.name in table:
            values[item.name] = _value(hints[item.name], table[item.name], f"{where}: {item.name}")
        elif item.default is item.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {item.name} is missing")
    try:
        return kind(**values)
    except ConfigError as exc:
        raise ConfigError(f"{where}: {exc}") from exc


def _value(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type `hint`, or raise ConfigError."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _value(next(part for part in arguments if part is not type(None)), value, where)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"{where} must be one of {', '.join(arguments)}, got {value!r}")
        return value
    if origin is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        return tuple(
            _value(arguments[0], entry, f"{where} {index}" if isinstance(entry, dict) else where)
            for index, entry in enumerate(value, start=1)
        )
    if hint is Any:
        return value
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return {key: _value(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    if hint is object:  # whatever TOML can hold
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a table, got {value!r}")
        return from_table(hint, value, where=where)  # type: ignore[arg-type]
    if issubclass(hint, StrEnum):
        try:
            return hint(value)
        except ValueError as exc:
            raise ConfigError(f"{where} must be one of {', '.join(hint)}, got {value!r}") from exc
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} must be of type {hint.__name__}, got {value!r}")
    return value


def to_table(config: Any) -> dict[str, Any]:
    """Return the settings of a dataclass as a table, every default written out, None left out."""
    table: dict[str, Any] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            table[item.name] = to_table(value)
        elif isinstance(value, tuple):
            table[item.name] = list(value)
        elif value is not None:
            table[item.name] = value
    return table


def to_toml(config: Any) -> str:
    """Return the settings of a dataclass as TOML, every default written out, None left out."""
    return table_to_toml(to_table(config))


def table_to_toml(table: Mapping[str, Any]) -> str:
    """Return a table of plain values, lists and tables as TOML."""
    return "\n".join(_lines(table, "")) + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> list[str]:
    plain, tables = [], []
    for key, value in table.items():
        if isinstance(value, Mapping):
            name = f"{prefix}{key}"
            tables += ["", f"[{name}]", *_lines(value, f"{name}.")]
        else:
            plain.append(f"{key} = {_literal(value)}")
    return plain + tables


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_literal(entry) for entry in value) + "]"
    if isinstance(value, str):
        return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string
    return repr(value)
