"""Batches on their way to an outlet, and the news of each image when it has gone out."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait

from .frame_sender import EncodedBatch
from .outlet import Outlet
from .sent_record import SentImage

__all__ = ["Sending", "end_or_stop"]

# The main thread looks this often whether the work is done [s].
_POLL_S = 0.05


class Sending:
    """Hands batches to an outlet, in order.

    Attributes:
        num_told: Images that have gone out whole.
    """

    def __init__(self, outlet: Outlet, on_sent: Callable[[SentImage], None]) -> None:
        """Begin with nothing sent.

        Args:
            outlet: Takes the samples.
            on_sent: Told of each image when the samples of it have gone out.
        """
        self.num_told = 0
        self._outlet = outlet
        self._on_sent = on_sent
        self._num_samples = 0
        self._waiting: deque[tuple[int, SentImage]] = deque()

    def send(self, batch: EncodedBatch, stop: threading.Event) -> None:
        """Hand over a batch, and tell what has gone out; with one of nothing, only tell.

        Raises:
            PhyemuError: As `Outlet.send`.
        """
        if len(batch.iq):
            ends = (self._num_samples + end for end in batch.image_ends)
            self._waiting.extend(zip(ends, batch.images, strict=True))
            self._num_samples += len(batch.iq)
            self._outlet.send(batch, stop)
        else:
            self._outlet.settle()
        self.tell()

    def tell(self) -> None:
        """Tell of the images that have gone out since."""
        gone = self._outlet.num_gone
        while self._waiting and self._waiting[0][0] <= gone:
            self.num_told += 1
            self._on_sent(self._waiting.popleft()[1])


def end_or_stop(working: "Future[None]", stop: threading.Event) -> None:
    """Wait for work on another thread; Ctrl-C tells it to stop. Called from the main thread.

    Raises:
        Exception: What the work raised.
    """
    while True:
        try:
            if wait([working], timeout=_POLL_S).done:
                break
        except KeyboardInterrupt:
            stop.set()
    working.result()
