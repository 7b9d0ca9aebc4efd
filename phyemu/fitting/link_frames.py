"""The frames of one link, pooled from all its soundings."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import FitError
from phyemu.sounding import Sounding, on_common_frequencies
from phyemu.sounding.delay_axis import lateness_s, mean_profile

__all__ = ["LinkFrames", "pool_soundings"]

_NUM_BLOCKS = 10  # time blocks of a recording that a hold-out chooses from


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LinkFrames:
    """N frames of one link on one frequency grid and one delay axis.

    Attributes:
        frequencies_hz: (F,), float64, ascending [Hz].
        bandwidth_hz: Width of the measured band [Hz].
        transfer: LS responses, (N, F), complex128.
        noise_variance: Variance of the error of each value, (N, F), float64.
        noise_density: Noise power per hertz, (N,), float64 [full scale^2 / Hz].
        time_s: Time within the recording, (N,), float64 [s].
        recording: Index of the recording, (N,), int64.
        cfo_hz: (N,), float64 [Hz].
        sfo_ppm: (N,), float64 [ppm]; NaN where unknown.
        real_time: Whether `time_s` is the time at which the channel was met. Wi-Fi recordings may
            have had their silence cut, so it is not taken for granted there.
    """

    frequencies_hz: NDArray[np.float64]
    bandwidth_hz: float
    transfer: NDArray[np.complex128]
    noise_variance: NDArray[np.float64]
    noise_density: NDArray[np.float64]
    time_s: NDArray[np.float64]
    recording: NDArray[np.int64]
    cfo_hz: NDArray[np.float64]
    sfo_ppm: NDArray[np.float64]
    real_time: bool

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return len(self.time_s)

    @property
    def period_s(self) -> float:
        """Delays are known modulo this period [s]."""
        return 1.0 / float(np.diff(self.frequencies_hz).min())

    @property
    def received_power(self) -> NDArray[np.float64]:
        """Power of each frame over the band without the noise, (N,); may fall below 0 in noise."""
        power: NDArray[np.float64] = (np.square(np.abs(self.transfer)) - self.noise_variance).mean(
            axis=1
        )
        return power

    @property
    def interval_s(self) -> float:
        """Median time between two frames of a recording [s]; 1 for a single frame."""
        steps = np.diff(self.time_s)[np.diff(self.recording) == 0]
        return float(np.median(steps)) if len(steps) else 1.0

    def select(self, index: NDArray[np.int64]) -> "LinkFrames":
        """Return the frames at `index`."""
        return LinkFrames(
            frequencies_hz=self.frequencies_hz,
            bandwidth_hz=self.bandwidth_hz,
            transfer=self.transfer[index],
            noise_variance=self.noise_variance[index],
            noise_density=self.noise_density[index],
            time_s=self.time_s[index],
            recording=self.recording[index],
            cfo_hz=self.cfo_hz[index],
            sfo_ppm=self.sfo_ppm[index],
            real_time=self.real_time,
        )

    def split(self, holdout: float) -> tuple["LinkFrames", "LinkFrames"]:
        """Return (frames to fit, frames kept back), split by blocks of time.

        Neighbouring frames are alike, so single frames kept back here and there would flatter any
        model. Each recording is cut into up to ten blocks, of which every (1 / holdout)-th is kept.

        Args:
            holdout: Share kept back, 0 < holdout <= 0.5.

        Raises:
            FitError: Too few frames to keep any back.
        """
        kept = self._kept_back(holdout)
        if not self.can_split(holdout):
            raise FitError(
                f"{self.num_frames} frames are too few to hold out {holdout:g} of them; "
                "fit without --holdout or record longer"
            )
        return self.select(np.flatnonzero(~kept)), self.select(np.flatnonzero(kept))

    def can_split(self, holdout: float) -> bool:
        """Return whether at least two frames can be kept back and two fitted."""
        kept = int(self._kept_back(holdout).sum())
        return 2 <= kept <= self.num_frames - 2

    def _kept_back(self, holdout: float) -> NDArray[np.bool_]:
        kept = np.zeros(self.num_frames, bool)
        for number in np.unique(self.recording):
            index = np.flatnonzero(self.recording == number)
            blocks = np.array_split(index, min(_NUM_BLOCKS, len(index)))
            for position, block in enumerate(blocks):
                kept[block] = int((position + 1) * holdout + 1e-9) > int(position * holdout + 1e-9)
        return kept


def pool_soundings(soundings: Sequence[Sounding]) -> LinkFrames:
    """Return the frames of all soundings of a link, moved to one delay axis.

    Each sounding counts delays from its own first path, which noise may find or miss; so the later
    ones are moved to where their mean power delay profile matches that of the first.

    Wi-Fi links are measured on 52 or 56 carriers; what all soundings measure is kept.

    Raises:
        FitError: No sounding, or soundings of different probes, bands or frequencies.
    """
    if not soundings:
        raise FitError("no soundings to fit; sound a recording first (phyemu sound)")
    if all(sounding.probe == "wifi" for sounding in soundings):
        soundings = on_common_frequencies(soundings)
    first = soundings[0]
    for sounding in soundings[1:]:
        same = (
            sounding.probe == first.probe
            and sounding.frequencies_hz.shape == first.frequencies_hz.shape
            and np.allclose(sounding.frequencies_hz, first.frequencies_hz, rtol=0, atol=1.0)
        )
        if not same:
            raise FitError(
                f"{sounding.recording_name or 'a sounding'} was sounded with {sounding.probe!r} "
                f"over {sounding.bandwidth_hz / 1e6:g} MHz, "
                f"{first.recording_name or 'the first'} with {first.probe!r} over "
                f"{first.bandwidth_hz / 1e6:g} MHz or on other frequencies; fit them separately"
            )
        if bool(sounding.provenance.get("calibration")) != bool(
            first.provenance.get("calibration")
        ):
            raise FitError(
                f"{sounding.recording_name or 'a sounding'} and "
                f"{first.recording_name or 'the first'}: one is calibrated, the other is not; "
                "sound both with --calibrate or both without"
            )
    frequencies_hz = np.asarray(first.frequencies_hz, np.float64)
    if len(frequencies_hz) < 2:
        raise FitError("the sounding has a single frequency; paths need a band to be told apart")
    reference = mean_profile(first)
    transfers = []
    for sounding in soundings:
        late_s = lateness_s(mean_profile(sounding), reference, frequencies_hz)
        turned = np.exp(2j * np.pi * frequencies_hz * late_s)
        transfers.append(sounding.transfer.astype(np.complex128) * turned)
    floor = np.concatenate([10.0 ** (_density_db(sounding) / 10.0) for sounding in soundings])
    frames = LinkFrames(
        frequencies_hz=frequencies_hz,
        bandwidth_hz=first.bandwidth_hz,
        transfer=np.concatenate(transfers),
        noise_variance=np.concatenate([item.noise_variance for item in soundings]).astype(float),
        noise_density=floor,
        time_s=np.concatenate([item.time_s for item in soundings]).astype(float),
        recording=np.repeat(np.arange(len(soundings)), [item.num_frames for item in soundings]),
        cfo_hz=np.concatenate([item.cfo_hz for item in soundings]).astype(float),
        sfo_ppm=np.concatenate([item.sfo_ppm for item in soundings]).astype(float),
        real_time=first.probe != "wifi",
    )
    usable = (
        np.isfinite(frames.transfer).all(axis=1)
        & (np.isfinite(frames.noise_variance) & (frames.noise_variance > 0)).all(axis=1)
        & np.isfinite(frames.noise_density)
        & np.isfinite(frames.time_s)
    )
    if not usable.any():
        raise FitError("no frame with finite response and positive noise; sound the recording anew")
    return frames.select(np.flatnonzero(usable))


def _density_db(sounding: Sounding) -> NDArray[np.float64]:
    """Return the noise power per hertz [dBFS / Hz], (N,)."""
    return np.asarray(sounding.received_power_dbfs - sounding.cn0_dbhz, np.float64)
