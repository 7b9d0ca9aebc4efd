"""The hardware of one link, from its sounder bursts once its paths are known."""

import numpy as np
from numpy.typing import NDArray

from phyemu.iq import Recording
from phyemu.sounding.front_end import Estimate, FrontEndEstimate
from phyemu.sounding.hardware import estimate_iq_imbalance, estimate_linewidth
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.recording_time import radio_samples
from phyemu.sounding.sounder_probe import SounderMeasurement
from phyemu.waveform.sounder import SounderFormat, sounder_codes, sounder_period

__all__ = ["BurstHardware"]

_MAX_BURSTS_FOR_IMAGE = 32


class BurstHardware:
    """Estimates the hardware of one link once its paths are known."""

    def __init__(
        self,
        recording: Recording,
        sounder_format: SounderFormat,
        channel: int,
        measurement: SounderMeasurement,
        phases: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> None:
        self._recording = recording
        self._format = sounder_format
        self._channel = channel
        self._measurement = measurement
        self._phases = phases

    def __call__(
        self, frames: ProbeFrames, delays_s: NDArray[np.float64], gains: NDArray[np.complex64]
    ) -> FrontEndEstimate:
        """Return the estimates; `gains` (N, P) are those of `frames`, whose delay 0 is a path."""
        length, rate = self._format.length, self._format.sample_rate_hz
        phase, variance = self._phases
        codes = self._format.num_codes
        gain, skew = self._imbalance(frames, delays_s, gains)
        return FrontEndEstimate(
            dc_offset_i=self._measurement.dc_offset_i,
            dc_offset_q=self._measurement.dc_offset_q,
            iq_gain_db=gain,
            iq_phase_rad=skew,
            # The two sequences of a pair are detrended apart, as a guard lies between them.
            linewidth_hz=estimate_linewidth(
                phase.reshape(len(phase) * codes, -1),
                phase_variance=np.repeat(variance, codes),
                step_s=length / rate,
            ),
        )

    def _imbalance(
        self, frames: ProbeFrames, delays_s: NDArray[np.float64], gains: NDArray[np.complex64]
    ) -> tuple[Estimate, Estimate]:
        size, length = self._format.burst_samples, self._format.length
        rate = self._format.sample_rate_hz
        periods = [sounder_period(self._format, g).numpy() for g in range(self._format.num_codes)]
        spectra = np.fft.fft(np.stack(periods).astype(np.complex128), axis=1)
        codes = sounder_codes(self._format)
        # Neither guards nor the last period before the silence.
        settled = [r for r in range(2, len(codes) - 1) if codes[r] == codes[r - 1]]
        bins_hz = np.fft.fftfreq(length, 1.0 / rate)
        starts = radio_samples(self._recording, frames.sample_start.astype(np.float64))
        n = np.arange(size)
        received, modelled = [], []
        step = max(1, frames.num_frames // _MAX_BURSTS_FOR_IMAGE)
        for index in range(0, frames.num_frames, step):
            late_s = delays_s + (frames.reference_start[index] - starts[index]) / rate
            response = np.exp(-2j * np.pi * np.outer(bins_hz, late_s)) @ gains[index]
            period = np.fft.ifft(spectra * response, axis=1)
            carrier = np.exp(2j * np.pi * ((frames.cfo_hz[index] / rate * n) % 1.0))
            model = period[codes].ravel() * carrier
            start = int(frames.sample_start[index])
            samples = self._recording.read(start, size, channel=self._channel)
            samples = samples - self._measurement.mean
            # Phase noise: turn the model to the samples, one period at a time.
            for own, guess in zip(
                samples.reshape(-1, length)[settled],
                model.reshape(-1, length)[settled],
                strict=True,
            ):
                turn = complex(np.vdot(guess, own))
                received.append(own.astype(np.complex128))
                modelled.append(guess * (turn / abs(turn) if abs(turn) > 0 else 1.0))
        return estimate_iq_imbalance(np.stack(received), np.stack(modelled))
