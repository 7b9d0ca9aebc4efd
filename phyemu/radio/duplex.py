"""Transmitting and recording at once, from one process: the office experiment in one call."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from phyemu.iq import Recording
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.capture import CaptureSummary, capture_to_recording
from phyemu.radio.radio import Radio
from phyemu.radio.stream import TransmitReport
from phyemu.radio.transmission import sent_fields, transmit_recording

__all__ = ["capture_transmission"]

# Recorded beyond the transmission where no length is given: room for filters and delays.
_TAIL_SAMPLES = 10_000
# A real transmitter starts so much later than asked, at the latest [s].
_START_S = 0.5


def capture_transmission(
    radio: Radio,
    sent: Recording,
    path: Path | str,
    *,
    amplitude: float = 1.0,
    repeats: int | None = 1,
    delay_s: float = 0.0,
    num_samples: int | None = None,
    duration_s: float | None = None,
    datatype: str = "ci16_le",
    description: str | None = None,
    global_fields: Mapping[str, Any] | None = None,
    force: bool = False,
    stop: threading.Event | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[CaptureSummary, TransmitReport | None]:
    """Transmit a recording, record what the same radio receives, and return how both went.

    What was sent goes into the metadata of the new recording. The transmission ends with the
    recording at the latest.

    Args:
        radio: Transmits and receives; it stays the caller's to close.
        sent: What to transmit.
        path: The recording to write.
        amplitude: Scale of the transmitted samples.
        repeats: Times to transmit; None: as long as it records.
        delay_s: Time to the first transmitted sample [s].
        num_samples: Samples per channel to record; without it and `duration_s` the transmission
            and 10,000 samples (and half a second with a real radio).
        duration_s: The same as a time [s].
        datatype: SigMF datatype of the samples.
        description: `core:description` of the recording.
        global_fields: SigMF global fields on top of the radio's and of what was sent.
        force: Overwrite an existing recording.
        stop: Ends the capture when set, as Ctrl-C does.
        progress: Called with the stage "capture" and the samples recorded.

    Raises:
        PhyemuError: As `transmit_recording` and `capture_to_recording`.
    """
    if num_samples is None and duration_s is None and repeats is not None:
        start_s = delay_s + (_START_S if radio.live else 0.0)
        num_samples = repeats * sent.num_samples + _TAIL_SAMPLES
        num_samples += round(start_s * radio.sample_rate_hz)
    transmission = transmit_recording(
        radio, sent, amplitude=amplitude, repeats=repeats, delay_s=delay_s
    )
    try:
        summary = capture_to_recording(
            radio,
            path,
            num_samples=num_samples,
            duration_s=duration_s,
            datatype=datatype,
            description=description,
            global_fields={**sent_fields(sent), **(global_fields or {})},
            force=force,
            stop=stop,
            progress=progress,
        )
    finally:
        transmission.stop()
    return summary, transmission.wait()
