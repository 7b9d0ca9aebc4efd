"""What the emulator sees of whatever brings and takes samples: a source and a sink."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["InputCounts", "SampleSink", "SampleSource"]


@dataclass(slots=True)
class InputCounts:
    """What a source met besides good samples.

    Attributes:
        dropped: Messages that were dropped whole, by reason.
        dropped_samples: Samples in them, as far as they had any.
        silenced_samples: Samples of a byte stream or a recording that were no finite numbers
            within range, and became zeros: there are no messages to drop.
        num_gaps: Gaps of a recording.
        gap_samples: Samples that a recording lacks between two segments, and zeros stand for.
        lost_messages: Messages that never came, by their sequence numbers; None: the transport
            loses messages without telling.
    """

    dropped: Counter[str] = field(default_factory=Counter)
    dropped_samples: int = 0
    silenced_samples: int = 0
    num_gaps: int = 0
    gap_samples: int = 0
    lost_messages: int | None = 0

    def drop(self, reason: str, num_samples: int = 0) -> None:
        """Count a message that is dropped."""
        self.dropped[reason] += 1
        self.dropped_samples += num_samples


class SampleSource(Protocol):
    """Brings samples, from one thread."""

    counts: InputCounts

    def receive(self, timeout_s: float) -> NDArray[np.complex64] | None:
        """Return the samples that came, in order; none within the time: empty; at the end: None.

        Every sample is finite, and the array is the caller's: it is not written to again.

        Raises:
            TransportError: The transport failed.
        """

    def close(self) -> None:
        """Let go of the transport; a second time does nothing."""


class SampleSink(Protocol):
    """Takes samples, from one thread."""

    @property
    def num_clipped(self) -> int:
        """Return the samples that its format had to clip."""

    @property
    def num_ignored(self) -> int:
        """Return the messages of whoever takes samples that made no sense."""

    def send(self, iq: NDArray[np.complex64], timeout_s: float) -> int:
        """Return how many of the first samples were taken within the time; 0: none.

        Raises:
            BrokenPipeError: The other side is gone for good.
            TransportError: The transport failed.
        """

    def mark_gap(self, lost_messages: int) -> None:
        """Note that messages are missing right before the next sample, if there is a way to."""

    def finish(self, timeout_s: float) -> bool:
        """Return whether everything that was taken has been passed on, after at most this time.

        Raises:
            BrokenPipeError: The other side is gone for good.
        """

    def close(self) -> None:
        """Let go of the transport; a second time does nothing."""
