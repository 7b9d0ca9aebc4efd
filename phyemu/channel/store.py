"""Channel models and impulse responses in HDF5; the layout is described in docs/channels.md."""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from phyemu.channel.awgn import Awgn, AwgnRange
from phyemu.channel.distribution import Distribution
from phyemu.channel.doppler import DopplerSpectrum
from phyemu.channel.drift import LargeScaleDrift
from phyemu.channel.empirical import UNCERTAIN_QUANTITIES, EmpiricalChannel
from phyemu.channel.envelope import FadingFamily
from phyemu.channel.hdf5 import StoreReader, StoreWriter
from phyemu.channel.impairments import FrontEnd
from phyemu.channel.measured import MeasuredChannel, Playback
from phyemu.channel.model import ChannelModel
from phyemu.channel.noise_level import NoiseLevel
from phyemu.channel.profiles import DelayProfile
from phyemu.channel.response import ImpulseResponse
from phyemu.channel.tapped_delay_line import TappedDelayLine
from phyemu.errors import ConfigError, StoreError

__all__ = ["load_model", "load_responses", "save_model", "save_responses"]

_FRONT_END_UNITS = {
    "cfo_hz": "Hz",
    "sfo_ppm": "ppm",
    "linewidth_hz": "Hz",
    "iq_gain_db": "dB",
    "iq_phase_rad": "rad",
    "dc_offset": "full scale",
}


