"""Scenario files: a JSON header with the static taps, and an .npz beside it for long tap series.

The format is described in docs/colosseum.md.
"""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phyemu.channel import ImpulseResponse
from phyemu.colosseum.scenario import Scenario
from phyemu.errors import ScenarioError

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
)


def load_scenario(path: Path) -> Scenario:
    """Return the scenario in a JSON file.

    Raises:
        ScenarioError: The file is missing or damaged; the message names the field.
    """
    header = _read_header(path)
    reciprocal = bool(header.get("reciprocal", False))
    interval_s = _number(path, header, "interval_s", 1e-3)
    num_nodes = _number(path, header, "num_nodes", None)
    if num_nodes != int(num_nodes) or not 2 <= num_nodes <= 1000:
        raise ScenarioError(f"{path}: num_nodes must be a whole number from 2 to 1000")
    links: dict[tuple[int, int], ImpulseResponse] = {}
    for index, group in enumerate(_list(path, header, "links")):
        where = f"{path}: links[{index}]"
        response = _static_response(where, group, interval_s)
        for tx, rx in _pairs(where, group, int(num_nodes), reciprocal):
            _add(where, links, (tx, rx), response)
    coordinates = None
    if "series" in header:
        series = _read_series(path, str(header["series"]))
        coordinates = series.pop("coordinates", None)
        for pair, response in _series_links(path, series, interval_s).items():
            _add(str(path), links, pair, response)
    if reciprocal:
        for (tx, rx), response in list(links.items()):
            links.setdefault((rx, tx), response)
    origin = header.get("origin")
    try:
        return Scenario(
            name=str(header["name"]),
            description=str(header["description"]),
            center_frequency_hz=_number(path, header, "center_frequency_hz", None),
            bandwidth_hz=_number(path, header, "bandwidth_hz", None),
            num_nodes=int(num_nodes),
            links=links,
            interval_s=interval_s,
            repeats=bool(header.get("repeats", True)),
            constant_gain_db=_number(path, header, "constant_gain_db", 0.0),
            coordinates=None if coordinates is None else torch.from_numpy(coordinates),
            origin=None if origin is None else (float(origin[0]), float(origin[1])),
            derivation=str(header.get("derivation", "")),
            provenance=header.get("provenance", {}),
        )
    except ScenarioError as error:
        raise ScenarioError(f"{path}: {error}") from error
    except (TypeError, ValueError, IndexError) as error:
        raise ScenarioError(f"{path}: origin must be [longitude, latitude]") from error


def save_scenario(scenario: Scenario, path: Path) -> Path:
    """Write the scenario to `path` (.json), long series to an .npz beside it; return the path.

    Links that are the same in both directions are written once.
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
        header["series"] = path.with_suffix(".npz").name
        partial = path.with_name(f".{path.stem}.partial.npz")
        np.savez_compressed(partial, allow_pickle=False, **series)
        partial.replace(path.with_suffix(".npz"))
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
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
    return float(value)


def _list(path: Path, header: Mapping[str, Any], key: str) -> list[Any]:
    value = header[key]
    if not isinstance(value, list):
        raise ScenarioError(f"{path}: {key} must be a list")
    return value


def _static_response(where: str, group: Any, interval_s: float) -> ImpulseResponse:
    try:
        taps = np.asarray(group["taps"], dtype=np.float64).reshape(-1, 3)
    except (KeyError, TypeError, ValueError) as error:
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
    try:
        return [(int(tx), int(rx)) for tx, rx in pairs]
    except (TypeError, ValueError) as error:
        raise ScenarioError(f'{where}: pairs must be "all" or a list of [tx, rx]') from error


def _add(
    where: str,
    links: dict[tuple[int, int], ImpulseResponse],
    pair: tuple[int, int],
    response: ImpulseResponse,
) -> None:
    if pair in links:
        raise ScenarioError(f"{where}: link {pair[0]}>{pair[1]} is given twice")
    links[pair] = response


def _read_series(path: Path, name: str) -> dict[str, np.ndarray[Any, Any]]:
    if Path(name).name != name:
        raise ScenarioError(f"{path}: series must be a file beside it, got {name}")
    try:
        with np.load(path.with_name(name), allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise ScenarioError(f"{path.with_name(name)}: cannot be read as .npz ({error})") from error


def _series_links(
    path: Path, series: Mapping[str, np.ndarray[Any, Any]], interval_s: float
) -> dict[tuple[int, int], ImpulseResponse]:
    links = {}
    for key, gains in series.items():
        if not key.startswith("gains_"):
            continue
        pair = key.removeprefix("gains_")
        try:
            tx, rx = (int(node) for node in pair.split("_"))
            delays_s = series[f"delays_s_{pair}"]
            links[tx, rx] = ImpulseResponse(
                torch.from_numpy(gains.astype(np.complex64)),
                torch.from_numpy(delays_s.astype(np.float64)),
                interval_s,
            )
        except (KeyError, ValueError, TypeError) as error:
            raise ScenarioError(f"{path}: series {key} is damaged ({error})") from error
    return links
