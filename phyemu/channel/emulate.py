"""A recording through a channel: what `phyemu emulate` does."""

import math
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phyemu.channel.model import ChannelModel
from phyemu.channel.stream import ChannelStream
from phyemu.errors import ConfigError, SignalError
from phyemu.iq import Recording, RecordingWriter
from phyemu.progress import ProgressCallback, no_progress
from phyemu.units import power_to_db

__all__ = ["Emulation", "ReferenceLevel", "emulate_recording", "reference_level"]

_BLOCK = 1 << 20
# Windows whose power the active share is judged by, and how far below the strongest tenth of
# them a window still counts as active.
_WINDOW = 256
_ACTIVE_DB = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferenceLevel:
    """What the SNR refers to.

    Attributes:
        power: Mean sample power while active with all symbols at peak, linear, full scale 1.
        symbol_rate_hz: Symbol rate [Hz].
        measured: Whether it was measured from the samples for want of metadata: then the mean
            power of the active samples, and the sample rate as bandwidth.
    """

    power: float
    symbol_rate_hz: float
    measured: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulation:
    """What was done to a recording.

    Attributes:
        output: File written.
        channel: Name of the channel model.
        num_samples: Samples written.
        num_clipped: Of them, clipped by the output's datatype.
        sample_rate_hz: Rate [Hz].
        snr_db: Of the drawn realisation [dB].
        reference: What it refers to.
        latency_samples: Delay of the emulator, already taken out of the output.
    """

    output: Path
    channel: str
    num_samples: int
    num_clipped: int
    sample_rate_hz: float
    snr_db: float
    reference: ReferenceLevel
    latency_samples: int

    def summary(self) -> dict[str, Any]:
        """Return the facts for `--json`."""
        return {
            "output": str(self.output),
            "channel": self.channel,
            "samples": self.num_samples,
            "clipped": self.num_clipped,
            "sample_rate_hz": self.sample_rate_hz,
            "snr_db": self.snr_db,
            "reference_power_dbfs": power_to_db(self.reference.power),
            "symbol_rate_hz": self.reference.symbol_rate_hz,
            "reference_measured": self.reference.measured,
            "latency_samples": self.latency_samples,
        }


def reference_level(recording: Recording) -> ReferenceLevel:
    """Return what an SNR refers to in a recording: its metadata, else a measurement.

    Raises:
        SignalError: Nothing but silence, so that there is no power to refer to.
    """
    fields = recording.global_fields
    power = fields.get("phyemu:reference_power")
    waveform: Any = fields.get("phyemu:frame_format") or {}
    rate = waveform.get("sample_rate_hz", recording.sample_rate_hz)
    samples_per_symbol = waveform.get("samples_per_symbol")
    if isinstance(power, int | float) and math.isfinite(power) and power > 0:
        symbol_rate_hz = float(rate) / samples_per_symbol if samples_per_symbol else float(rate)
        return ReferenceLevel(power=float(power), symbol_rate_hz=symbol_rate_hz, measured=False)
    powers: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for block in recording.blocks(_BLOCK):
        usable = len(block) - len(block) % _WINDOW
        windows = np.square(np.abs(block[:usable])).reshape(-1, _WINDOW)
        powers.append(windows.mean(axis=1, dtype=np.float64))
        if not usable:
            powers.append(np.square(np.abs(block)).mean(dtype=np.float64, keepdims=True))
    values = np.concatenate(powers) if powers else np.zeros(1)
    strong = np.quantile(values, 0.9)
    active = values[values >= strong * 10 ** (-_ACTIVE_DB / 10)]
    mean = float(active.mean())
    if not (math.isfinite(mean) and mean > 0):
        raise SignalError(
            f"{recording.path}: at least nine tenths of it are silent, so an SNR has no meaning; "
            "give the metadata phyemu:reference_power, or use a channel with SNR inf"
        )
    return ReferenceLevel(power=mean, symbol_rate_hz=recording.sample_rate_hz, measured=True)


def emulate_recording(
    recording: Recording,
    model: ChannelModel,
    output: Path,
    *,
    seed: int,
    interval_s: float = 1e-3,
    num_threads: int = 1,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> Emulation:
    """Send a recording through one realisation of a channel and write what arrives.

    The emulator's latency is taken out, so that annotations stay where they belong; annotations,
    captures segments' frequency and our metadata are kept, and the channel and the seed added.

    Args:
        recording: What is sent; its first channel.
        model: The channel.
        output: Recording to write.
        seed: Everything random comes from it.
        interval_s: Time between two updates of the gains [s].
        num_threads: Threads that share the work.
        force: Overwrite existing output.
        progress: Told after each block.

    Raises:
        ConfigError: The channel was measured at another sample rate.
        SignalError: Samples are not finite, or there is nothing to refer the SNR to.
        RecordingError: The output cannot be written.
    """
    check_rate(recording, model)
    reference = reference_level(recording)
    stream = ChannelStream(
        model,
        sample_rate_hz=recording.sample_rate_hz,
        symbol_rate_hz=reference.symbol_rate_hz,
        reference_power=reference.power,
        seed=seed,
        interval_s=interval_s,
        num_threads=num_threads,
    )
    fields = {
        key: value
        for key, value in recording.global_fields.items()
        if key.startswith("phyemu:") and key != "phyemu:reference_power"
    }
    fields |= {
        "phyemu:reference_power": reference.power,
        "phyemu:channel": model.name,
        "phyemu:channel_seed": seed,
        "phyemu:emulated": True,
    }
    skip = stream.latency_samples
    done = 0
    with (
        RecordingWriter(
            output,
            sample_rate_hz=recording.sample_rate_hz,
            datatype="cf32_le",
            center_frequency_hz=recording.center_frequency_hz,
            description=f"{recording.path.name} through the channel {model.name} (emulated)",
            global_fields=fields,
            force=force,
        ) as writer,
        # Hashing and writing a block takes longer than its channel: it goes on beside the next.
        ThreadPoolExecutor(1) as beside,
    ):
        written_before: Future[None] | None = None
        for block in recording.blocks(_BLOCK):
            received = stream.process(block)
            dropped = min(skip, len(received))
            skip -= dropped
            if written_before is not None:
                written_before.result()
            written_before = beside.submit(writer.write, received[dropped:])
            done += len(block)
            progress("emulate", done, recording.num_samples)
        if written_before is not None:
            written_before.result()
        # A recording shorter than the latency leaves part of the latency to drop here.
        writer.write(stream.flush()[skip:])
        for annotation in recording.annotations:
            writer.annotate(annotation)
        num_samples, num_clipped = writer.num_samples, writer.num_clipped
        written = writer.close()
    return Emulation(
        output=written,
        channel=model.name,
        num_samples=num_samples,
        num_clipped=num_clipped,
        sample_rate_hz=recording.sample_rate_hz,
        snr_db=stream.realisation.snr_db,
        reference=reference,
        latency_samples=stream.latency_samples,
    )


def check_rate(recording: Recording, model: ChannelModel) -> None:
    """Raise ConfigError when the channel was measured at another rate than the recording's."""
    rate_hz = float(getattr(model, "sample_rate_hz", 0.0) or 0.0)
    if rate_hz and not math.isclose(rate_hz, recording.sample_rate_hz, rel_tol=1e-6):
        raise ConfigError(
            f"{recording.path}: recorded at {recording.sample_rate_hz / 1e6:g} MHz, but channel "
            f"{model.name} was measured at {rate_hz / 1e6:g} MHz; fit it again at "
            f"{recording.sample_rate_hz / 1e6:g} MHz (phyemu fit)"
        )
