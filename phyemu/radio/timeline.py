"""Where received samples belong on the radio's timeline, from time stamps and error reports."""

from dataclasses import dataclass

__all__ = ["Placement", "SampleTimeline"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a run of samples belongs.

    Attributes:
        sample_index: Index of its first sample; a lower bound once `lost_samples` was None.
        lost_samples: Samples missing before it; None: unknown how many.
        jumped_back: The time stamp lies before samples that came already.
    """

    sample_index: int
    lost_samples: int | None
    jumped_back: bool = False


class SampleTimeline:
    """Indices that start at 0 with the first sample, count what is lost, and never run backwards.

    >>> timeline = SampleTimeline()
    >>> timeline.place(1000, 4)  # the first run may have any time stamp
    Placement(sample_index=0, lost_samples=0, jumped_back=False)
    >>> timeline.place(1007, 4)  # samples 4, 5 and 6 are missing
    Placement(sample_index=7, lost_samples=3, jumped_back=False)
    """

    def __init__(self) -> None:
        self._origin: int | None = None
        self._next = 0
        self._broken = False

    @property
    def next_index(self) -> int:
        """Return the index of the sample that follows the last one placed."""
        return self._next

    def mark_broken(self) -> None:
        """Note an error after which the next sample may not follow directly on the last one."""
        self._broken = self._next > 0

    def place(self, ticks: int | None, num_samples: int) -> Placement:
        """Place a run of `num_samples`, and return where its first sample belongs.

        Args:
            ticks: Time stamp of its first sample in sample periods, from any fixed moment; None:
                the device gave none.
            num_samples: Its length, >= 1.
        """
        lost: int | None = 0
        jumped_back = False
        index = self._next
        if ticks is None:
            lost = None if self._broken else 0
        elif self._origin is None:
            # Samples that came before the first time stamp were counted without a gap.
            self._origin = ticks - self._next
            lost = None if self._broken else 0
        elif ticks - self._origin >= self._next:
            index = ticks - self._origin
            lost = index - self._next
        else:
            self._origin = ticks - self._next
            lost, jumped_back = None, True
        self._broken = False
        self._next = index + num_samples
        return Placement(index, lost, jumped_back)
