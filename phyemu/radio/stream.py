"""What a radio hands over: blocks of received samples, and how a transmission went."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from phyemu.errors import SignalError

__all__ = [
    "ReceivedBlock",
    "StreamEvent",
    "Transmission",
    "TransmitEnd",
    "TransmitReport",
    "TransmitSource",
    "transmit_blocks",
]

TransmitSource = NDArray[np.complex64] | Iterable[NDArray[np.complex64]]
"""Samples to send, (num_samples,) or (channels, num_samples), or an iterable of such blocks."""


class StreamEvent(StrEnum):
    """What can happen to a stream of received samples."""

    OVERFLOW = "overflow"
    """The host read too slowly; the device threw samples away."""
    SEQUENCE_GAP = "sequence_gap"
    """Packets were lost between the device and the host."""
    TIMEOUT = "timeout"
    """Nothing came in time; nothing is known to be lost."""
    LATE_COMMAND = "late_command"
    """The stream was to start at a time that had passed; it was started again."""
    BROKEN_CHAIN = "broken_chain"
    """A stream command did not follow the one before; the stream was started again."""
    ALIGNMENT = "alignment"
    """The channels could not be aligned in time; the stream was started again."""
    BAD_PACKET = "bad_packet"
    """A packet could not be parsed."""
    RESTARTED = "restarted"
    """The device had gone silent without a word; the stream was started again."""
    TIME_JUMP = "time_jump"
    """The device's clock was set to another time, so how much is missing is unknown."""
    RECORDED_GAP = "recorded_gap"
    """The recording that is played has a gap here."""
    DISCONNECTED = "disconnected"
    """The device is gone."""
    END = "end"
    """The recording that is played ends here."""

    @property
    def ends_stream(self) -> bool:
        """Return whether no sample can follow."""
        return self in (StreamEvent.DISCONNECTED, StreamEvent.END)

    @property
    def is_failure(self) -> bool:
        """Return whether the stream ended although nobody wanted it to."""
        return self is StreamEvent.DISCONNECTED

    @property
    def breaks_stream(self) -> bool:
        """Return whether the next sample may not follow directly on the last one."""
        return self is not StreamEvent.TIMEOUT and not self.ends_stream


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class ReceivedBlock:
    """Samples without a gap between them, and where they belong.

    Attributes:
        iq: (channels, num_samples), complex64, full scale 1; perhaps no sample at all. It is a
            view of the caller's `out` where one was given.
        sample_index: Position of the first sample on the radio's timeline, which starts at 0 with
            the first sample received and counts lost samples too.
        lost_samples: Samples missing between the last block and this one; None: some are
            missing, how many is unknown, and `sample_index` is a lower bound from here on.
        event: What happened before the first sample, if anything did. It is reported once; one
            that ends the stream is reported again by every later call.
        detail: The driver's own words about the event.
    """

    iq: NDArray[np.complex64]
    sample_index: int
    lost_samples: int | None = 0
    event: StreamEvent | None = None
    detail: str = ""

    @property
    def num_samples(self) -> int:
        """Return the number of samples per channel."""
        return int(self.iq.shape[-1])


class TransmitEnd(StrEnum):
    """Why a transmission ended."""

    COMPLETE = "complete"
    """All samples were taken."""
    STOPPED = "stopped"
    """The caller stopped it, with Ctrl-C for instance."""
    LATE = "late"
    """It was to start at a time that had passed when it reached the device."""
    STALLED = "stalled"
    """The device took no sample for too long."""
    DISCONNECTED = "disconnected"
    """The device is gone."""

    @property
    def is_failure(self) -> bool:
        """Return whether it ended although nobody wanted it to."""
        return self not in (TransmitEnd.COMPLETE, TransmitEnd.STOPPED)


@dataclass(frozen=True, kw_only=True, slots=True)
class TransmitReport:
    """How a transmission went.

    Attributes:
        num_samples: Samples per channel that the radio took.
        start_index: Position of the first one on the radio's receive timeline; None: not known
            (nothing was received, the burst was late, or the device has no common clock).
        start_time_s: The radio's time at the first one [s]; None: not known, or it has no clock.
        underflows: Times the device ran out of samples in the middle.
        sequence_errors: Packets lost on the way to the device.
        late: Messages that the burst arrived after its start time, one per channel.
        clipped: Samples whose I or Q was beyond full scale and was limited to it.
        acknowledged: The device confirmed the end of the burst, on every channel.
        events: How often each asynchronous message of the driver came, by the driver's name.
        ended_by: Why it ended.
        detail: Why it ended early, in words; empty if it did not.
    """

    num_samples: int
    start_index: int | None = None
    start_time_s: float | None = None
    underflows: int = 0
    sequence_errors: int = 0
    late: int = 0
    clipped: int = 0
    acknowledged: bool = False
    events: Mapping[str, int] = field(default_factory=dict)
    ended_by: TransmitEnd = TransmitEnd.COMPLETE
    detail: str = ""

    @property
    def went_wrong(self) -> bool:
        """Return whether what went out is not what was handed over, or not when it was to."""
        counts = self.underflows + self.sequence_errors + self.late + self.clipped
        return counts > 0 or self.ended_by.is_failure

    def line(self) -> str:
        """Return how it went as one line for people."""
        counts = {
            "underflows": self.underflows,
            "sequence errors": self.sequence_errors,
            "late": self.late,
            "clipped": self.clipped,
        }
        parts = [f"{count} {what}" for what, count in counts.items() if count]
        if self.ended_by is TransmitEnd.COMPLETE and not self.acknowledged:
            parts.append("its end was not confirmed")
        if self.ended_by is not TransmitEnd.COMPLETE:
            parts.append(f"{self.ended_by}: {self.detail}" if self.detail else str(self.ended_by))
        return ", ".join([f"transmitted {self.num_samples} samples", *parts])

    def to_dict(self) -> dict[str, Any]:
        """Return the report with JSON types only."""
        return asdict(self) | {"ended_by": str(self.ended_by)}


class Transmission(Protocol):
    """A transmission that has been handed to a radio."""

    @property
    def num_samples(self) -> int:
        """Return the samples per channel that the radio took so far."""

    def wait(self, timeout_s: float | None = None) -> TransmitReport | None:
        """Return the report once the radio took the last sample; None after `timeout_s` [s].

        An emulated radio sends while it receives, so it answers at once with what went out so far.
        """

    def stop(self) -> None:
        """End the burst as soon as possible."""


def transmit_blocks(source: TransmitSource, num_channels: int) -> Iterable[NDArray[np.complex64]]:
    """Yield the blocks of `source` as (channels, num_samples), complex64, none of them empty.

    Raises:
        SignalError: A block has the wrong shape or type, or holds NaN or infinity.
    """
    for block in (source,) if isinstance(source, np.ndarray) else source:
        iq = np.atleast_2d(block)
        if iq.ndim != 2 or iq.shape[0] not in (1, num_channels) or not np.iscomplexobj(iq):
            raise SignalError(
                f"a block to transmit must be complex, (num_samples,) or ({num_channels}, "
                f"num_samples); got {block.dtype} {block.shape}"
            )
        if not np.isfinite(iq).all():
            raise SignalError("a block to transmit holds NaN or infinity")
        if iq.shape[1]:
            # One signal for several channels goes out of each of them.
            yield np.broadcast_to(iq, (num_channels, iq.shape[1])).astype(np.complex64, copy=False)
