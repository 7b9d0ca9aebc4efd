"""Scenario files: a JSON header with the static taps, and an .npz beside it for long tap series.

The format is described in docs/colosseum.md.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.npz import read_npz
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError, SignalError
from phyemu.file_hash import file_sha256

__all__ = ["load_scenario", "save_scenario"]

_FORMAT = "phyemu-scenario"
_VERSION = 1
_REQUIRED = ("name", "description", "center_frequency_hz", "bandwidth_hz", "num_nodes", "links")
_OPTIONAL = (
    "interval_s",
    "repeats",
    "constant_gain_db",
    "origin",
    "derivation",
    "provenance",
    "reciprocal",
    "series",
    "series_sha256",
)
_MOST_NODES = 1000
_SERIES = re.compile(r"(gains|delays_s)_([1-9][0-9]{0,3})_([1-9][0-9]{0,3})")


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a JSON file.

    Raises:
        ScenarioError: The file is missing or damaged; the message names the field.
    """
    header = _read_header(path)
    reciprocal = _flag(path, header, "reciprocal", False)
    interval_s = _number(path, header, "interval_s", 1e-3)
    num_nodes = _number(path, header, "num_nodes", None)
    if not (2 <= num_nodes <= _MOST_NODES and num_nodes == int(num_nodes)):
        raise ScenarioError(f"{path}: num_nodes must be a whole number from 2 to {_MOST_NODES}")
    if not (math.isfinite(interval_s) and interval_s > 0):
        raise ScenarioError(f"{path}: interval_s must be positive, got {interval_s}")
    links: dict[tuple[int, int], ImpulseResponse] = {}
    for index, group in enumerate(_list(path, header, "links")):
        where = f"{path}: links[{index}]"
        response = _static_response(where, group, interval_s)
        for tx, rx in _pairs(where, group, int(num_nodes), reciprocal):
            _add(where, links, (tx, rx), response)
    coordinates = None
    if "series" in header:
        series = _read_series(path, header)
        coordinates = _coordinates(path, series.pop("coordinates", None))
        for pair, response in _series_links(path, series, interval_s).items():
            _add(str(path), links, pair, response)
    if reciprocal:
        for (tx, rx), response in list(links.items()):
            links.setdefault((rx, tx), response)
    try:
        return Scenario(
            name=_text(path, header, "name"),
            description=_text(path, header, "description"),
            center_frequency_hz=_number(path, header, "center_frequency_hz", None),
            bandwidth_hz=_number(path, header, "bandwidth_hz", None),
            num_nodes=int(num_nodes),
            links=links,
            interval_s=interval_s,
            repeats=_flag(path, header, "repeats", True),
            constant_gain_db=_number(path, header, "constant_gain_db", 0.0),
            coordinates=coordinates,
            origin=_origin(path, header.get("origin")),
            derivation=_text(path, header, "derivation"),
            provenance=_provenance(path, header.get("provenance", {})),
        )
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def save_scenario(scenario: Scenario, path: Path) -> Path:
    """Write the scenario to `path` (.json), long series to an .npz beside it; return the path.

    Links that are the same in both directions are written once. Each file is written whole or not
    at all; a header whose series is not the one that was written with it is refused by
    `load_scenario`.

    Raises:
        ScenarioError: A file cannot be written.
    """
    links = dict(scenario.links)
    reciprocal = scenario.is_reciprocal
    if reciprocal:
        links = {pair: response for pair, response in links.items() if pair[0] < pair[1]}
    groups: dict[str, dict[str, Any]] = {}
    series: dict[str, np.ndarray[Any, Any]] = {}
    for (tx, rx), response in sorted(links.items()):
        if response.num_steps == 1:
            taps = [
                [delay_s, gain.real, gain.imag]
                for delay_s, gain in zip(
                    response.delays_s.tolist(), response.gains[0].tolist(), strict=True
                )
            ]
            group = groups.setdefault(json.dumps(taps), {"pairs": [], "taps": taps})
            group["pairs"].append([tx, rx])
        else:
            series[f"delays_s_{tx}_{rx}"] = response.delays_s.numpy()
            series[f"gains_{tx}_{rx}"] = response.gains.numpy()
    header: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "name": scenario.name,
        "description": scenario.description,
        "center_frequency_hz": scenario.center_frequency_hz,
        "bandwidth_hz": scenario.bandwidth_hz,
        "num_nodes": scenario.num_nodes,
        "interval_s": scenario.interval_s,
        "repeats": scenario.repeats,
        "constant_gain_db": scenario.constant_gain_db,
        "derivation": scenario.derivation,
        "provenance": dict(scenario.provenance),
        "reciprocal": reciprocal,
    }
    if scenario.origin is not None:
        header["origin"] = list(scenario.origin)
    if scenario.coordinates is not None:
        series["coordinates"] = scenario.coordinates.numpy()
    header["links"] = list(groups.values())
    if series:
        file = path.with_suffix(".npz")
        header["series"] = file.name
        with _written_whole(file, path.with_name(f".{path.stem}.partial.npz")) as partial:
            np.savez_compressed(partial, allow_pickle=False, **series)
            header["series_sha256"] = file_sha256(partial)
    with _written_whole(path, path.with_name(f".{path.name}.partial")) as partial:
        partial.write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    return path


