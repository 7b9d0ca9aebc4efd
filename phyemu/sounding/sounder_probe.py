"""The bursts of a sounder as a probe: found in a stream, then measured in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback
from phyemu.sounding.burst_estimate import BurstEstimates, estimate_bursts, window_backoff
from phyemu.sounding.front_end import Estimate
from phyemu.sounding.probe_frames import ProbeFrames
from phyemu.sounding.recording_time import blocks_with_progress, radio_samples, sent_interval
from phyemu.sounding.workers import in_order
from phyemu.waveform.chip_detection import ChipDetector
from phyemu.waveform.sounder import SounderFormat, sounder_bins
from phyemu.waveform.sounder_burst import SounderBurst
from phyemu.waveform.sounder_detection import SounderDetector, agree_on_offset

__all__ = ["SounderMeasurement", "find_bursts", "measure_bursts"]

_BATCH_SAMPLES = 1 << 18
_MAX_SILENCES = 256
_MAX_SILENCE_SAMPLES = 1 << 16  # of each, so that long ones do not fill the memory
_GHOST_BINS = (-3, -2, -1, 1, 2, 3)  # phase noise falls with the square of the distance


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SounderMeasurement:
    """Frames of the sounder, and what only the sounder shows.

    Attributes:
        frames: One frame per burst.
        phase_rad: Phase of each measuring repetition after the CFO, (N, R) [rad].
        phase_variance: Its variance from the noise alone, (N,) [rad^2].
        dc_offset_i: Real part of the mean of the silence [full scale]; unknown without silence.
        dc_offset_q: Imaginary part of it [full scale].
        mean: What was taken off the samples as their DC offset [full scale].
    """

    frames: ProbeFrames
    phase_rad: NDArray[np.float64]
    phase_variance: NDArray[np.float64]
    dc_offset_i: Estimate
    dc_offset_q: Estimate
    mean: complex


def find_bursts(
    recording: Recording,
    sounder_format: SounderFormat,
    *,
    channel: int,
    progress: ProgressCallback,
    num_workers: int = 1,
) -> list[SounderBurst]:
    """Return the bursts in a recording, which is streamed, in order.

    Args:
        recording: What was received.
        sounder_format: What was sent.
        channel: Channel of a multichannel recording.
        progress: Told of the samples read.
        num_workers: Threads; the result is the same for any number.

    Raises:
        SignalError: The recording has another sample rate than the format.
    """
    if abs(recording.sample_rate_hz / sounder_format.sample_rate_hz - 1.0) > 1e-3:
        raise SignalError(
            f"{recording.path.name}: recorded at {recording.sample_rate_hz / 1e6:g} Msps, but the "
            f"sounder was made for {sounder_format.sample_rate_hz / 1e6:g} Msps; record at that "
            f"rate or make the sounder anew (phyemu waveform sounder --sample-rate)"
        )
    has_chips = sounder_format.chips is not None
    detector = ChipDetector(sounder_format) if has_chips else SounderDetector(sounder_format)

    def windows() -> Iterator[tuple[int, NDArray[np.complex64], bool]]:
        for block in blocks_with_progress(
            recording, channel=channel, stage="find sounder bursts", progress=progress
        ):
            yield from detector.windows(block)
        yield from detector.last_windows()

    bursts: list[SounderBurst] = []
    for found in in_order(
        lambda window: detector.search(*window), windows(), num_workers=num_workers
    ):
        bursts += detector.chained(found)
    if not has_chips:  # else each burst knows its own offset
        bursts = agree_on_offset(bursts, sounder_format=sounder_format)
    # What follows a drifting delay, or agrees on another start, may leave the recording.
    stop = recording.num_samples - sounder_format.burst_samples
    return [burst for burst in bursts if 0 <= burst.sample_start <= stop]


def measure_bursts(
    recording: Recording,
    bursts: list[SounderBurst],
    sounder_format: SounderFormat,
    *,
    channel: int,
    band_edge_fraction: float,
    sfo_ppm: float,
    progress: ProgressCallback,
    num_workers: int = 1,
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
        num_workers: Threads; the result is the same for any number.
    """
    rate, size = sounder_format.sample_rate_hz, sounder_format.burst_samples
    starts = np.array([burst.sample_start for burst in bursts], np.int64)
    rough = np.array([burst.cfo_hz for burst in bursts])
    silence = _Silence(recording, starts, sounder_format, channel)
    bins = sounder_bins(sounder_format).numpy()
    frequencies = bins * sounder_format.bin_spacing_hz
    inside = np.abs(frequencies) <= rate * (0.5 - band_edge_fraction)
    batch = max(1, _BATCH_SAMPLES // size)

    def estimated(first: int) -> BurstEstimates:
        chosen = slice(first, first + batch)
        iq = np.stack([recording.read(int(s), size, channel=channel) for s in starts[chosen]])
        iq -= np.complex64(silence.mean)
        return estimate_bursts(iq, sounder_format, cfo_hz=rough[chosen], sfo_ppm=sfo_ppm)

    estimates = []
    for estimate in in_order(estimated, range(0, len(starts), batch), num_workers=num_workers):
        estimates.append(estimate)
        progress("measure bursts", min(len(estimates) * batch, len(starts)), len(starts))
    sample_noise = np.concatenate([estimate.sample_noise for estimate in estimates])
    transfer = np.concatenate([estimate.transfer for estimate in estimates])[:, inside]
    noise_gain = estimates[0].noise_gain[inside]
    frames = ProbeFrames(
        probe="sounder",
        bandwidth_hz=float(inside.sum()) * sounder_format.bin_spacing_hz,
        frequencies_hz=frequencies[inside].astype(np.float64),
        period_s=1.0 / sounder_format.bin_spacing_hz,
        sample_start=starts,
        reference_start=radio_samples(recording, starts.astype(np.float64)),
        interval_samples=sent_interval(recording, sounder_format.interval_samples)[0],
        transfer=transfer,
        noise_variance=sample_noise[:, None] * noise_gain,
        noise_density=sample_noise / rate,
        noise_floor=np.full(len(starts), silence.power) if silence.count else sample_noise,
        cfo_hz=np.concatenate([estimate.cfo_hz for estimate in estimates]),
        cfo_std_hz=np.concatenate([estimate.cfo_std_hz for estimate in estimates]),
        confidence=np.array([burst.confidence for burst in bursts]),
        ghost_lags_s=_ghost_lags_s(sounder_format),
    )
    return SounderMeasurement(
        frames=frames,
        phase_rad=np.concatenate([estimate.phase_rad for estimate in estimates]),
        phase_variance=np.concatenate([estimate.phase_variance for estimate in estimates]),
        dc_offset_i=Estimate(value=silence.mean.real, std=silence.std) if silence.count else _NONE,
        dc_offset_q=Estimate(value=silence.mean.imag, std=silence.std) if silence.count else _NONE,
        mean=silence.mean,
    )


_NONE = Estimate()


def _ghost_lags_s(sounder_format: SounderFormat) -> tuple[float, ...]:
    """Return the delays at which a Zadoff-Chu sequence looks when it is k bins off [s]."""
    if sounder_format.chips is not None:
        return ()
    # A shift by k bins delays the sequence by k x root chips of N / K samples.
    chip_s = sounder_format.length / sounder_format.num_bins / sounder_format.sample_rate_hz
    return tuple(k * sounder_format.resolved_root * chip_s for k in _GHOST_BINS)


class _Silence:
    """Mean and power of the samples between bursts.

    Where there is no silence, the mean is that of the samples of some bursts: the sequence itself
    has a mean only where no carrier offset turns it away, and then at frequency 0, which no
    sequence without end measures. But it says nothing certain about the DC offset.
    """

    def __init__(
        self,
        recording: Recording,
        starts: NDArray[np.int64],
        sounder_format: SounderFormat,
        channel: int,
    ) -> None:
        size, length = sounder_format.burst_samples, sounder_format.length
        self.count = 0
        self.power = self.std = 0.0
        if sounder_format.is_continuous:
            step = max(1, len(starts) // _MAX_SILENCES)
            pieces = [recording.read(int(s), size, channel=channel) for s in starts[::step]]
            self.mean = complex(np.mean([piece.mean(dtype=np.complex128) for piece in pieces]))
            return
        margin = window_backoff(sounder_format)
        behind = np.append(starts[1:], recording.num_samples)
        # One period behind the burst for its echoes, a quarter before the next for early paths.
        first = starts + size + length
        last = np.minimum(behind, starts + sounder_format.interval_samples) - margin
        last = np.minimum(last, first + _MAX_SILENCE_SAMPLES)
        usable = np.flatnonzero(last > first)
        step = max(1, len(usable) // _MAX_SILENCES)
        total, energy = 0j, 0.0
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
