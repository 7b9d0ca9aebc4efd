"""A recording on its way to a transmitter: its levels, its repetitions, its scale."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RadioError
from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.radio import Radio
from phyemu.radio.stream import Transmission, TransmitReport

__all__ = [
    "TransmitLevels",
    "measure_levels",
    "send_recording",
    "sent_fields",
    "transmit_recording",
]

_BLOCK_SAMPLES = 1 << 18
# How often the progress of a transmission is looked at [s].
_POLL_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class TransmitLevels:
    """How strong a recording is once it is scaled, known before anything is sent.

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
    _check_amplitude(amplitude)
    peak = 0.0
    energy = 0.0
    num_clipped = 0
    for start, block in _blocks(recording):
        parts = np.abs(np.ascontiguousarray(block).view(np.float32))
        peak = max(peak, float(parts.max()))
        energy += float(np.square(parts, dtype=np.float64).sum())
        beyond = parts > 1.0 / amplitude
        num_clipped += int((beyond[:, 0::2] | beyond[:, 1::2]).sum())
        progress("levels", start + block.shape[1], recording.num_samples)
    count = max(1, recording.num_samples * recording.num_channels)
    return TransmitLevels(
        peak=amplitude * peak,
        mean_power=amplitude**2 * energy / count,
        num_clipped=num_clipped,
        largest_amplitude=1.0 / peak if peak else math.inf,
    )


def transmit_recording(
    radio: Radio,
    recording: Recording,
    *,
    amplitude: float = 1.0,
    repeats: int | None = 1,
    delay_s: float = 0.0,
) -> Transmission:
    """Hand a recording to a radio's transmitter; the repetitions follow each other without a gap.

    It is read while it is sent, so it must stay open until the transmission has ended.

    Args:
        radio: The transmitter.
        recording: What to send, with one channel or as many as the radio.
        amplitude: Scale applied to the samples; `measure_levels` tells whether they clip.
        repeats: Times to send it; None: until the transmission is stopped.
        delay_s: Time to the first sample [s].

    Raises:
        RadioError: The recording's sample rate or channels are not the radio's, or the radio
            cannot transmit.
        ConfigError: `amplitude`, `repeats` or `delay_s` is out of range, or the recording is empty.
    """
    _check_amplitude(amplitude)
    if repeats is not None and repeats < 1:
        raise ConfigError(f"repeats must be at least 1, or None for endless, got {repeats}")
    if recording.num_samples == 0:
        raise ConfigError(f"{recording.path.name}: holds no sample to transmit")
    if not math.isclose(recording.sample_rate_hz, radio.sample_rate_hz, rel_tol=1e-6):
        raise RadioError(
            f"{recording.path.name}: made for {recording.sample_rate_hz:.0f} Hz, but "
            f"{radio.name} runs at {radio.sample_rate_hz:.0f} Hz; choose a rate that it can have"
        )
    if recording.num_channels not in (1, radio.num_channels):
        raise RadioError(
            f"{recording.path.name}: has {recording.num_channels} channels, but {radio.name} "
            f"has {radio.num_channels}"
        )
    return radio.transmit(_repeated(recording, amplitude, repeats), delay_s=delay_s)


def send_recording(
    radio: Radio,
    recording: Recording,
    *,
    amplitude: float = 1.0,
    repeats: int | None = 1,
    delay_s: float = 0.0,
    progress: ProgressCallback = no_progress,
) -> TransmitReport:
    """Transmit as `transmit_recording`, wait for the end, and return how it went.

    Ctrl-C ends the burst in good order; the report then says how far it came.

    Args:
        radio: The transmitter.
        recording: What to send.
        amplitude: Scale applied to the samples.
        repeats: Times to send it; None: until Ctrl-C.
        delay_s: Time to the first sample [s].
        progress: Called with the stage "transmit" and the samples that the radio took.

    Raises:
        PhyemuError: As `transmit_recording`.
    """
    transmission = transmit_recording(
        radio, recording, amplitude=amplitude, repeats=repeats, delay_s=delay_s
    )
    total = (repeats or 0) * recording.num_samples
    while True:
        try:
            report = transmission.wait(_POLL_S)
            progress("transmit", transmission.num_samples, total)
            if report is not None:
                return report
        except KeyboardInterrupt:
            transmission.stop()


def sent_fields(recording: Recording) -> dict[str, Any]:
    """Return the SigMF global fields by which a reception says what was sent: its `phyemu:*` keys.

    So `sound`, `fit` and `replay` know the waveform of a capture without the transmitted file.
    """
    fields = {
        key: value for key, value in recording.global_fields.items() if key.startswith("phyemu:")
    }
    return fields | {"phyemu:transmit_recording": recording.path.name}


def _check_amplitude(amplitude: float) -> None:
    if not 0 < amplitude < math.inf:
        raise ConfigError(f"amplitude must be positive, got {amplitude}")


def _blocks(recording: Recording) -> Iterator[tuple[int, NDArray[np.complex64]]]:
    for start in range(0, recording.num_samples, _BLOCK_SAMPLES):
        count = min(_BLOCK_SAMPLES, recording.num_samples - start)
        yield start, recording.read_channels(start, count)


def _repeated(
    recording: Recording, amplitude: float, repeats: int | None
) -> Iterator[NDArray[np.complex64]]:
    done = 0
    while repeats is None or done < repeats:
        for _, block in _blocks(recording):
            yield block if amplitude == 1.0 else block * np.float32(amplitude)
        done += 1