@contextmanager
def _written_whole(path: Path, partial: Path) -> Iterator[Path]:
    """Give `partial` to be written, which is then `path`; where that fails, it is gone."""
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _read_header(path: Path) -> dict[str, Any]:
    if path.suffix == ".mat":
        raise ScenarioError(
            f"{path}: an exchange file; make a scenario of it: "
            f"phyemu colosseum scenario make --mat {path} -o {path.stem}.json"
        )
    try:
        header = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{path}: is no JSON ({error})") from error
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ScenarioError(f'{path}: is no scenario; it needs "format": "{_FORMAT}"')
    if header.get("version") != _VERSION:
        raise ScenarioError(
            f"{path}: version {header.get('version')} is not known; this phyemu reads {_VERSION}"
        )
    missing = [key for key in _REQUIRED if key not in header]
    if missing:
        raise ScenarioError(f"{path}: lacks {', '.join(missing)}")
    unknown = sorted(set(header) - {"format", "version", *_REQUIRED, *_OPTIONAL})
    if unknown:
        raise ScenarioError(f"{path}: unknown field {', '.join(unknown)}")
    return header


def _number(path: Path, header: Mapping[str, Any], key: str, default: float | None) -> float:
    value = header.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScenarioError(f"{path}: {key} must be a number, got {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ScenarioError(f"{path}: {key} is too large for a number") from None


def _flag(path: Path, header: Mapping[str, Any], key: str, default: bool) -> bool:
    value = header.get(key, default)
    if not isinstance(value, bool):
        raise ScenarioError(f"{path}: {key} must be true or false, got {value!r}")
    return value


def _text(path: Path, header: Mapping[str, Any], key: str) -> str:
    value = header.get(key, "")
    if not isinstance(value, str):
        raise ScenarioError(f"{path}: {key} must be a text, got {value!r}")
    return value


def _provenance(path: Path, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioError(f"{path}: provenance must be an object, got {value!r}")
    return value


def _origin(path: Path, value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_degrees, value)):
        raise ScenarioError(f"{path}: origin must be [longitude, latitude], got {value!r}")
    return float(value[0]), float(value[1])


def _is_degrees(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 360


def _coordinates(path: Path, value: np.ndarray[Any, Any] | None) -> torch.Tensor | None:
    if value is None:
        return None
    if value.dtype.kind not in "iuf" or value.ndim != 3 or not np.isfinite(value).all():
        raise ScenarioError(
            f"{path}: coordinates must be finite numbers (node, 3, time), got {value.dtype} "
            f"{value.shape}"
        )
    return torch.from_numpy(value.astype(np.float64))


def _list(path: Path, header: Mapping[str, Any], key: str) -> list[Any]:
    value = header[key]
    if not isinstance(value, list):
        raise ScenarioError(f"{path}: {key} must be a list")
    return value


def _static_response(where: str, group: Any, interval_s: float) -> ImpulseResponse:
    if isinstance(group, dict) and set(group) - {"pairs", "taps"}:
        unknown = ", ".join(sorted(set(group) - {"pairs", "taps"}))
        raise ScenarioError(f"{where}: unknown field {unknown}")
    try:
        taps = np.asarray(group["taps"], dtype=np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ScenarioError(f"{where}: taps must be a list of [delay_s, re, im]") from error
    if taps.shape[0] == 0 or not np.isfinite(taps).all():
        raise ScenarioError(f"{where}: taps must be at least one, and finite")
    gains = torch.from_numpy(taps[:, 1] + 1j * taps[:, 2]).to(torch.complex64)
    return ImpulseResponse(gains[None], torch.from_numpy(taps[:, 0].copy()), interval_s)


def _pairs(where: str, group: Any, num_nodes: int, reciprocal: bool) -> list[tuple[int, int]]:
    pairs = group.get("pairs")
    if pairs == "all":
        nodes = range(1, num_nodes + 1)
        return list(
            itertools.combinations(nodes, 2) if reciprocal else itertools.permutations(nodes, 2)
        )
    fits = isinstance(pairs, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(type(node) is int for node in pair)
        for pair in pairs
    )
    if not fits:
        raise ScenarioError(f'{where}: pairs must be "all" or a list of [tx, rx]')
    return [(tx, rx) for tx, rx in pairs]


def _add(
    where: str,
    links: dict[tuple[int, int], ImpulseResponse],
    pair: tuple[int, int],
    response: ImpulseResponse,
) -> None:
    if pair in links:
        raise ScenarioError(f"{where}: link {pair[0]}>{pair[1]} is given twice")
    links[pair] = response


def _read_series(path: Path, header: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    name = _text(path, header, "series")
    if not name or Path(name).name != name:
        raise ScenarioError(f"{path}: series must be a file beside it, got {name!r}")
    file = path.with_name(name)
    series = read_npz(file)
    expected = header.get("series_sha256")
    if expected is not None and expected != file_sha256(file):
        raise ScenarioError(
            f"{file}: is not the series that {path.name} was written with (its SHA-256 differs); "
            "make the scenario again"
        )
    return series


def _series_links(
    path: Path, series: Mapping[str, np.ndarray[Any, Any]], interval_s: float
) -> dict[tuple[int, int], ImpulseResponse]:
    links = {}
    for key, gains in series.items():
        match = _SERIES.fullmatch(key)
        if match is None:
            raise ScenarioError(
                f"{path}: its series holds the unknown array {key}; it takes gains_TX_RX, "
                "delays_s_TX_RX and coordinates"
            )
        pair = f"{match[2]}_{match[3]}"
        if match[1] == "delays_s":
            if f"gains_{pair}" not in series:
                raise ScenarioError(f"{path}: series {key} comes without gains_{pair}")
            continue
        delays_s = series.get(f"delays_s_{pair}")
        if delays_s is None or delays_s.dtype.kind not in "iuf" or gains.dtype.kind not in "iufc":
            raise ScenarioError(f"{path}: series {key} is damaged (it needs numbers, and delays)")
        with np.errstate(over="ignore"):  # an infinite gain is refused with its link
            single = gains.astype(np.complex64, copy=False)
        try:
            links[int(match[2]), int(match[3])] = ImpulseResponse(
                torch.from_numpy(single),
                torch.from_numpy(delays_s.astype(np.float64, copy=False)),
                interval_s,
            )
        except SignalError as error:
            raise ScenarioError(f"{path}: series {key} is damaged ({error})") from error
    return links
