"""Soundings of one link, made at different times, as a single one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.sounding.config import SoundingConfig
from phyemu.sounding.delay_axis import lateness_s, mean_profile
from phyemu.sounding.paths import PathModel, extract_paths
from phyemu.sounding.sounding import Sounding

__all__ = ["join_soundings"]

_JOINED = (
    "cfo_hz",
    "sfo_ppm",
    "cn0_dbhz",
    "received_power_dbfs",
    "noise_floor_dbfs",
    "confidence",
    "noise_variance",
)


def join_soundings(
    soundings: Sequence[Sounding],
    begins_s: Sequence[float],
    *,
    config: SoundingConfig | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Sounding:
    """Return the frames of several soundings of a link as one sounding.

    Each counts delays from its own first path, which noise may find or miss; so the later ones are
    moved to where their mean power delay profile matches that of the first, and the paths are
    extracted anew from all frames. The front end is that of the sounding with the most frames.

    Args:
        soundings: At least one, of the same probe on the same frequencies.
        begins_s: When each recording began [s]; times count from the earliest.
        config: Settings of the paths; None for the defaults.
        provenance: JSON values that replace those of the soundings.

    Raises:
        SignalError: There is none, or they are of different probes, rates or frequencies.
    """
    if not soundings or len(soundings) != len(begins_s):
        raise SignalError(f"{len(soundings)} soundings and {len(begins_s)} times cannot be joined")
    order = np.argsort(begins_s, kind="stable").tolist()
    ordered = [soundings[index] for index in order]
    first = ordered[0]
    for other in ordered[1:]:
        _check_alike(first, other)
    config = config or SoundingConfig()
    offsets = np.array(begins_s, float)[order] - min(begins_s)
    time_s = np.concatenate(
        [one.time_s + begin for one, begin in zip(ordered, offsets, strict=True)]
    )
    reference = mean_profile(first)
    transfer = np.concatenate([_moved(one, reference) for one in ordered])
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(one, name) for one in ordered]) for name in _JOINED
    }
    interval_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else first.paths.interval_s
    paths = extract_paths(
        transfer,
        noise_variance=columns["noise_variance"],
        frequencies_hz=first.frequencies_hz,
        period_s=1.0 / float(np.diff(first.frequencies_hz).min()),
        interval_s=max(interval_s, 1e-9),
        model=PathModel(
            max_paths=config.max_paths,
            dynamic_range_db=config.dynamic_range_db,
            false_path_rate=config.false_path_rate,
        ),
    )
    first_s = float(paths.delays_s.min())
    turned = np.exp(2j * np.pi * first.frequencies_hz * first_s)
    most = max(ordered, key=lambda one: one.num_frames)
    joined: Sounding = replace(
        most,
        transmitter=0,
        sample_start=np.round(time_s * first.sample_rate_hz).astype(np.int64),
        time_s=time_s,
        transfer=(transfer * turned).astype(np.complex64),
        paths=replace(paths, delays_s=paths.delays_s - first_s),
        wifi=None,
        transmitter_address=None,
        recording_name=first.recording_name,
        recording_sha512=None if len(ordered) > 1 else first.recording_sha512,
        provenance=dict(first.provenance if provenance is None else provenance),
        **columns,
    )
    return joined


def _moved(sounding: Sounding, reference: NDArray[np.float64]) -> NDArray[np.complex64]:
    late_s = lateness_s(mean_profile(sounding), reference, sounding.frequencies_hz)
    turned = np.exp(2j * np.pi * sounding.frequencies_hz * late_s)
    moved: NDArray[np.complex64] = (sounding.transfer * turned).astype(np.complex64)
    return moved


def _check_alike(first: Sounding, other: Sounding) -> None:
    alike = (
        other.probe == first.probe
        and other.sample_rate_hz == first.sample_rate_hz
        and other.frequencies_hz.shape == first.frequencies_hz.shape
        and np.allclose(other.frequencies_hz, first.frequencies_hz, rtol=0, atol=1.0)
    )
    if not alike:
        raise SignalError(
            f"{other.recording_name or 'a sounding'} was sounded with {other.probe!r} over "
            f"{other.bandwidth_hz / 1e6:g} MHz, {first.recording_name or 'the first'} with "
            f"{first.probe!r} over {first.bandwidth_hz / 1e6:g} MHz or on other frequencies; they "
            "cannot be joined"
        )
