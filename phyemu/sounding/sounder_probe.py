"""The bursts of our own sounder as a probe: found in a stream, then measured in batches."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback
from phyemu.sounding.burst_estimate import estimate_bursts, window_backoff
from phyemu.sounding.front_end import Estimate
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples
from phyemu.waveform.sounder import SounderFormat, sounder_bins
from phyemu.waveform.sounder_burst import SounderBurst
from phyemu.waveform.sounder_detection import SounderDetector, agree_on_offset

__all__ = ["SounderMeasurement", "find_bursts", "measure_bursts"]

_BATCH_SAMPLES = 1 << 20
_MAX_SILENCES = 256
_GHOST_BINS = (-3, -2, -1, 1, 2, 3)  # phase noise falls with the square of the distance


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SounderMeasurement:
    """Frames of the sounder, and what only the sounder shows.

    Attributes:
        frames: One frame per burst.
        phase_rad: Phase of each measuring repetition after the CFO, (N, R - 1) [rad].
        phase_variance: Its variance from the noise alone, (N,) [rad^2].
        dc_offset_i: Real part of the mean of the silence [full scale].
        dc_offset_q: Imaginary part of it [full scale].
    """

    frames: ProbeFrames
    phase_rad: NDArray[np.float64]
    phase_variance: NDArray[np.float64]
    dc_offset_i: Estimate
    dc_offset_q: Estimate


def find_bursts(
    recording: Recording,
    sounder_format: SounderFormat,
    *,
    channel: int,
    progress: ProgressCallback,
) -> list[SounderBurst]:
    """Return the bursts in a recording, which is streamed, in order.

    Raises:
        SignalError: The recording has another sample rate than the format.
    """
    if abs(recording.sample_rate_hz / sounder_format.sample_rate_hz - 1.0) > 1e-3:
        raise SignalError(
            f"{recording.path.name}: recorded at {recording.sample_rate_hz / 1e6:g} Msps, but the "
            f"sounder was made for {sounder_format.sample_rate_hz / 1e6:g} Msps; record at that "
            f"rate or make the sounder anew (phyemu waveform sounder --sample-rate)"
        )
    detector = SounderDetector(sounder_format)
    bursts: list[SounderBurst] = []
    for block in blocks_with_progress(
        recording, channel=channel, stage="find sounder bursts", progress=progress
    ):
        bursts += detector.process(block)
    bursts += detector.finish()
    return agree_on_offset(bursts, sounder_format=sounder_format)


def measure_bursts(
    recording: Recording,
    bursts: list[SounderBurst],
    sounder_format: SounderFormat,
    *,
    channel: int,
    band_edge_fraction: float,
    sfo_ppm: float,
    progress: ProgressCallback,
) -> SounderMeasurement:
    """Return the frames of the bursts, each read from the recording once.

    Args:
        recording: Where the bursts were found.
        bursts: At least one, in order, complete.
        sounder_format: What was sent.
        channel: Channel of a multichannel recording.
        band_edge_fraction: Part of the sample rate left out at either band edge.
        sfo_ppm: Sampling offset to undo within each burst [ppm].
        progress: Told after each batch.
    """
    rate, size = sounder_format.sample_rate_hz, sounder_format.burst_samples
    length = sounder_format.length
    starts = np.array([burst.sample_start for burst in bursts], np.int64)
    rough = np.array([burst.cfo_hz for burst in bursts])
    silence = _Silence(recording, starts, sounder_format, channel)
    bins = sounder_bins(sounder_format).numpy()
    frequencies = bins * sounder_format.bin_spacing_hz
    inside = np.abs(frequencies) <= rate * (0.5 - band_edge_fraction)
    batch = max(1, _BATCH_SAMPLES // size)
    estimates = []
    for first in range(0, len(starts), batch):
        chosen = slice(first, first + batch)
        iq = np.stack([recording.read(int(s), size, channel=channel) for s in starts[chosen]])
        estimates.append(
            estimate_bursts(
                iq - np.complex64(silence.mean),
                sounder_format,
                cfo_hz=rough[chosen],
                sfo_ppm=sfo_ppm,
            )
        )
        progress("measure bursts", min(first + batch, len(starts)), len(starts))
    noise = np.concatenate([estimate.noise_variance for estimate in estimates])
    # Bin noise N s^2 over X of N^2 / K, averaged over the measuring repetitions.
    sample_noise = noise * (sounder_format.repetitions - 1) * sounder_format.length / len(bins)
    transfer = np.concatenate([estimate.transfer for estimate in estimates])[:, inside]
    frames = ProbeFrames(
        probe="sounder",
        bandwidth_hz=float(inside.sum()) * sounder_format.bin_spacing_hz,
        frequencies_hz=frequencies[inside].astype(np.float64),
        period_s=1.0 / sounder_format.bin_spacing_hz,
        sample_start=starts,
        reference_start=radio_samples(recording, starts.astype(np.float64)),
        interval_samples=sounder_format.interval_samples,
        transfer=transfer,
        noise_variance=np.repeat(noise[:, None], int(inside.sum()), axis=1),
        noise_density=sample_noise / rate,
        noise_floor=np.full(len(starts), silence.power) if silence.count else sample_noise,
        cfo_hz=np.concatenate([estimate.cfo_hz for estimate in estimates]),
        cfo_std_hz=np.concatenate([estimate.cfo_std_hz for estimate in estimates]),
        confidence=np.array([burst.confidence for burst in bursts]),
        # A shift by k bins delays the sequence by k x root chips of N / K samples.
        ghost_lags_s=tuple(
            k * sounder_format.resolved_root * length / len(bins) / rate for k in _GHOST_BINS
        ),
    )
    return SounderMeasurement(
        frames=frames,
        phase_rad=np.concatenate([estimate.phase_rad for estimate in estimates]),
        phase_variance=np.concatenate([estimate.phase_variance for estimate in estimates]),
        dc_offset_i=Estimate(value=silence.mean.real, std=silence.std) if silence.count else _NONE,
        dc_offset_q=Estimate(value=silence.mean.imag, std=silence.std) if silence.count else _NONE,
    )


_NONE = Estimate()


class _Silence:
    """Mean and power of the samples between bursts."""

    def __init__(
        self,
        recording: Recording,
        starts: NDArray[np.int64],
        sounder_format: SounderFormat,
        channel: int,
    ) -> None:
        size, length = sounder_format.burst_samples, sounder_format.length
        margin = window_backoff(sounder_format)
        behind = np.append(starts[1:], recording.num_samples)
        # One period behind the burst for its echoes, a quarter before the next for early paths.
        first = starts + size + length
        last = np.minimum(behind, starts + sounder_format.interval_samples) - margin
        usable = np.flatnonzero(last > first)
        step = max(1, len(usable) // _MAX_SILENCES)
        total, energy, self.count = 0j, 0.0, 0
        for index in usable[::step].tolist():
            iq = recording.read(int(first[index]), int(last[index] - first[index]), channel=channel)
            iq = iq.astype(np.complex128)
            total += complex(iq.sum())
            energy += float(np.square(np.abs(iq)).sum())
            self.count += len(iq)
        self.mean = total / self.count if self.count else 0j
        self.power = max(energy / self.count - abs(self.mean) ** 2, 0.0) if self.count else 0.0
        # Each real part holds half of the noise power.
        self.std = float(np.sqrt(self.power / 2.0 / self.count)) if self.count else 0.0
