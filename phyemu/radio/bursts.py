"""Bursts far apart: only what lies around each of them is recorded.

A channel indoors changes over tenths of a second, a burst lasts a fraction of a millisecond. To see
many states of the channel, bursts are sent at long intervals and the silence between them is not
kept; each burst is a capture segment that says where in the stream it was (`core:global_index`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import ConfigError, RecordingError
from phyemu.iq import Annotation, Recording, RecordingWriter
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.emulated import EmulatedRadio
from phyemu.radio.transmission import sent_fields

__all__ = ["record_annotated_bursts", "record_bursts"]


def record_bursts(
    radio: EmulatedRadio,
    bursts: Sequence[NDArray[np.complex64]],
    path: Path,
    *,
    interval_s: float,
    lead_samples: int = 512,
    tail_samples: int = 512,
    datatype: str = "ci16_le",
    description: str | None = None,
    global_fields: Mapping[str, Any] | None = None,
    force: bool = False,
    stage: str = "record",
    progress: ProgressCallback = no_progress,
) -> Path:
    """Send each burst through the radio's channel, record what arrives, and return the recording.

    Args:
        radio: Its time advances by `interval_s` per burst.
        bursts: Samples to send, each (num_samples,), complex64.
        path: Recording to write.
        interval_s: From the start of one burst to that of the next [s].
        lead_samples: Recorded before each burst.
        tail_samples: Recorded after the last sample sent.
        datatype: How samples are stored.
        description: core:description of the recording.
        global_fields: More keys, such as what was sent.
        force: Replace an existing recording.
        stage: Name for `progress`, which counts bursts.
        progress: Called after each burst.

    Raises:
        ConfigError: No bursts, or they do not fit into the interval.
    """
    interval = round(interval_s * radio.sample_rate_hz)
    longest = max((burst.size for burst in bursts), default=0)
    needed = radio.latency_samples + lead_samples + longest + tail_samples
    if not bursts or needed > interval:
        raise ConfigError(
            f"{len(bursts)} bursts of up to {longest} samples every {interval} samples: need at "
            f"least one burst, and {needed} samples for each"
        )
    fields = {
        **radio.metadata(),
        "phyemu:burst_interval_samples": interval,
        **(global_fields or {}),
    }
    with RecordingWriter(
        path,
        sample_rate_hz=radio.sample_rate_hz,
        datatype=datatype,
        center_frequency_hz=radio.center_frequency_hz,
        description=description,
        global_fields=fields,
        force=force,
    ) as writer:
        for index, burst in enumerate(bursts):
            # The channel is late, and its clocks drift: recording begins so that `lead_samples`
            # lie before the burst, as a capture that is triggered by the burst would.
            latency = radio.latency_samples
            wait = max(0, lead_samples - latency)
            dropped = max(0, latency - lead_samples)
            radio.transmit(burst, delay_s=wait / radio.sample_rate_hz)
            if dropped:
                radio.receive(dropped)
            block = radio.receive(lead_samples + burst.size + tail_samples)
            writer.start_segment(
                global_index=block.sample_index, center_frequency_hz=radio.center_frequency_hz
            )
            start = writer.num_samples
            writer.write(block.iq[0])
            writer.annotate(
                Annotation(
                    sample_start=start,
                    sample_count=int(block.iq.shape[1]),
                    label="burst",
                    fields={"phyemu:burst_index": index},
                )
            )
            radio.skip(interval - dropped - int(block.iq.shape[1]))
            progress(stage, index + 1, len(bursts))
        return writer.close()


def record_annotated_bursts(
    radio: EmulatedRadio,
    sent: Recording,
    path: Path,
    *,
    interval_s: float,
    repeats: int = 1,
    datatype: str = "ci16_le",
    description: str | None = None,
    force: bool = False,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Send every annotated stretch of a recording as a burst of its own, and record what arrives.

    What was sent goes into the metadata of the new recording, so that it can be sounded or decoded.

    Args:
        radio: As for `record_bursts`.
        sent: Its annotations are the bursts, such as those of `phyemu waveform`.
        path: Recording to write.
        interval_s: From the start of one burst to that of the next [s].
        repeats: Times to send all of them, >= 1.
        datatype: How samples are stored.
        description: core:description of the recording.
        force: Replace an existing recording.
        progress: Called after each burst.

    Raises:
        RecordingError: `sent` has no annotations.
        ConfigError: A burst does not fit into the interval.
    """
    bursts = [sent.read(note.sample_start, note.sample_count) for note in sent.annotations]
    if not bursts:
        raise RecordingError(
            f"{sent.path}: has no annotations, so its bursts are not known; make it with phyemu "
            "waveform, or leave --burst-interval out"
        )
    return record_bursts(
        radio,
        bursts * repeats,
        path,
        interval_s=interval_s,
        datatype=datatype,
        description=description,
        global_fields=sent_fields(sent),
        force=force,
        progress=progress,
    )
