"""Where samples of frames go: a radio, the socket or pipe of another program, or a recording."""

import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from phyemu.errors import RadioError, TransportError
from phyemu.evaluation import AirSide
from phyemu.iq import Annotation, RecordingWriter
from phyemu.live import SampleSink
from phyemu.radio import Radio, Transmission, TransmitReport
from phyemu.radio.stream import TransmitEnd

from .frame_sender import AMPLITUDE, EncodedBatch

__all__ = [
    "Outlet",
    "RadioOutlet",
    "RecordingOutlet",
    "SinkOutlet",
    "failures_of",
    "open_recording_outlet",
]

_POLL_S = 0.05
# Batches that may wait in the radio: one goes out while the next is encoded.
_WAITING = 2
# A transmission that was stopped ends within this time [s].
_END_S = 20.0


class Outlet(Protocol):
    """Takes what is sent, batch by batch, in order."""

    @property
    def name(self) -> str:
        """Return a short name for messages."""

    @property
    def num_gone(self) -> int:
        """Return how many samples have gone out, from the first one on without a hole."""

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        """Hand over a batch; it returns when there is room for the next one, or `stop` is set.

        Raises:
            RadioError: The radio is gone, or refuses the samples.
            TransportError: The transport failed, or the other side is gone.
            RecordingError: The disk is full.
        """

    def settle(self) -> None:
        """Take note of what has gone out, without waiting.

        Raises:
            PhyemuError: As `send`.
        """

    def finish(self, stop: threading.Event) -> None:
        """Return when everything has gone out, or soon after `stop` is set.

        Raises:
            PhyemuError: As `send`.
        """

    def counts(self) -> Mapping[str, Any]:
        """Return how it went so far, as JSON values."""


def failures_of(counts: Mapping[str, Any]) -> list[str]:
    """Return for people what went wrong, of the counts of an outlet; nothing where nothing did."""
    return [f"{count} {name}" for name, count in counts.items() if name != "samples" and count]


class RadioOutlet:
    """Transmits with a radio; batches that follow each other are one burst."""

    def __init__(self, radio: Radio) -> None:
        """Take note of the radio; it stays the caller's to close."""
        self._radio = radio
        # With the number of their samples.
        self._waiting: deque[tuple[Transmission, int]] = deque()
        self._num_gone = 0
        self._is_whole = True
        self._total = {"samples": 0, "underflows": 0, "sequence_errors": 0, "late": 0, "clipped": 0}

    @property
    def name(self) -> str:
        """Return the name of the radio."""
        return self._radio.name

    @property
    def num_gone(self) -> int:
        """Return how many samples have gone out, up to the first batch that did not as a whole."""
        return self._num_gone

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        """Hand a batch to the transmitter, and wait until no more than two are on their way."""
        self._waiting.append((self._radio.transmit(batch.iq), len(batch.iq)))
        self._wait(stop, most=_WAITING)

    def settle(self) -> None:
        """Take note of the batches that have gone out."""
        while self._waiting and (report := self._waiting[0][0].wait(0.0)) is not None:
            self._note(report, self._waiting.popleft()[1])

    def finish(self, stop: threading.Event) -> None:
        """Wait for the end of the burst."""
        self._wait(stop, most=0)

    def counts(self) -> Mapping[str, Any]:
        """Return samples that went out, and what went wrong."""
        return dict(self._total)

    def _wait(self, stop: threading.Event, *, most: int) -> None:
        while len(self._waiting) > most:
            report = self._waiting[0][0].wait(_POLL_S)
            if report is None and stop.is_set():
                self._stop()
                return
            if report is not None:
                self._note(report, self._waiting.popleft()[1])

    def _stop(self) -> None:
        for transmission, _ in self._waiting:
            transmission.stop()
        while self._waiting:
            transmission, num_samples = self._waiting.popleft()
            report = transmission.wait(_END_S)
            if report is None:
                raise RadioError(f"{self.name}: has not stopped transmitting within {_END_S:g} s")
            self._note(report, num_samples)

    def _note(self, report: TransmitReport, num_samples: int) -> None:
        self._total["samples"] += report.num_samples
        # An emulated radio has taken all, and sends it while somebody receives.
        complete = report.ended_by is TransmitEnd.COMPLETE
        if self._is_whole:
            self._num_gone += num_samples if complete else report.num_samples
        self._is_whole = self._is_whole and complete
        for name in ("underflows", "sequence_errors", "late", "clipped"):
            self._total[name] += getattr(report, name)
        if report.ended_by.is_failure:
            raise RadioError(f"{self.name}: {report.line()}")


