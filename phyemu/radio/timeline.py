"""Where received samples belong on the radio's timeline, from time stamps and error reports."""

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ArrivalClock", "Placement", "SampleTimeline"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a run of samples belongs.

    Attributes:
        sample_index: Index of its first sample; a lower bound once `lost_samples` was None.
        lost_samples: Samples missing before it; None: unknown how many.
        jumped: The time stamp cannot be true, because the clock was set: it lies before samples
            that came already, or further ahead than time has passed.
    """

    sample_index: int
    lost_samples: int | None
    jumped: bool = False


class ArrivalClock:
    """Tells whether a sample may be as late on the device's clock as its time stamp says.

    No sample arrives before it was taken. So the host's time of arrival less the device's time
    never falls far below the least that was seen, unless somebody set the device's clock forward.

    >>> clock = ArrivalClock(rate_hz=1e6, slack_s=1.0)
    >>> clock.arrived(1_000_000, 10.0)  # sample 1,000,000 is there at 10 s
    >>> clock.allows(3_000_000, 12.5), clock.allows(9_000_000, 12.5)
    (True, False)
    """

    def __init__(self, *, rate_hz: float, slack_s: float) -> None:
        """Start without knowing anything.

        Args:
            rate_hz: Samples per second of the device's clock [Hz].
            slack_s: What the delay of the first samples may have been above the least [s].
        """
        self._rate_hz = rate_hz
        self._slack_s = slack_s
        self._least_s: float | None = None

    def arrived(self, index: int, now_s: float) -> None:
        """Note that the sample before `index` was there at `now_s` on the host's clock."""
        lag_s = now_s - index / self._rate_hz
        if self._least_s is None or lag_s < self._least_s:
            self._least_s = lag_s

    def allows(self, index: int, now_s: float) -> bool:
        """Return whether the sample before `index` can be there at `now_s`."""
        return (
            self._least_s is None or now_s - index / self._rate_hz > self._least_s - self._slack_s
        )


class SampleTimeline:
    """Indices that start at 0 with the first sample, count what is lost, and never run backwards.

    >>> timeline = SampleTimeline()
    >>> timeline.place(1000, 4)  # the first run may have any time stamp
    Placement(sample_index=0, lost_samples=0, jumped=False)
    >>> timeline.place(1007, 4)  # samples 4, 5 and 6 are missing
    Placement(sample_index=7, lost_samples=3, jumped=False)
    """

    def __init__(self, packet_samples: int = 1) -> None:
        """Start at 0.

        Args:
            packet_samples: Samples that share one time stamp. Where the driver gives the stamp of
                a packet's start for a run that begins in its middle, it lies up to so much early.
        """
        self._packet_samples = packet_samples
        self._origin: int | None = None
        self._next = 0
        self._broken = False
        # An unknown number was lost since the last time stamp.
        self._unsure = False
        # The origin follows from a stamp that may be of the start of a packet before it.
        self._rough = False

    @property
    def next_index(self) -> int:
        """Return the index of the sample that follows the last one placed."""
        return self._next

    def mark_broken(self) -> None:
        """Note an error after which the next sample may not follow directly on the last one."""
        self._broken = self._next > 0

    def index_of(self, ticks: int) -> int:
        """Return where a time stamp lies on the timeline, as the clock is set now."""
        return ticks if self._origin is None else ticks - self._origin

    def place(
        self,
        ticks: int | None,
        num_samples: int,
        possible: Callable[[int], bool] = lambda end_index: True,
    ) -> Placement:
        """Place a run of `num_samples`, and return where its first sample belongs.

        Args:
            ticks: Time stamp of its first sample in sample periods, from any fixed moment; None:
                the device gave none.
            num_samples: Its length, >= 1.
            possible: Whether samples up to an index can have arrived by now; it is asked after a
                gap only.
        """
        lost: int | None = 0
        jumped = False
        index = self._next
        if ticks is None:
            lost = None if self._broken else 0
        elif self._origin is None:
            # Samples that came before the first time stamp were counted without a gap.
            self._origin = ticks - self._next
            self._rough = self._next > 0 and self._may_be_within_packet
            lost = None if self._broken else 0
        elif ticks - self._origin == self._next or self._is_of_same_packet(ticks - self._origin):
            pass
        elif ticks - self._origin > self._next and possible(ticks - self._origin + num_samples):
            index = ticks - self._origin
            # What this stamp tells may have been lost before samples that came since.
            lost = None if self._unsure else index - self._next
            if self._rough:
                index = max(self._next, index - self._packet_samples + 1)
                lost = None
                self._origin = ticks - index
                self._rough = self._may_be_within_packet
        else:
            self._origin = ticks - self._next
            self._rough = self._may_be_within_packet
            lost, jumped = None, True
        if ticks is None:
            self._unsure = self._unsure or lost is None
        else:
            # The stamp of a packet's start hides what was lost before the packet.
            self._unsure = self._unsure and self._may_be_within_packet
        self._broken = False
        self._next = index + num_samples
        return Placement(index, lost, jumped)

    @property
    def _may_be_within_packet(self) -> bool:
        # After a report the next run starts with a packet of its own.
        return not self._broken and self._packet_samples > 1

    def _is_of_same_packet(self, index: int) -> bool:
        return self._may_be_within_packet and self._next - self._packet_samples < index < self._next
