"""How strong a recording leaves a transmitter: known before anything is sent."""

import math
from dataclasses import dataclass

import numpy as np

from phyemu.errors import ConfigError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import db_to_amplitude

__all__ = [
    "TransmitLevels",
    "amplitude_for_peak",
    "check_amplitude",
    "may_clip",
    "measure_levels",
]

_BLOCK_SAMPLES = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class TransmitLevels:
    """How strong a recording is once it is scaled.

    Attributes:
        peak: Largest |I| or |Q|, full scale 1; beyond 1 the converter clips.
        mean_power: Mean of |x|^2, linear, full scale 1.
        num_clipped: Samples that would be limited to full scale, in all channels.
        largest_amplitude: The largest scale at which nothing clips; infinity for silence.
    """

    peak: float
    mean_power: float
    num_clipped: int
    largest_amplitude: float


def measure_levels(
    recording: Recording, *, amplitude: float = 1.0, progress: ProgressCallback = no_progress
) -> TransmitLevels:
    """Return the levels of `recording` times `amplitude`; it is read once, block by block.

    Raises:
        ConfigError: `amplitude` is not positive.
        RecordingError: The recording cannot be read.
    """
    check_amplitude(amplitude)
    peak = 0.0
    energy = 0.0
    num_clipped = 0
    for start in range(0, recording.num_samples, _BLOCK_SAMPLES):
        count = min(_BLOCK_SAMPLES, recording.num_samples - start)
        block = recording.read_channels(start, count)
        parts = np.abs(np.ascontiguousarray(block).view(np.float32))
        largest = float(parts.max())
        peak = max(peak, largest)
        energy += float(np.square(parts, dtype=np.float64).sum())
        if largest * amplitude > 1.0:
            beyond = parts > 1.0 / amplitude
            num_clipped += int((beyond[:, 0::2] | beyond[:, 1::2]).sum())
        progress("levels", start + count, recording.num_samples)
    count = max(1, recording.num_samples * recording.num_channels)
    return TransmitLevels(
        peak=amplitude * peak,
        mean_power=amplitude**2 * energy / count,
        num_clipped=num_clipped,
        largest_amplitude=1.0 / peak if peak else math.inf,
    )


def may_clip(recording: Recording, amplitude: float) -> bool:
    """Return whether a sample of `recording` times `amplitude` can lie beyond full scale.

    Integers cannot unless they are amplified, which spares a recording of many gigabytes being
    read twice.
    """
    return recording.is_float or amplitude > 1.0


def amplitude_for_peak(
    recording: Recording, peak_dbfs: float, *, progress: ProgressCallback = no_progress
) -> float:
    """Return the scale that brings the largest |I| or |Q| of `recording` to `peak_dbfs`.

    Args:
        recording: It is read once.
        peak_dbfs: Where its peak is to be [dB above full scale], at most 0.
        progress: Called with the stage "levels" and the samples read.

    Raises:
        ConfigError: `peak_dbfs` is above full scale, or the recording is silent.
    """
    if not (math.isfinite(peak_dbfs) and peak_dbfs <= 0):
        raise ConfigError(f"peak_dbfs must be at most 0, full scale; got {peak_dbfs}")
    largest = measure_levels(recording, progress=progress).largest_amplitude
    if math.isinf(largest):
        raise ConfigError(f"{recording.path.name}: is silent, so it has no peak to scale")
    return largest * db_to_amplitude(peak_dbfs)


def check_amplitude(amplitude: float) -> None:
    """Raise ConfigError where `amplitude` is no scale of a signal."""
    if not 0 < amplitude < math.inf:
        raise ConfigError(f"amplitude must be positive, got {amplitude}")