class SinkOutlet:
    """Sends plain samples to another program, as fast as it takes them."""

    def __init__(self, sink: SampleSink, *, name: str) -> None:
        """Take note of the sink; it stays the caller's to close.

        Args:
            sink: Not used by anybody else.
            name: For messages.
        """
        self._sink = sink
        self._name = name
        self._samples = 0

    @property
    def name(self) -> str:
        """Return the name of the endpoint."""
        return self._name

    @property
    def num_gone(self) -> int:
        """Return how many samples the transport has taken; who reads them it does not tell."""
        return self._samples

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        """Send a batch; where nobody takes it, it waits for somebody."""
        position = 0
        while position < len(batch.iq) and not stop.is_set():
            try:
                taken = self._sink.send(batch.iq[position:], _POLL_S)
            except BrokenPipeError as exc:
                raise TransportError(f"{self._name}: whoever took the samples is gone") from exc
            position += taken
            self._samples += taken

    def settle(self) -> None:
        """Do nothing: `send` has waited."""

    def finish(self, stop: threading.Event) -> None:
        """Wait until everything has been passed on."""
        try:
            while not self._sink.finish(_POLL_S) and not stop.is_set():
                pass
        except BrokenPipeError as exc:
            raise TransportError(f"{self._name}: whoever took the samples is gone") from exc

    def counts(self) -> Mapping[str, Any]:
        """Return the samples that were taken."""
        return {"samples": self._samples, "clipped": self._sink.num_clipped}


class RecordingOutlet:
    """Writes a recording that a radio can send, and `phyemu receive` reads by itself."""

    def __init__(self, writer: RecordingWriter, path: Path) -> None:
        """Take note of the writer; it stays the caller's to close."""
        self._writer = writer
        self._path = path

    @property
    def name(self) -> str:
        """Return the name of the recording."""
        return self._path.name

    @property
    def num_gone(self) -> int:
        """Return how many samples were written."""
        return self._writer.num_samples

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        """Write a batch, and annotate its frames."""
        begin = self._writer.num_samples
        self._writer.write(batch.iq)
        for start, count, index, payload in batch.frames:
            self._writer.annotate(
                Annotation(
                    sample_start=begin + start,
                    sample_count=count,
                    label="frame",
                    fields={"phyemu:frame_index": index, "phyemu:payload_symbols": payload},
                )
            )

    def settle(self) -> None:
        """Do nothing: what was taken is written."""

    def finish(self, stop: threading.Event) -> None:
        """Do nothing: what was taken is written."""

    def counts(self) -> Mapping[str, Any]:
        """Return the samples that were written."""
        return {"samples": self._writer.num_samples}


@contextmanager
def open_recording_outlet(
    path: Path, side: AirSide, *, amplitude: float = AMPLITUDE, force: bool = False
) -> Iterator[RecordingOutlet]:
    """Yield an outlet that writes a recording, which says what its frames are and whose.

    Args:
        path: The recording.
        side: Whose frames they are.
        amplitude: Of the strongest symbols, full scale 1.
        force: Overwrite one that exists.

    Raises:
        RecordingError: It exists already, or cannot be written.
    """
    frame_format = side.frame_format
    with RecordingWriter(
        path,
        sample_rate_hz=frame_format.sample_rate_hz,
        description="phyemu frames of single images: what a radio should transmit",
        global_fields={
            "phyemu:waveform": "frames",
            "phyemu:frame_format": frame_format.to_dict(),
            "phyemu:constellation": side.constellation.to_dict(),
            "phyemu:payload": {
                "kind": "single-images",
                "embedding_sha256": side.card.embedding_sha256,
            },
            "phyemu:reference_power": frame_format.reference_power(amplitude),
        },
        force=force,
    ) as writer:
        yield RecordingOutlet(writer, path)
