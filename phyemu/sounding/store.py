"""Soundings in HDF5: one file per recording, one group per transmitter (docs/sounding.md)."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.channel.hdf5 import StoreReader, StoreWriter
from phyemu.errors import SignalError, StoreError
from phyemu.sounding.front_end import Estimate, FrontEndEstimate
from phyemu.sounding.sounding import Sounding
from phyemu.wifi import WifiTable, address_number, address_text

__all__ = ["load_soundings", "save_soundings"]

_KIND = "soundings"
# Arrays with one value per frame, and whether they may be unknown (NaN).
_PER_FRAME = {
    "time_s": ("s", True),
    "cfo_hz": ("Hz", True),
    "sfo_ppm": ("ppm", False),
    "cn0_dbhz": ("dB Hz", True),
    "received_power_dbfs": ("dBFS", True),
    "noise_floor_dbfs": ("dBFS", True),
    "confidence": ("", True),
}
# Columns of a `WifiTable`, its unit, and whether it holds integers.
_WIFI = {
    "format": ("", True),
    "rate_mbps": ("Mb/s", False),
    "mcs": ("", True),
    "length": ("octets", True),
    "frame_control": ("", True),
    "transmitter_address": ("", True),
    "receiver_address": ("", True),
    "implied_sender": ("", True),
    "fcs_ok": ("", True),
}
_FRONT_END = {
    "dc_offset_i": "full scale",
    "dc_offset_q": "full scale",
    "iq_gain_db": "dB",
    "iq_phase_rad": "rad",
    "linewidth_hz": "Hz",
}


def save_soundings(
    soundings: Sequence[Sounding],
    path: Path | str,
    *,
    provenance: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write the links of a recording to an HDF5 file and return its path.

    Args:
        soundings: At least one, all of one recording.
        path: File to write; it appears whole or not at all.
        provenance: JSON values beside those that the soundings carry (the command, say).
        force: Overwrite an existing file.

    Raises:
        SignalError: There is no sounding.
        ConfigError: The file exists.
        StoreError: The file cannot be written.
    """
    if not soundings:
        raise SignalError("there is no sounding to save")
    first = soundings[0]
    origin = {
        **first.provenance,
        **(provenance or {}),
        "recording": first.recording_name,
        "recording_sha512": first.recording_sha512,
    }
    with StoreWriter(path, kind=_KIND, provenance=origin, force=force) as store:
        store.attribute("/", "num_links", len(soundings))
        for index, sounding in enumerate(soundings):
            _write_link(store, f"links/{index}", sounding)
    return Path(path)


def load_soundings(path: Path | str) -> list[Sounding]:
    """Return the links in an HDF5 file that `save_soundings` wrote, the strongest first.

    Raises:
        StoreError: The file is not what it should be; the message names what.
    """
    with StoreReader(path, kind=_KIND) as store:
        count = store.number("/", "num_links")
        if not (count >= 1 and count == int(count)):
            raise StoreError(f"{path}: attribute num_links is {count:g}, wanted 1 or more")
        return [_read_link(store, f"links/{index}") for index in range(int(count))]


def _write_link(store: StoreWriter, group: str, sounding: Sounding) -> None:
    store.attribute(group, "probe", sounding.probe)
    store.attribute(group, "sample_rate_hz", sounding.sample_rate_hz)
    store.attribute(group, "bandwidth_hz", sounding.bandwidth_hz)
    if sounding.center_frequency_hz is not None:
        store.attribute(group, "center_frequency_hz", sounding.center_frequency_hz)
    store.dataset(f"{group}/sample_start", sounding.sample_start, unit="samples")
    store.dataset(f"{group}/frequencies_hz", sounding.frequencies_hz, unit="Hz")
    store.dataset(f"{group}/transfer", sounding.transfer, unit="full scale")
    store.dataset(f"{group}/noise_variance", sounding.noise_variance, unit="full scale^2")
    for name, (unit, _) in _PER_FRAME.items():
        store.dataset(f"{group}/{name}", getattr(sounding, name), unit=unit)
    if sounding.transmitter_address is not None:
        store.attribute(group, "transmitter_address", sounding.transmitter_address)
    if sounding.wifi is not None:
        for name, (unit, _) in _WIFI.items():
            store.dataset(f"{group}/wifi/{name}", getattr(sounding.wifi, name), unit=unit)
    for name, unit in _FRONT_END.items():
        estimate: Estimate = getattr(sounding.front_end, name)
        store.dataset(f"{group}/front_end/{name}", [estimate.value, estimate.std], unit=unit)
    paths = sounding.paths
    gains = paths.gains.detach().cpu().numpy().astype(np.complex64)
    store.dataset(f"{group}/paths/gains", gains, unit="full scale")
    store.dataset(f"{group}/paths/delays_s", paths.delays_s.cpu().numpy(), unit="s")
    store.attribute(f"{group}/paths", "interval_s", paths.interval_s)


