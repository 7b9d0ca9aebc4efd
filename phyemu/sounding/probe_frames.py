"""What every probe delivers: frames with a raw response each, before alignment and paths."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from phyemu.wifi import WifiTable

__all__ = ["ProbeFrames"]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ProbeFrames:
    """N frames of one probe, in order of time.

    Attributes:
        probe: "sounder", "wifi" or "reference".
        bandwidth_hz: Width of the measured band [Hz].
        frequencies_hz: (F,), float64, ascending [Hz].
        period_s: Delays are known modulo this period [s]: 1 / spacing of the frequencies.
        ghost_lags_s: Delays at which an unsteady carrier shows weak copies of a path [s].
        sample_start: First sample of each frame, (N,), int64.
        reference_start: Sample at which delay 0 of `transfer` lies, (N,), float64.
        interval_samples: Distance of two frames as they were sent [samples]; None where the
            transmitter keeps no common clock between frames.
        transfer: (N, F), complex64.
        noise_variance: Of the error of each value of `transfer`, (N, F), float64.
        noise_density: Noise power per hertz within the band, (N,), float64 [full scale^2 / Hz].
        noise_floor: Noise power in the whole sample rate, (N,), float64 [full scale^2].
        cfo_hz: (N,), float64 [Hz].
        cfo_std_hz: Standard error of `cfo_hz`, (N,), float64 [Hz].
        confidence: (N,), float64, 0..1.
        wifi: What the frames say of themselves, N rows; None for other probes.
    """

    probe: str
    bandwidth_hz: float
    frequencies_hz: NDArray[np.float64]
    period_s: float
    sample_start: NDArray[np.int64]
    reference_start: NDArray[np.float64]
    interval_samples: int | None
    transfer: NDArray[np.complex64]
    noise_variance: NDArray[np.float64]
    noise_density: NDArray[np.float64]
    noise_floor: NDArray[np.float64]
    cfo_hz: NDArray[np.float64]
    cfo_std_hz: NDArray[np.float64]
    confidence: NDArray[np.float64]
    ghost_lags_s: tuple[float, ...] = ()
    wifi: WifiTable | None = None

    @property
    def num_frames(self) -> int:
        """Number of frames, N."""
        return len(self.sample_start)

    @property
    def received_power(self) -> NDArray[np.float64]:
        """Mean power of each frame without the noise, (N,) [full scale^2], > 0."""
        power = np.square(np.abs(self.transfer), dtype=np.float64).mean(axis=1)
        noise = self.noise_variance.mean(axis=1)
        cleaned: NDArray[np.float64] = np.maximum(power - noise, 1e-3 * power + 1e-30)
        return cleaned

    @property
    def frequency_weights(self) -> NDArray[np.float64]:
        """How well each frequency is measured, (F,), the best 1: the inverse of its mean noise."""
        information = 1.0 / np.maximum(self.noise_variance.mean(axis=0), 1e-30)
        weights: NDArray[np.float64] = information / information.max()
        return weights

    def select(self, index: NDArray[np.int64]) -> "ProbeFrames":
        """Return the frames at `index`."""
        return replace(
            self,
            sample_start=self.sample_start[index],
            reference_start=self.reference_start[index],
            transfer=self.transfer[index],
            noise_variance=self.noise_variance[index],
            noise_density=self.noise_density[index],
            noise_floor=self.noise_floor[index],
            cfo_hz=self.cfo_hz[index],
            cfo_std_hz=self.cfo_std_hz[index],
            confidence=self.confidence[index],
            wifi=None if self.wifi is None else self.wifi.select(index),
        )

    def delayed(self, delay_samples: NDArray[np.float64], sample_rate_hz: float) -> "ProbeFrames":
        """Return the same frames with delay 0 moved later by `delay_samples`, (N,) [samples].

        The carrier phase stays: only the slope over frequency changes.
        """
        turns = self.frequencies_hz * (delay_samples / sample_rate_hz)[:, None]
        return replace(
            self,
            reference_start=self.reference_start + delay_samples,
            transfer=(self.transfer * np.exp(2j * np.pi * turns)).astype(np.complex64),
        )