def save_model(
    model: ChannelModel,
    path: Path | str,
    *,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write a channel model to an HDF5 file and return its path.

    Args:
        model: `Awgn`, `AwgnRange`, `TappedDelayLine`, `EmpiricalChannel` or `MeasuredChannel`.
        path: File to write; it appears whole or not at all.
        provenance: JSON values; None: the model's own.
        force: Overwrite an existing file.

    Raises:
        ConfigError: The model is of another type, or the file exists.
        StoreError: The file cannot be written.
    """
    if not isinstance(
        model, Awgn | AwgnRange | TappedDelayLine | EmpiricalChannel | MeasuredChannel
    ):
        raise ConfigError(f"a {type(model).__name__} cannot be stored; store its parts")
    if provenance is None:
        provenance = getattr(model, "provenance", {})
    with StoreWriter(path, kind="channel-model", provenance=provenance, force=force) as store:
        store.attribute("/", "name", model.name)
        store.attribute("/", "model", type(model).__name__)
        if isinstance(model, Awgn | AwgnRange):
            _write_noise(store, model.noise)
        elif isinstance(model, TappedDelayLine):
            _write_noise(store, model.noise)
            _write_front_end(store, model.front_end)
            store.dataset("paths/delays_s", model.profile.delays_s, unit="s")
            store.dataset("paths/powers", model.profile.powers, unit="")
            store.dataset("paths/k_factor", model.profile.k_factor, unit="")
            store.attribute("paths", "doppler_hz", model.doppler_hz)
            store.attribute("paths", "specular_doppler_hz", model.specular_doppler_hz)
            store.attribute("paths", "spectrum", str(model.spectrum))
        elif isinstance(model, EmpiricalChannel):
            _write_empirical(store, model)
        else:
            _write_noise(store, model.noise)
            _write_front_end(store, model.front_end)
            store.attribute("/", "playback", str(model.playback))
            _write_responses(store, model.responses)
    return Path(path)


def load_model(path: Path | str) -> ChannelModel:
    """Return the channel model in an HDF5 file.

    Raises:
        StoreError: The file is not what it should be; the message names what.
    """
    with StoreReader(path, kind="channel-model") as store:
        kind = store.text("/", "model")
        try:
            match kind:
                case "Awgn" | "AwgnRange":
                    noise = _read_noise(store)
                    if noise.snr_db is None:
                        raise StoreError(f"{path}: group noise/snr_db is missing")
                    if kind == "Awgn":
                        return Awgn(noise.snr_db.mean)
                    return AwgnRange(noise.snr_db.minimum, noise.snr_db.maximum)
                case "TappedDelayLine":
                    return _read_tapped_delay_line(store)
                case "EmpiricalChannel":
                    return _read_empirical(store)
                case "MeasuredChannel":
                    return MeasuredChannel(
                        name=store.text("/", "name"),
                        responses=_read_responses(store),
                        noise=_read_noise(store),
                        playback=Playback(store.text("/", "playback")),
                        front_end=_read_front_end(store),
                        provenance=store.provenance,
                    )
                case _:
                    raise StoreError(f"{path}: attribute model is {kind!r}, no model of phyemu's")
        except ValueError as exc:  # every value was read, but they contradict each other
            raise StoreError(f"{path}: {exc}") from exc


def save_responses(
    response: ImpulseResponse,
    path: Path | str,
    *,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write impulse responses, gains (time, path), to an HDF5 file and return its path."""
    if response.gains.ndim != 2:
        raise ConfigError(f"responses must be (time, path), got {tuple(response.gains.shape)}")
    with StoreWriter(path, kind="responses", provenance=provenance or {}, force=force) as store:
        _write_responses(store, response)
    return Path(path)


def load_responses(path: Path | str) -> ImpulseResponse:
    """Return the impulse responses in an HDF5 file that `save_responses` wrote.

    Raises:
        StoreError: The file is not what it should be; the message names what.
    """
    with StoreReader(path, kind="responses") as store:
        return _read_responses(store)


def _write_responses(store: StoreWriter, response: ImpulseResponse) -> None:
    gains = response.gains.detach().cpu().numpy().astype(np.complex64)
    store.dataset("responses/gains", gains, unit="")
    store.dataset("responses/delays_s", response.delays_s.cpu().numpy(), unit="s")
    store.attribute("responses", "interval_s", response.interval_s)


def _read_responses(store: StoreReader) -> ImpulseResponse:
    delays_s = store.array("responses/delays_s", shape=(None,))
    gains = store.array("responses/gains", shape=(None, len(delays_s)), kind="complex")
    try:
        return ImpulseResponse(
            torch.from_numpy(gains.astype(np.complex64)),
            torch.from_numpy(delays_s),
            store.number("responses", "interval_s"),
        )
    except ValueError as exc:
        raise StoreError(f"{store.path}: responses: {exc}") from exc


def _write_distribution(
    store: StoreWriter, group: str, distribution: Distribution, unit: str
) -> None:
    for name in ("mean", "std", "minimum", "maximum"):
        store.attribute(group, name, getattr(distribution, name))
    store.attribute(group, "unit", unit)
    if distribution.quantiles:
        store.dataset(f"{group}/quantiles", distribution.quantiles, unit=unit)


def _read_distribution(store: StoreReader, group: str) -> Distribution:
    quantiles: tuple[float, ...] = ()
    if store.has(f"{group}/quantiles"):
        quantiles = tuple(store.array(f"{group}/quantiles", shape=(None,)).tolist())
    try:
        return Distribution(
            mean=store.number(group, "mean"),
            std=store.number(group, "std"),
            minimum=store.number(group, "minimum"),
            maximum=store.number(group, "maximum"),
            quantiles=quantiles,
        )
    except ConfigError as exc:
        raise StoreError(f"{store.path}: group {group}: {exc}") from exc


def _write_noise(store: StoreWriter, noise: NoiseLevel) -> None:
    if noise.snr_db is not None:
        _write_distribution(store, "noise/snr_db", noise.snr_db, "dB")
    if noise.cn0_dbhz is not None:
        _write_distribution(store, "noise/cn0_dbhz", noise.cn0_dbhz, "dB Hz")


def _read_noise(store: StoreReader) -> NoiseLevel:
    found = {
        name: _read_distribution(store, f"noise/{name}")
        for name in ("snr_db", "cn0_dbhz")
        if store.has(f"noise/{name}")
    }
    try:
        return NoiseLevel(**found)
    except ConfigError as exc:
        raise StoreError(f"{store.path}: group noise: {exc}") from exc


def _write_front_end(store: StoreWriter, front_end: FrontEnd) -> None:
    for name, unit in _FRONT_END_UNITS.items():
        _write_distribution(store, f"front_end/{name}", getattr(front_end, name), unit)
    store.attribute("front_end", "clip_level", front_end.clip_level)
    store.attribute("front_end", "bits", front_end.bits)
    if front_end.center_frequency_hz is not None:
        store.attribute("front_end", "center_frequency_hz", front_end.center_frequency_hz)


def _read_front_end(store: StoreReader) -> FrontEnd:
    values: dict[str, Any] = {
        name: _read_distribution(store, f"front_end/{name}") for name in _FRONT_END_UNITS
    }
    values["clip_level"] = store.number("front_end", "clip_level")
    values["bits"] = int(_finite(store, "front_end", "bits"))
    if store.has_attribute("front_end", "center_frequency_hz"):
        values["center_frequency_hz"] = store.number("front_end", "center_frequency_hz")
    try:
        return FrontEnd(**values)
    except ConfigError as exc:
        raise StoreError(f"{store.path}: group front_end: {exc}") from exc


def _finite(store: StoreReader, group: str, name: str) -> float:
    value = store.number(group, name)
    if math.isinf(value):
        raise StoreError(f"{store.path}: attribute {group}/{name} is infinite")
    return value


def _paths(store: StoreReader, *, k_finite: bool = False) -> dict[str, tuple[float, ...]]:
    delays_s = store.array("paths/delays_s", shape=(None,))
    count = len(delays_s)
    return {
        "delays_s": tuple(delays_s.tolist()),
        "powers": tuple(store.array("paths/powers", shape=(count,)).tolist()),
        "k_factor": tuple(store.array("paths/k_factor", shape=(count,), finite=k_finite).tolist()),
    }


def _spectrum(store: StoreReader) -> DopplerSpectrum:
    text = store.text("paths", "spectrum")
    if text not in set(DopplerSpectrum):
        known = ", ".join(DopplerSpectrum)
        raise StoreError(f"{store.path}: attribute paths/spectrum is {text!r}; known: {known}")
    return DopplerSpectrum(text)


def _read_tapped_delay_line(store: StoreReader) -> TappedDelayLine:
    return TappedDelayLine(
        profile=DelayProfile(name=store.text("/", "name"), **_paths(store)),
        noise=_read_noise(store),
        doppler_hz=_finite(store, "paths", "doppler_hz"),
        spectrum=_spectrum(store),
        specular_doppler_hz=_finite(store, "paths", "specular_doppler_hz"),
        front_end=_read_front_end(store),
    )


def _write_empirical(store: StoreWriter, model: EmpiricalChannel) -> None:
    _write_noise(store, model.noise)
    _write_front_end(store, model.front_end)
    store.dataset("paths/delays_s", model.delays_s, unit="s")
    store.dataset("paths/powers", model.powers, unit="")
    store.dataset("paths/k_factor", model.k_factor, unit="")
    store.dataset("paths/doppler_hz", model.doppler_hz, unit="Hz")
    if model.specular_phase_rad:
        store.dataset("paths/specular_phase_rad", model.specular_phase_rad, unit="rad")
    if model.correlation:
        store.dataset("paths/correlation", np.array(model.correlation, np.complex128), unit="")
    if model.family:
        store.texts("paths/family", [str(family) for family in model.family])
    if model.shape:
        store.dataset("paths/shape", model.shape, unit="")
    if model.drift is not None:
        store.attribute("drift", "std_db", model.drift.std_db)
        store.attribute("drift", "correlation_s", model.drift.correlation_s)
    for name, ends in model.uncertainty.items():
        store.dataset(f"uncertainty/{name}", ends, unit=UNCERTAIN_QUANTITIES[name])
    store.attribute("paths", "spectrum", str(model.spectrum))
    if model.block_s is not None:
        store.attribute("paths", "block_s", model.block_s)
    store.attribute("/", "sample_rate_hz", model.sample_rate_hz)
    store.attribute("/", "bandwidth_hz", model.bandwidth_hz)
    if model.center_frequency_hz is not None:
        store.attribute("/", "center_frequency_hz", model.center_frequency_hz)


def _read_empirical(store: StoreReader) -> EmpiricalChannel:
    paths = _paths(store)
    count = len(paths["delays_s"])
    noise = _read_noise(store)
    model = EmpiricalChannel(
        name=store.text("/", "name"),
        doppler_hz=tuple(store.array("paths/doppler_hz", shape=(count,)).tolist()),
        cn0_dbhz=noise.cn0_dbhz,
        snr_db=noise.snr_db,
        front_end=_read_front_end(store),
        spectrum=_spectrum(store),
        sample_rate_hz=_finite(store, "/", "sample_rate_hz"),
        bandwidth_hz=_finite(store, "/", "bandwidth_hz"),
        provenance=store.provenance,
        delays_s=paths["delays_s"],
        powers=paths["powers"],
        k_factor=paths["k_factor"],
    )
    changes: dict[str, Any] = {"uncertainty": _read_uncertainty(store)}
    if store.has("paths/family"):
        words = store.texts("paths/family", count=count, allowed=list(FadingFamily))
        changes["family"] = tuple(FadingFamily(word) for word in words)
    if store.has("paths/shape"):
        changes["shape"] = tuple(store.array("paths/shape", shape=(count,)).tolist())
    if store.has("drift"):
        changes["drift"] = LargeScaleDrift(
            std_db=_finite(store, "drift", "std_db"),
            correlation_s=_finite(store, "drift", "correlation_s"),
        )
    if store.has("paths/specular_phase_rad"):
        values = store.array("paths/specular_phase_rad", shape=(count,))
        changes["specular_phase_rad"] = tuple(values.tolist())
    if store.has("paths/correlation"):
        matrix = store.array("paths/correlation", shape=(count, count), kind="complex")
        changes["correlation"] = tuple(tuple(row) for row in matrix.tolist())
    if store.has_attribute("paths", "block_s"):
        changes["block_s"] = _finite(store, "paths", "block_s")
    if store.has_attribute("/", "center_frequency_hz"):
        changes["center_frequency_hz"] = _finite(store, "/", "center_frequency_hz")
    return dataclasses.replace(model, **changes)


def _read_uncertainty(store: StoreReader) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the intervals in the file; names that this version does not know are passed over."""
    found = {}
    for name in UNCERTAIN_QUANTITIES:
        if store.has(f"uncertainty/{name}"):
            ends = store.array(f"uncertainty/{name}", shape=(None, 2), finite=False)
            found[name] = tuple((low, high) for low, high in ends.tolist())
    return found
