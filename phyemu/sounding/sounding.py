"""The result of sounding: one link as a time series of measured responses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from phyemu.channel import ImpulseResponse
from phyemu.errors import SignalError
from phyemu.sounding.front_end import FrontEndEstimate
from phyemu.wifi import WifiTable

__all__ = ["Sounding", "on_common_frequencies", "rms_delay_spread_s"]

_PER_FRAME = (
    "time_s",
    "cfo_hz",
    "sfo_ppm",
    "cn0_dbhz",
    "received_power_dbfs",
    "noise_floor_dbfs",
    "confidence",
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Sounding:
    """One link over N frames: its response on F frequencies, its paths, and its offsets.

    The transfer is a ratio of amplitudes, received [full scale] over transmitted, where the probe
    is sent with unit mean power over the occupied band: the mean of |transfer|^2 over frequencies
    is the received power of the frame. Frames are aligned in time (delay 0 is the first path), but
    keep the carrier phase with which they were received.

    Attributes:
        probe: "sounder", "wifi" or "reference".
        sample_rate_hz: Of the recording [Hz].
        bandwidth_hz: Width of the band in which `transfer` was measured [Hz].
        center_frequency_hz: Of the recording [Hz]; None where it does not say.
        transmitter: 0 for the strongest link of the recording, 1 for the next, ...
        sample_start: First sample of each frame in the recording, (N,), int64.
        time_s: The same as time since the recording began, (N,), float64 [s].
        frequencies_hz: Baseband frequencies of the columns, (F,), float64, ascending [Hz].
        transfer: LS estimate of the response, (N, F), complex64.
        noise_variance: Total complex variance of the error of each value of `transfer`, (N, F),
            float64.
        cfo_hz: Carrier frequency offset, (N,), float64 [Hz].
        sfo_ppm: Sampling frequency offset, positive when the transmitter's clock is fast, (N,),
            float64 [ppm]; NaN where the probe cannot tell.
        cn0_dbhz: Received power over noise power per hertz, (N,), float64 [dB Hz].
        received_power_dbfs: Mean power of the probe without the noise, (N,), float64 [dBFS].
        noise_floor_dbfs: Noise power in the whole sample rate, (N,), float64 [dBFS].
        confidence: Probability-like score that this is a frame of the probe, (N,), 0..1.
        front_end: DC offset, IQ imbalance and phase noise with their uncertainties.
        paths: Super-resolution paths common to all frames: gains (N, P) as (time, path), delays
            (P,) ascending, the first path at delay 0.
        transmitter_address: MAC address "aa:bb:cc:dd:ee:ff" that its frames name, or that their
            exchanges imply; None where nothing does.
        wifi: What each frame says of itself, N rows; None for other probes, and where a file was
            written before it was kept.
        recording_name: File name of the recording.
        recording_sha512: Hash of its samples; None where the metadata has none.
        provenance: What made it: command, version, settings.
    """

    probe: str
    sample_rate_hz: float
    bandwidth_hz: float
    center_frequency_hz: float | None
    transmitter: int
    sample_start: NDArray[np.int64]
    time_s: NDArray[np.float64]
    frequencies_hz: NDArray[np.float64]
    transfer: NDArray[np.complex64]
    noise_variance: NDArray[np.float64]
    cfo_hz: NDArray[np.float64]
    sfo_ppm: NDArray[np.float64]
    cn0_dbhz: NDArray[np.float64]
    received_power_dbfs: NDArray[np.float64]
    noise_floor_dbfs: NDArray[np.float64]
    confidence: NDArray[np.float64]
    paths: ImpulseResponse
    front_end: FrontEndEstimate = field(default_factory=FrontEndEstimate)
    transmitter_address: str | None = None
    wifi: WifiTable | None = None
    recording_name: str = ""
    recording_sha512: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the arrays belong together.

        Raises:
            SignalError: No frame, or a field of another length.
        """
        num_frames = len(self.sample_start)
        if num_frames == 0:
            raise SignalError("a Sounding needs at least one frame, got none")
        grid = (num_frames, len(self.frequencies_hz))
        for name in ("transfer", "noise_variance"):
            if getattr(self, name).shape != grid:
                raise SignalError(
                    f"Sounding.{name} must be (frames, frequencies) = {grid}, "
                    f"got {getattr(self, name).shape}"
                )
        for name in _PER_FRAME:
            if getattr(self, name).shape != (num_frames,):
                raise SignalError(
                    f"Sounding.{name} must have one value for each of the {num_frames} frames, "
                    f"got shape {getattr(self, name).shape}"
                )
        if self.wifi is not None and self.wifi.num_frames != num_frames:
            raise SignalError(
                f"Sounding.wifi must have one row for each of the {num_frames} frames, "
                f"got {self.wifi.num_frames}"
            )

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return len(self.sample_start)

    @property
    def snr_db(self) -> NDArray[np.float64]:
        """Received power over the noise power within the measured band, (N,) [dB]."""
        return self.cn0_dbhz - 10.0 * math.log10(self.bandwidth_hz)

    @property
    def rms_delay_spread_s(self) -> NDArray[np.float64]:
        """Return the RMS delay spread of each frame's paths, (N,) [s]."""
        return rms_delay_spread_s(self.paths)

    def is_of(self, transmitter: int | str) -> bool:
        """Return whether this is the link of that rank (an integer), or of that MAC address."""
        if isinstance(transmitter, str):
            return self.transmitter_address == transmitter.lower()
        return self.transmitter == transmitter

    def select(self, index: NDArray[np.int64]) -> "Sounding":
        """Return the frames at `index`, (num_kept,), in that order.

        Raises:
            SignalError: No frame is kept.
        """
        per_frame = {
            name: getattr(self, name)[index]
            for name in ("sample_start", "transfer", "noise_variance", *_PER_FRAME)
        }
        paths = ImpulseResponse(
            self.paths.gains[torch.from_numpy(np.asarray(index))],
            self.paths.delays_s,
            self.paths.interval_s,
        )
        wifi = None if self.wifi is None else self.wifi.select(np.asarray(index))
        return replace(self, paths=paths, wifi=wifi, **per_frame)

    def summary(self) -> dict[str, Any]:
        """Return what `phyemu sound --json` prints of this link: plain numbers in SI units."""
        power = np.square(np.abs(self.paths.gains.numpy())).mean(axis=0)
        return {
            "transmitter": self.transmitter,
            "probe": self.probe,
            "transmitter_address": self.transmitter_address,
            "wifi": None if self.wifi is None else self.wifi.summary(),
            "frames": self.num_frames,
            "cfo_hz": _quantiles(self.cfo_hz),
            "snr_db": _quantiles(self.snr_db),
            "cn0_dbhz": _quantiles(self.cn0_dbhz),
            "received_power_dbfs": _quantiles(self.received_power_dbfs),
            "rms_delay_spread_s": _quantiles(self.rms_delay_spread_s),
            "paths": [
                {
                    "delay_s": float(delay),
                    "gain_db": 10.0 * math.log10(value) if value > 0 else -math.inf,
                }
                for delay, value in zip(self.paths.delays_s.tolist(), power.tolist(), strict=True)
            ],
        }