def _read_link(store: StoreReader, group: str) -> Sounding:
    starts: NDArray[np.int64] = store.array(f"{group}/sample_start", shape=(None,), kind="int")
    frequencies = store.array(f"{group}/frequencies_hz", shape=(None,))
    grid = (len(starts), len(frequencies))
    delays_s = store.array(f"{group}/paths/delays_s", shape=(None,))
    gains = store.array(f"{group}/paths/gains", shape=(len(starts), len(delays_s)), kind="complex")
    per_frame = {
        name: store.array(f"{group}/{name}", shape=(len(starts),), finite=finite)
        for name, (_, finite) in _PER_FRAME.items()
    }
    estimates = {
        name: store.array(f"{group}/front_end/{name}", shape=(2,), finite=False).tolist()
        for name in _FRONT_END
    }
    provenance = store.provenance
    sha512 = provenance.get("recording_sha512")
    bandwidth_hz = store.number(group, "bandwidth_hz")
    if not (math.isfinite(bandwidth_hz) and bandwidth_hz > 0):
        raise StoreError(f"{store.path}: attribute {group}/bandwidth_hz is {bandwidth_hz:g}")
    try:
        return Sounding(
            probe=store.text(group, "probe"),
            sample_rate_hz=store.number(group, "sample_rate_hz"),
            bandwidth_hz=bandwidth_hz,
            center_frequency_hz=(
                store.number(group, "center_frequency_hz")
                if store.has_attribute(group, "center_frequency_hz")
                else None
            ),
            transmitter=int(group.rpartition("/")[2]),
            sample_start=starts,
            frequencies_hz=frequencies,
            transfer=store.array(f"{group}/transfer", shape=grid, kind="complex").astype(
                np.complex64
            ),
            noise_variance=store.array(f"{group}/noise_variance", shape=grid),
            front_end=FrontEndEstimate(
                **{name: Estimate(value=value, std=std) for name, (value, std) in estimates.items()}
            ),
            paths=ImpulseResponse(
                torch.from_numpy(gains.astype(np.complex64)),
                torch.from_numpy(delays_s),
                store.number(f"{group}/paths", "interval_s"),
            ),
            transmitter_address=_read_address(store, group),
            wifi=_read_wifi(store, group, len(starts)),
            recording_name=str(provenance.get("recording", "")),
            recording_sha512=sha512 if isinstance(sha512, str) else None,
            provenance=provenance,
            **per_frame,
        )
    except SignalError as exc:
        raise StoreError(f"{store.path}: group {group}: {exc}") from exc


def _read_address(store: StoreReader, group: str) -> str | None:
    """Return the transmitter's address; files of earlier versions have none."""
    if not store.has_attribute(group, "transmitter_address"):
        return None
    return address_text(address_number(store.text(group, "transmitter_address")))


def _read_wifi(store: StoreReader, group: str, count: int) -> WifiTable | None:
    """Return what the frames say of themselves; files of earlier versions do not tell."""
    if not store.has(f"{group}/wifi"):
        return None
    columns = {
        name: store.array(
            f"{group}/wifi/{name}",
            shape=(count,),
            kind="int" if integer else "float",
            finite=integer,
        )
        for name, (_, integer) in _WIFI.items()
    }
    return WifiTable(**columns)
