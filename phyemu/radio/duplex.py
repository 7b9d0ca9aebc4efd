"""Transmitting and recording at once, from one process: the office experiment in one call.

Receiving starts first. Once its first sample has come, the device's time is taken, and the burst
starts at a time after it: so the burst lies wholly in the recording, which says where.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from phyemu.errors import PhyemuError
from phyemu.iq import Annotation, CaptureSegment, Recording, RecordingWriter
from phyemu.progress import ProgressCallback, no_progress
from phyemu.radio.capture import capture_to_recording
from phyemu.radio.capture_summary import CaptureSummary
from phyemu.radio.clock_alignment import ClockAlignment, align_clocks
from phyemu.radio.radio import Radio
from phyemu.radio.stream import Transmission, TransmitEnd, TransmitReport
from phyemu.radio.transmission import (
    TransmitSettings,
    check_transmission,
    sent_fields,
    transmit_recording,
    transmitted_samples,
)
from phyemu.radio.usrp import UsrpRadio
from phyemu.radio.usrp_transmit import UsrpTransmission

__all__ = ["capture_transmission"]

# Recorded beyond the transmission where no length is given: room for filters and delays.
_TAIL_SAMPLES = 10_000
# A real transmitter starts so much later than asked, at the latest [s].
_START_S = 0.5
# A transmission that was stopped ends within this time [s].
_END_S = 10.0
_SAME_RADIO = ClockAlignment(basis="same radio", offset=None, uncertainty_s=0.0)


def capture_transmission(
    radio: Radio,
    sent: Recording,
    path: Path | str,
    settings: TransmitSettings | None = None,
    *,
    transmitter: Radio | None = None,
    num_samples: int | None = None,
    duration_s: float | None = None,
    datatype: str = "ci16_le",
    description: str | None = None,
    global_fields: Mapping[str, Any] | None = None,
    force: bool = False,
    stop: threading.Event | None = None,
    progress: ProgressCallback = no_progress,
) -> tuple[CaptureSummary, TransmitReport | None]:
    """Transmit a recording, record what a radio receives, and return how both went.

    The new recording says what was sent and where: `phyemu:transmit_start_index` is the position
    of the transmission's first sample on the receiver's timeline (that of `core:global_index`),
    exact on one radio but for the delays of its filters, and an annotation "transmission" covers
    the samples while it lasted. The transmission ends with the recording at the latest; one that
    does not within 10 s of being told to is reported as stalled. The report is None only where
    a second Ctrl-C gave up waiting for it, or the capture ended before it began.

    Args:
        radio: Receives, and transmits where there is no `transmitter`; it stays the caller's to
            close.
        sent: What to transmit.
        path: The recording to write.
        settings: What of it, and when; None: all of it, once, at once. Endless repetitions last as
            long as it records.
        transmitter: Another radio that transmits. Two USRPs with the same external time keep the
            position exact; without, it is as good as the host's clock tells, which is stated.
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
        PhyemuError: As `transmit_recording` and `capture_to_recording`; or the sample source of
            the transmission failed, and then the recording is kept.
    """
    settings = TransmitSettings() if settings is None else settings
    sender = radio if transmitter is None else transmitter
    check_transmission(sender, sent, settings)
    # Setting up a transmitter can disturb a receiver, so it comes before the first sample.
    sender.prepare_transmission()
    duplex = _Duplex(
        radio, sender, sent, settings, _alignment(sender, radio), sender.transmit_settings()
    )
    if num_samples is None and duration_s is None and settings.repeats is not None:
        start_s = settings.delay_s
        if settings.at_s is not None:
            start_s = max(0.0, settings.at_s - (sender.time_s or 0.0))
        start_s += _START_S if radio.live else 0.0
        num_samples = settings.repeats * transmitted_samples(sent, settings) + _TAIL_SAMPLES
        num_samples += round(start_s * radio.sample_rate_hz)
    if not radio.live:
        # Its time stands still until it receives.
        duplex.start()
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
            on_first=duplex.start if radio.live else None,
            on_end=duplex.describe,
            progress=progress,
        )
    finally:
        duplex.stop()
    if duplex.failure is not None:
        raise duplex.failure
    return summary, duplex.report


def _alignment(sender: Radio, receiver: Radio) -> ClockAlignment | None:
    """Return how the receiver's time follows from the sender's; None where nothing tells."""
    if sender is receiver:
        return _SAME_RADIO
    if isinstance(sender, UsrpRadio) and isinstance(receiver, UsrpRadio):
        return align_clocks(sender, receiver)
    return None


@dataclass(slots=True)
class _Duplex:
    """One transmission, from the receiver's first sample to what its recording says of it."""

    receiver: Radio
    sender: Radio
    sent: Recording
    settings: TransmitSettings
    alignment: ClockAlignment | None
    radio: Mapping[str, Any]
    report: TransmitReport | None = None
    failure: PhyemuError | None = None
    _transmission: Transmission | None = field(default=None)

    def start(self) -> None:
        """Begin to transmit."""
        self._transmission = transmit_recording(self.sender, self.sent, self.settings)

    def stop(self) -> None:
        """End the transmission if it has not ended."""
        if self._transmission is not None:
            self._transmission.stop()

    def describe(self, writer: RecordingWriter) -> None:
        """End the transmission, and write into the recording what it was and where."""
        if self._transmission is None:
            return
        self.stop()
        try:
            report = self._transmission.wait(_END_S)
        except PhyemuError as exc:
            self.failure = exc
            return
        except KeyboardInterrupt:
            # A second Ctrl-C. What was recorded is worth more than what the transmitter still says.
            return
        if report is None:
            # Its thread hangs in the driver, which has not said what became of the samples.
            report = TransmitReport(
                num_samples=self._transmission.num_samples,
                ended_by=TransmitEnd.STALLED,
                detail=f"it has not ended {_END_S:g} s after it was told to",
            )
        self.report = report
        start = self._start_index(report)
        fields = {
            "phyemu:transmit_start_index": start,
            "phyemu:transmit_samples": report.num_samples,
            "phyemu:transmit_period_samples": transmitted_samples(self.sent, self.settings),
            "phyemu:transmit_amplitude": self.settings.amplitude,
            "phyemu:transmit_alignment": self._alignment_fields(),
            "phyemu:transmit_radio": dict(self.radio) or None,
            "phyemu:transmit_report": _counts(report),
        }
        for key, value in fields.items():
            if value is not None:
                writer.set_global(key, value)
        if start is not None and report.num_samples:
            note = _annotation(writer.captures, writer.num_samples, start, report.num_samples)
            if note is not None:
                writer.annotate(note)

    def _start_index(self, report: TransmitReport) -> int | None:
        if self.sender is self.receiver:
            return report.start_index
        if (
            self.alignment is None
            or not isinstance(self.receiver, UsrpRadio)
            or not isinstance(self._transmission, UsrpTransmission)
            or self._transmission.start_time is None
        ):
            return None
        return self.receiver.index_of(self._transmission.start_time + self.alignment.offset)

    def _alignment_fields(self) -> dict[str, Any] | None:
        if self.alignment is None:
            return None
        return {
            "basis": self.alignment.basis,
            "uncertainty_s": self.alignment.uncertainty_s,
        }


def _counts(report: TransmitReport) -> dict[str, Any]:
    """Return what may have moved or changed samples after the first one."""
    keys = ("underflows", "sequence_errors", "late", "clipped", "acknowledged")
    values = asdict(report)
    return {key: values[key] for key in keys} | {"ended_by": str(report.ended_by)}


def _annotation(
    captures: Sequence[CaptureSegment], num_samples: int, start: int, count: int
) -> Annotation | None:
    """Return the note on the samples recorded while `count` samples went out from `start` on.

    Gaps and the ends of the recording cut it; segments whose position is unknown do not count.
    None: nothing of it was recorded.
    """
    ends = [segment.sample_start for segment in captures[1:]] + [num_samples]
    covered: list[tuple[int, int]] = []
    for segment, end in zip(captures, ends, strict=True):
        if segment.global_index is None:
            continue
        shift = segment.sample_start - segment.global_index
        begin = max(segment.sample_start, start + shift)
        until = min(end, start + count + shift)
        if begin < until:
            covered.append((begin, until))
    if not covered:
        return None
    first, last = covered[0][0], covered[-1][1]
    return Annotation(
        sample_start=first,
        sample_count=last - first,
        label="transmission",
        comment="While the transmission lasted; it arrives later by the delay of the way.",
    )