def rms_delay_spread_s(response: ImpulseResponse) -> NDArray[np.float64]:
    """Return the RMS delay spread of a response (time, path) at each step, (time,) [s]."""
    power = np.square(np.abs(response.gains.numpy()))
    delays_s = response.delays_s.numpy()
    total = power.sum(axis=-1)
    total = np.where(total > 0, total, np.nan)
    mean = power @ delays_s / total
    spread: NDArray[np.float64] = np.sqrt(
        np.maximum(power @ np.square(delays_s) / total - np.square(mean), 0.0)
    )
    return spread


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return {"median": math.nan, "p05": math.nan, "p95": math.nan}
    low, middle, high = np.quantile(finite, (0.05, 0.5, 0.95)).tolist()
    return {"median": middle, "p05": low, "p95": high}


def on_common_frequencies(soundings: Sequence[Sounding]) -> list[Sounding]:
    """Return the soundings on the frequencies that all of them measure, to within 1 Hz.

    Where they share fewer than two, they are returned as they are.

    Args:
        soundings: At least one; their grids have one spacing.
    """
    common = np.round(soundings[0].frequencies_hz)
    for sounding in soundings[1:]:
        common = np.intersect1d(common, np.round(sounding.frequencies_hz))
    if len(common) < 2:
        return list(soundings)
    result: list[Sounding] = []
    for sounding in soundings:
        kept = np.isin(np.round(sounding.frequencies_hz), common)
        if kept.all():
            result.append(sounding)
            continue
        result.append(
            replace(
                sounding,
                frequencies_hz=sounding.frequencies_hz[kept],
                transfer=sounding.transfer[:, kept],
                noise_variance=sounding.noise_variance[:, kept],
                bandwidth_hz=sounding.bandwidth_hz * float(kept.mean()),
            )
        )
    return result
